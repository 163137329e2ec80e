"""The cache probe against nginx's `proxy_cache` on POST, in front of a server that counts what it computes."""

from __future__ import annotations

import shutil

import pytest

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.parametrize("wire_format", ["chat", "video"]),
]


def test_a_plain_proxy_is_clean(probe, wire_format):
    (said,) = probe("nginx", "off", times=1, wire_format=wire_format)
    assert said.computed == said.queries
    assert (said.status, said.word) == (0, "CLEAN")


def test_a_cache_is_found_cold_and_warm(probe, wire_format):
    for said in probe("nginx", "on", times=2, wire_format=wire_format):
        assert said.computed < said.queries, "the cache was at work, or this test shows nothing"
        assert (said.status, said.word) == (1, "CACHE")
        assert "response" in said.kinds


def test_a_key_without_the_body_is_found_by_its_header(probe, wire_format):
    """Every request but those to a changed URL gets the reply to the session's first query."""
    if wire_format == "video":
        pytest.skip("few prompts are sent to one URL; tests/session/test_telling_servers.py has them")
    (said,) = probe("nginx", "filed", times=1, wire_format=wire_format)
    assert said.computed < 20
    assert (said.status, said.word, said.kinds) == (1, "CACHE", ["url_keyed"])
