from __future__ import annotations

import pytest

from pytest_mlperf_audit.load.target import Target, addresses, joined

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("http://h:1", CHAT, "http://h:1/v1/chat/completions"),
        ("http://h:1/", CHAT, "http://h:1/v1/chat/completions"),
        ("http://h:1/v1", CHAT, "http://h:1/v1/chat/completions"),
        ("http://h:1/v1/", CHAT, "http://h:1/v1/chat/completions"),
        ("http://h:1/v1/chat", CHAT, "http://h:1/v1/chat/completions"),
        ("http://h:1/v1/chat/completions", CHAT, "http://h:1/v1/chat/completions"),
        ("http://h:1/v1/chat/completions/", CHAT, "http://h:1/v1/chat/completions"),
        ("http://h:1/proxy/v1?key=x", CHAT, "http://h:1/proxy/v1/chat/completions?key=x"),
        ("http://h:1/generate", "/generate", "http://h:1/generate"),
        ("http://h:1/env1", CHAT, "http://h:1/env1/v1/chat/completions"),
        ("http://h:1/v1/models", CHAT, "http://h:1/v1/models/v1/chat/completions"),
        ("http://h:1/v1/completions", CHAT, "http://h:1/v1/completions/v1/chat/completions"),
        ("http://h:1/a?x=1", "/b?y=2", "http://h:1/a/b?x=1&y=2"),
        ("http://h:1/api/paas/v4", "/chat/completions", "http://h:1/api/paas/v4/chat/completions"),
        ("http://h:1/predict", "", "http://h:1/predict"),
    ],
)
def test_what_a_base_url_ends_in_is_not_said_twice(base, path, url):
    assert joined(base, path) == url


def test_a_path_of_the_targets_own_takes_the_place_of_the_apis():
    target = Target(urls=("http://h:1/openai/deployments/d",), path="/chat/completions?api-version=2024-06-01")
    [address] = addresses(target, CHAT, {})
    assert address.target == b"/openai/deployments/d/chat/completions?api-version=2024-06-01"
    assert address.get_head.startswith(
        b"GET /openai/deployments/d/chat/completions?api-version=2024-06-01 HTTP/1.1\r\n"
    )


def test_no_path_at_all_is_a_path():
    assert addresses(Target(urls=("http://h:1",), path=""), CHAT, {})[0].target == b"/"


def test_a_key_in_the_path_is_taken_out_of_messages():
    assert Target(urls=("http://h:1",), path="/x?code=5ecretCode").redact("at /x?code=5ecretCode") == "at /x?**********"


def test_lines_of_a_querys_own_stand_in_its_head():
    [address] = addresses(Target(urls=("http://h:1",)), CHAT, {})
    plain, own = address.post(b"{}"), address.post(b"{}", headers=b"X-Session-ID: c1\r\n")
    assert plain.endswith(b"Content-Length: 2\r\n\r\n{}")
    assert own == plain.replace(b"\r\n\r\n", b"\r\nX-Session-ID: c1\r\n\r\n")
