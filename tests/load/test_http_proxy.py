"""The proxy that the YAML names: every connection is a tunnel through it, and what it refuses is no failure."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_mlperf_audit.errors import EndpointError
from pytest_mlperf_audit.load.first_query import ask_first, check_endpoint
from pytest_mlperf_audit.load.proxy import Proxy, open_tunnel
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.runs.query import is_turned_away
from pytest_mlperf_audit.runs.spec import Concurrency
from tests.support.raw_server import ConnectProxy, reply

PASSWORD = "pa:ss/w%rd-SEKRET"


@pytest.fixture
def proxies() -> Iterator[Callable[..., ConnectProxy]]:
    """Start a proxy."""
    started: list[ConnectProxy] = []

    def start(credentials: str = "", early: bytes = b"") -> ConnectProxy:
        started.append(ConnectProxy(credentials, early))
        return started[-1]

    yield start
    for proxy in started:
        proxy.close()


def through(proxy: ConnectProxy, *urls: str, **options: object) -> Target:
    return Target(urls=urls, proxy=Proxy("127.0.0.1", proxy.port), **options)  # type: ignore[arg-type]


def told(target: Target, engine) -> str:
    with pytest.raises(EndpointError) as caught:
        check_endpoint(engine.adapter, target)
    return str(caught.value)


@pytest.mark.parametrize("tls", [True, False])
def test_all_goes_through_it_on_connections_of_its_own(engine, start_sut, proxies, connections, certificate, tls):
    sut, proxy = start_sut(lanes=64, **({"tls": certificate} if tls else {})), proxies()
    target = through(proxy, sut.url, ca_file=Path(certificate[0]), metrics=(f"{sut.url}/metrics",))
    check_endpoint(engine.adapter, target)
    assert ask_first(engine.source, target, timeout_s=5, ready_timeout_s=0).latency_s is not None
    ended = engine.drive(target, n_samples=40)
    assert (ended.record.status, ended.record.figures.n_completed) == ("complete", 40)
    assert sut.received == 40  # but for the first query, which it knows
    assert ended.record.counters is not None
    assert ended.record.counters.problems == ()
    *accepted, _asking, _asking_too = connections(sut)["accepted"]
    assert proxy.tunnels == len(accepted)
    assert all(head.startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: " % sut.port) for head in proxy.asked)
    assert not any(b"Proxy-Authorization" in head for head in proxy.asked)


def test_a_request_in_the_tunnel_is_what_it_is_without(engine, start_sut, proxies, wire):
    sut = start_sut()
    engine.drive(through(proxies(), sut.url), n_samples=1)
    engine.drive(sut.url, n_samples=1)
    first, second = wire(sut)
    assert first == second


def test_credentials_are_sent_and_shown_nowhere(engine, start_sut, proxies):
    sut, proxy = start_sut(), proxies(f"me:{PASSWORD}")
    target = replace(through(proxy, sut.url), proxy=Proxy("127.0.0.1", proxy.port, "me", PASSWORD))
    assert engine.drive(target).outcomes == {"completed"}
    assert PASSWORD not in repr(target)
    echoed = proxy.asked[0].decode() + PASSWORD
    assert "SEKRET" not in target.redact(echoed)
    assert proxy.asked[0].decode().split("Basic ")[1][:8] not in target.redact(echoed)


def test_user_and_password_may_be_escaped():
    proxy = Proxy.of("http://me:pa%3Ass%2Fw%25rd-SEKRET@[::1]:3128")
    assert (proxy.user, proxy.password, proxy.host, proxy.port) == ("me", PASSWORD, "::1", 3128)
    assert proxy.label == "http://[::1]:3128"
    assert proxy.request("2001:db8::1", 80).startswith(
        b"CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n"
    )
    assert Proxy.of("http://h:1").secrets == ()


REFUSALS = {
    "407 Proxy Authentication Required": "give a user and a password",
    "401 Unauthorized": "give a user and a password",
    "403 Forbidden by policy 7": "have it allow CONNECT to this host and port",
    "405 Method Not Allowed": "have it allow CONNECT to this host and port",
    "502 Bad Gateway": r"start the endpoint, correct endpoint_config\.endpoints",
    "500 Unable to connect": r"start the endpoint, correct endpoint_config\.endpoints",
    "418 Teapot": "see the proxy's log",
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_is_told_with_its_words_and_the_cure(engine, start_sut, proxies, status):
    sut, proxy = start_sut(), proxies()
    proxy.refuses = lambda _number: reply(b"<html>no</html>", status=status)
    said = told(through(proxy, sut.url), engine)
    what = f"the proxy http://127.0.0.1:{proxy.port} answers {status} to CONNECT 127.0.0.1:{sut.port}"
    assert said.startswith(f"endpoint {sut.url}: cannot be reached ({what}); ")
    assert re.search(REFUSALS[status], said)
    assert sut.received == 0


def test_a_refusal_of_the_first_query_is_told(engine, start_sut, proxies):
    sut, proxy = start_sut(), proxies()
    proxy.refuses = lambda _number: reply(b"", status="407 Who")
    with pytest.raises(
        EndpointError,
        match=r"has no reply to the first query through the proxy \(.*answers 407 Who.*\); see the proxy's log",
    ):
        ask_first(engine.source, through(proxy, sut.url), timeout_s=5, ready_timeout_s=0)


def test_an_endpoint_that_is_gone_behind_it(engine, proxies):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert "answers 502 Bad Gateway" in told(through(proxies(), url), engine)


def test_a_proxy_that_is_gone(engine, start_sut):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        said = told(Target(urls=(start_sut().url,), proxy=Proxy("127.0.0.1", port)), engine)
    assert f"no connection through the proxy http://127.0.0.1:{port} [" in said
    assert said.endswith("; start the proxy, or correct settings.client.proxy")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not answer CONNECT in HTTP"),
        (b"x" * 100_000, "does not answer CONNECT in HTTP"),
        (b"HTTP/1.1 200 OK\r\nVia: x", "it closed the connection without a whole reply to CONNECT"),
        (b"", "it closed the connection without a whole reply to CONNECT"),
    ],
)
def test_what_is_no_reply_to_connect(engine, start_sut, proxies, answer, problem):
    proxy = proxies()
    proxy.refuses = lambda _number: answer
    said = told(through(proxy, start_sut().url), engine)
    assert problem in said
    assert "settings.client.proxy" in said


def test_one_that_never_answers_is_not_waited_for(engine, start_sut):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = Proxy("127.0.0.1", silent.getsockname()[1])
        said = told(Target(urls=(start_sut().url,), proxy=proxy, connect_timeout_s=0.2), engine)
    assert "no connection within the time limit" in said
    assert "settings.client.proxy" in said


def test_what_comes_behind_the_proxy_s_reply_is_unasked(engine, start_sut, proxies):
    ended = engine.drive(through(proxies(early=reply()), start_sut().url))
    assert ended.record.status != "complete"
    assert not any(query.ok for query in ended.queries)


def test_early_bytes_before_tls_are_refused(engine, start_sut, proxies, certificate):
    said = told(through(proxies(early=b"x"), start_sut(tls=certificate).url), engine)
    assert "something came through it before the TLS handshake" in said


def test_a_certificate_is_checked_through_the_tunnel(engine, start_sut, proxies, certificate):
    assert "TLS failed" in told(through(proxies(), start_sut(tls=certificate).url), engine)


@pytest.mark.parametrize("status", ["407 Expired", "403 No", "502 Bad Gateway"])
def test_a_refusal_in_mid_phase_says_nothing_of_the_system(engine, start_sut, proxies, status):
    """Each query needs a tunnel of its own; after 20 the proxy opens none."""
    sut, proxy = start_sut(close=True), proxies()
    proxy.refuses = lambda number: reply(b"", status=status) if number >= 20 else None
    ended = engine.drive(through(proxy, sut.url), n_samples=64, load=Concurrency(target=2))
    assert ended.record.status == "refused"
    assert f"answers {status}" in (ended.record.reason or "")
    assert "says nothing of the system" in (ended.record.reason or "")
    failures = ended.record.figures.failures
    assert "proxy" in failures
    assert set(failures) <= {"proxy", "cancelled"}
    assert is_turned_away("proxy")
    assert ended.record.figures.n_completed == sut.received > 0


def test_a_connection_that_ends_may_have_been_ended_by_the_proxy(engine, start_sut, proxies):
    sut, proxy = start_sut(service_ms=600), proxies()
    proxy.lasts_s = 0.2
    ended = engine.drive(through(proxy, sut.url), n_samples=4, load=Concurrency(target=2))
    assert ended.record.figures.n_completed == 0
    assert ended.outcomes == {"proxy"}
    words = f"the connection through the proxy http://127.0.0.1:{proxy.port} was closed: "
    assert all((query.detail or "").startswith(words) for query in ended.queries)


def test_a_proxy_that_gives_fewer_connections_gets_no_more(engine, start_sut, proxies):
    sut, proxy = start_sut(lanes=64), proxies()
    proxy.refuses = lambda number: reply(b"", status="503 Too Many") if number >= 3 else None
    ended = engine.drive(through(proxy, sut.url), load=Concurrency(target=8), n_samples=32)
    assert ended.outcomes == {"completed"}
    assert ended.record.connections_taken == 3


@pytest.mark.parametrize("early", [b"", b"HTTP/1.1 200", b"\r\n\r\n"])
def test_the_reply_to_connect_may_be_cut_anywhere(early):
    raw = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 x\r\n\r\n" + early

    async def tunnel(at: int) -> bytes:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            opening = asyncio.ensure_future(open_tunnel(Proxy("p", 1), ours, "h", 80))
            theirs.send(raw[:at])
            for _ in range(4):
                await asyncio.sleep(0)
            theirs.send(raw[at:])
            found = await opening
            ours.setblocking(True)
            return found + (ours.recv(100) if len(found) < len(early) else b"")

    for at in range(1, len(raw)):
        assert asyncio.run(tunnel(at)) == early
