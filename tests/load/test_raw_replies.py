"""Replies of every shape that HTTP has, from a server whose every byte is ours, through whole phases."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.runs.spec import Concurrency
from tests.support.ipv6 import needs_ipv6
from tests.support.raw_server import BODY, NOT_ALLOWED, RawServer, reply, requests, server_tls

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"".join(b"%x;ext=1\r\n%b\r\n" % (1, BODY[at : at + 1]) for at in range(len(BODY)))
BARE_10 = b"HTTP/1.0 200 OK\r\n\r\n" + BODY

KEPT = {
    "length": reply(),
    "1.0, kept": reply(version="1.0", fields="Connection: keep-alive\r\n"),
    "chunks": CHUNKED + CHUNKS + b"0\r\n\r\n",
    "trailers": CHUNKED.replace(b"Transfer", b"Trailer: X-Sum\r\nTransfer") + CHUNKS + b"0\r\nX-Sum: 7\r\n\r\n",
    "informational": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + reply(),
    "line feeds": reply().replace(b"\r\n", b"\n"),
    "127 fields": reply(fields="".join(f"X-{n}: y\r\n" for n in range(127))),
    "a long field": reply(fields=f"X: {'y' * 8189}\r\n"),
}
LINE_TOO_MANY = reply() + b"\r\n"
CLOSED = {
    "close": reply(fields="Connection: close\r\n"),
    "1.0": reply(version="1.0"),
    "1.0, until closed": BARE_10,
    "1.1, until closed": BARE_10.replace(b"1.0", b"1.1"),
}
FAILED = {
    "128 fields beside the length": (reply(fields="".join(f"X-{n}: y\r\n" for n in range(128))), "protocol"),
    "a field too long": (reply(fields=f"X: {'y' * 8190}\r\n"), "protocol"),
    "an informational body": (b"HTTP/1.1 103 Hints\r\nContent-Length: 1\r\n\r\nx" + reply(), "protocol"),
    "a body too long": (reply(b"x" * 2**21), "too_large"),
    "two lengths": (reply(fields="Content-Length: 1\r\n"), "protocol"),
}


@pytest.fixture
def answers() -> Iterator[Callable[..., RawServer]]:
    """Start a server that answers each query with the same bytes, cut into pieces of a size."""
    servers: list[RawServer] = []

    def start(raw: bytes, *, size: int = 2**22, closes: bool = False, **options: Any) -> RawServer:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async for asked in requests(reader):
                if asked.method == "GET":
                    writer.write(NOT_ALLOWED)
                    continue
                for at in range(0, len(raw), size):
                    writer.write(raw[at : at + size])
                    await writer.drain()
                    await asyncio.sleep(0)
                server.answered += 1
                if closes:
                    return

        server = RawServer(serve, **options)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("size", [1, 7, 2**22])
@pytest.mark.parametrize("raw", KEPT.values(), ids=KEPT)
def test_a_reply_is_read_and_its_connection_kept(engine, answers, raw, size):
    if len(raw) > 1000 and size == 1:
        size = 97
    server = answers(raw, size=size)
    ended = engine.drive(server.url, n_samples=12, load=Concurrency(target=2))
    assert (ended.record.status, ended.outcomes) == ("complete", {"completed"})
    assert {query.reply_bytes for query in ended.queries} == {len(BODY)}
    assert not any(query.resent for query in ended.queries)
    assert server.accepted == 2


@pytest.mark.parametrize("size", [1, len(reply()) + 1, 2**22])
def test_an_empty_line_behind_a_reply_is_no_reply(engine, answers, size):
    server = answers(LINE_TOO_MANY, size=size)
    ended = engine.drive(server.url, n_samples=12, load=Concurrency(target=2))
    assert (ended.record.status, ended.outcomes) == ("complete", {"completed"})
    assert not any(query.resent for query in ended.queries)
    if size == 2**22:  # what still arrives when the next query is due has that query sent on another connection
        assert server.accepted == 2


@pytest.mark.parametrize("raw", CLOSED.values(), ids=CLOSED)
def test_a_reply_that_ends_its_connection_is_read(engine, answers, raw):
    server = answers(raw, closes=True)
    ended = engine.drive(server.url, n_samples=12, load=Concurrency(target=2))
    assert (ended.record.status, ended.outcomes) == ("complete", {"completed"})
    assert {query.reply_bytes for query in ended.queries} == {len(BODY)}
    assert not any(query.resent for query in ended.queries)
    assert server.accepted == 12


@pytest.mark.parametrize(("raw", "reason"), FAILED.values(), ids=FAILED)
def test_a_reply_beyond_a_limit_fails_its_query(engine, answers, raw, reason):
    ended = engine.drive(answers(raw).url, n_samples=2, load=Concurrency(target=1))
    assert ended.outcomes == {reason}


@pytest.mark.parametrize("more", [b"\x00noise", b'", "rest": 7}', b"H", reply()], ids=["null", "rest", "byte", "reply"])
@pytest.mark.parametrize("size", [2**22, len(reply())], ids=["at once", "behind"])
def test_what_comes_behind_a_reply_leaves_no_verdict(engine, answers, more, size):
    server = answers(reply() + more, size=size)
    ended = engine.drive(server.url, n_samples=8, load=Concurrency(target=2))
    assert ended.record.status == "refused"
    assert "answers what was not asked" in (ended.record.reason or "")
    assert not any(query.ok for query in ended.queries)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("more", "closes", "status"),
    [(b"", False, "complete"), (b"", True, "complete"), (b"\r\n", False, "complete"), (b"noise", False, "refused")],
    ids=["kept", "closed", "an empty line", "noise"],
)
def test_so_it_is_over_tls(engine, answers, certificate, version, more, closes, status):
    """What TLS itself has to say, such as tickets and close_notify, is nothing that nobody asked for."""
    pair = Path(certificate[0]), Path(certificate[1])
    server = answers(reply() + more, closes=closes, tls=server_tls(pair, version=version))
    target = Target(urls=(server.url,), ca_file=pair[0])
    ended = engine.drive(target, n_samples=12, load=Concurrency(target=2))
    assert ended.record.status == status
    if status == "complete":
        assert ended.outcomes == {"completed"}
        assert server.answered == 12


@needs_ipv6
def test_addresses_of_both_kinds_take_turns(engine, answers):
    four, six = answers(reply()), answers(reply(), host="::1")
    ended = engine.drive(Target(urls=(four.url, six.url)), n_samples=12, load=Concurrency(target=4))
    assert ended.outcomes == {"completed"}
    assert (four.answered, six.answered) == (6, 6)
    assert ended.record.endpoint == ", ".join(sorted([four.url, six.url]))


@pytest.mark.parametrize("value", [b"HIT caf\xe9", b"\xff" * 400, b"\xed\xa0\x80"], ids=repr)
def test_a_cache_s_header_that_is_no_text_loses_no_record(engine, answers, value):
    ended = engine.drive(answers(reply(fields="X-Cache: @\r\n").replace(b"@", value)).url)
    assert ended.record.status == "complete"
    assert sorted(query.query for query in ended.queries) == list(range(16))
    assert {query.cache_header for query in ended.queries} == {
        ("x-cache: " + value.decode("utf-8", "backslashreplace"))[:120]
    }
