"""HTTP_PROXY and its like: not used, and said so wherever others would use them."""

from __future__ import annotations

import pytest


def test_an_endpoint_behind_a_proxy_cannot_be_reached_and_the_error_says_why(audit, sut, monkeypatch, lone_or_spread):
    """The server stands in for the proxy: nothing is sent to it."""
    monkeypatch.setenv("HTTP_PROXY", sut.url)
    audit.config("http://inference.internal.invalid:8000")
    result = audit.run(*lone_or_spread)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: endpoint *: cannot be reached (*); *HTTP_PROXY is set and not used, *"])
    assert sut.received == 0


def test_a_plan_names_it(audit, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://user:SEKRET@proxy.corp:3128")
    audit.config("https://inference.internal.invalid:8000")
    result = audit.run("--mlperf-plan")
    result.stdout.fnmatch_lines(["  warning:  HTTPS_PROXY is set and not used, *"])
    result.stdout.no_fnmatch_line("*SEKRET*")


@pytest.mark.parametrize("direct", [True, False], ids=["no_proxy", "loopback"])
def test_an_endpoint_that_needs_none_is_asked_directly(audit, sut, monkeypatch, direct):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    if direct:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    audit.config(sut)
    assert audit.run().ret == 0
    assert audit.verdict()["warnings"] == []
