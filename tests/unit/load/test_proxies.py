"""Which proxy of the environment others would use, and we do not."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.load.target import unused_proxy

PROXY = "http://user:SEKRET@proxy.corp:3128"


@pytest.mark.parametrize(
    ("environ", "url", "name"),
    [
        ({"HTTP_PROXY": PROXY}, "http://sut:8000", "HTTP_PROXY"),
        ({"http_proxy": PROXY}, "http://sut:8000", "http_proxy"),
        ({"HTTPS_PROXY": PROXY}, "https://sut", "HTTPS_PROXY"),
        ({"ALL_PROXY": PROXY}, "https://sut", "ALL_PROXY"),
        ({"HTTP_PROXY": PROXY, "NO_PROXY": "other,.example.com"}, "http://sut:8000", "HTTP_PROXY"),
        ({"HTTP_PROXY": PROXY}, "http://10.0.0.7:8000", "HTTP_PROXY"),
    ],
)
def test_one_that_is_set_is_named_and_not_shown(environ, url, name):
    told = unused_proxy(["http://127.0.0.1:1", url], environ)
    assert told.startswith(f"{name} is set and not used, ")
    assert "settings.client.proxy has one used" in told
    assert "SEKRET" not in told
    assert "proxy.corp" not in told


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://sut:8000"),
        ({"HTTP_PROXY": ""}, "http://sut:8000"),
        ({"HTTP_PROXY": PROXY}, "https://sut"),
        ({"HTTP_PROXY": PROXY, "NO_PROXY": "sut"}, "http://sut:8000"),
        ({"HTTP_PROXY": PROXY, "no_proxy": "sut:8000"}, "http://sut:8000"),
        ({"HTTP_PROXY": PROXY, "NO_PROXY": "example.com"}, "http://key@sut.example.com:8000/v1"),
        ({"HTTP_PROXY": PROXY, "NO_PROXY": "*"}, "http://sut:8000"),
        ({"HTTP_PROXY": PROXY}, "http://127.0.0.1:8000"),
        ({"HTTP_PROXY": PROXY}, "http://[::1]:8000"),
        ({"HTTP_PROXY": PROXY}, "http://localhost:8000"),
    ],
)
def test_nothing_is_said_where_none_would_be_used(environ, url):
    assert unused_proxy([url], environ) == ""
