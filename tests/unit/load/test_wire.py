"""One connection and its parser: replies of every shape, however they are cut, and what ends a connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from pytest_mlperf_audit.load.broken import NoReplyError
from pytest_mlperf_audit.load.target import Target, addresses
from pytest_mlperf_audit.load.transport import TransportError
from pytest_mlperf_audit.load.wire import Connection

[ADDRESS] = addresses(Target(urls=("http://h",)), "/", {})
OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"X-Cache: HIT\r\nContent-Length: 4\r\n\r\nbody"


class Wire(asyncio.Transport):
    """The server's end: notes what is written, and whether the client has closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def close(self) -> None:
        self.closed = True

    abort = close


@dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        assert self.status == 0
        self.status, self.headers = status, dict(headers)

    def on_data(self, data: bytes, at_ns: int) -> None:
        assert at_ns > 0
        self.body += data

    def on_resent(self) -> None:
        pass


class Talk:
    """A connection that is open, with its server."""

    def __init__(self) -> None:
        self.n_unasked = self.n_lost = 0
        self.wire, self.reply = Wire(), Reply()
        self.connection = Connection(asyncio.get_running_loop(), ADDRESS, self._unasked, self._lost)
        self.connection.connection_made(self.wire)

    def _unasked(self) -> None:
        self.n_unasked += 1

    def _lost(self, connection: Connection) -> None:
        assert connection is self.connection
        self.n_lost += 1

    def ask(self, most_bytes: int = 1000) -> asyncio.Future[None]:
        return self.ask_for(Reply(), most_bytes)

    def ask_for(self, reply: Reply, most_bytes: int = 1000) -> asyncio.Future[None]:
        self.reply, waiter = reply, asyncio.get_running_loop().create_future()

        def ended(error: BaseException | None) -> None:
            waiter.set_result(None) if error is None else waiter.set_exception(error)

        self.connection.ask(b"POST", reply, most_bytes, ended)
        return waiter

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.connection.data_received(part)

    def end(self, exc: Exception | None = None) -> None:
        self.connection.eof_received()
        self.connection.connection_lost(exc)


def run(scenario: Callable[[Talk], Awaitable[None]]) -> None:
    async def talk() -> None:
        await scenario(Talk())

    asyncio.run(talk())


def cuts(raw: bytes) -> list[Sequence[bytes]]:
    return [[raw], [bytes([byte]) for byte in raw], *([raw[:at], raw[at:]] for at in range(1, len(raw)))]


KEPT = {
    "length": WHOLE,
    "chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nbod\r\n1;x=y\r\ny\r\n0\r\nX-Sum: 1\r\n\r\n",
    "continue": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: <x>\r\n\r\n" + WHOLE,
    "line feeds": WHOLE.replace(b"\r\n", b"\n"),
    "1.0, kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbody",
    "a line too many": WHOLE + b"\r\n",
}
CLOSED = {
    "close": OK + b"Connection: close\r\nContent-Length: 4\r\n\r\nbody",
    "1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody",
}
UNTIL_CLOSED = {
    "until closed": OK + b"\r\nbody",
    "1.0, until closed": b"HTTP/1.0 200 OK\r\n\r\nbody",
    "another coding": OK + b"Transfer-Encoding: identity\r\n\r\nbody",
}


@pytest.mark.parametrize("raw", KEPT.values(), ids=KEPT)
def test_a_reply_is_whole_however_it_is_cut_and_its_connection_is_kept(raw):
    async def scenario(talk: Talk) -> None:
        for parts in cuts(raw) * 2:
            waiter = talk.ask()
            talk.send(*parts)
            await waiter
            assert (talk.reply.status, talk.reply.body) == (200, b"body")
            assert talk.connection.usable
        assert talk.n_unasked == 0

    run(scenario)


@pytest.mark.parametrize("raw", [*CLOSED.values(), *UNTIL_CLOSED.values()], ids=[*CLOSED, *UNTIL_CLOSED])
def test_a_reply_that_ends_its_connection_is_whole_however_it_is_cut(raw):
    async def scenario() -> None:
        for parts in cuts(raw):
            talk = Talk()
            waiter = talk.ask()
            talk.send(*parts)
            assert waiter.done() == (raw in CLOSED.values())
            talk.end()
            await waiter
            assert talk.reply.body == b"body"
            assert not talk.connection.usable
            assert (talk.n_unasked, talk.n_lost) == (0, 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("raw", [*KEPT.values(), *CLOSED.values()], ids=[*KEPT, *CLOSED])
def test_a_reply_that_is_cut_off_is_not_whole(raw):
    async def scenario() -> None:
        for at in range(len(raw.rstrip(b"\r\n"))):
            talk = Talk()
            waiter = talk.ask()
            talk.send(*([raw[:at]] if at else []))
            talk.end()
            with pytest.raises(TransportError) as caught:
                await waiter
            assert isinstance(caught.value, NoReplyError) == (at == 0)
            assert caught.value.reason == ("truncated" if talk.reply.status else "reset")

    asyncio.run(scenario())


@pytest.mark.parametrize("raw", UNTIL_CLOSED.values(), ids=UNTIL_CLOSED)
def test_a_reset_does_not_end_a_body_that_closing_would(raw):
    async def scenario(talk: Talk) -> None:
        waiter = talk.ask()
        talk.send(raw)
        talk.end(ConnectionResetError(104, "Connection reset by peer"))
        with pytest.raises(TransportError, match="Connection reset by peer") as caught:
            await waiter
        assert caught.value.reason == "truncated"

    run(scenario)


def test_a_reset_before_any_byte_is_no_reply():
    async def scenario(talk: Talk) -> None:
        waiter = talk.ask()
        talk.end(ConnectionResetError(104, "Connection reset by peer"))
        with pytest.raises(NoReplyError) as caught:
            await waiter
        assert caught.value.reason == "reset"

    run(scenario)


@pytest.mark.parametrize("more", [b"H", b"HTTP/1.1 200 OK\r\n", WHOLE, WHOLE * 2, b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_reply_begun_unasked_ends_the_connection_and_is_named_once(more, at_once):
    async def scenario(talk: Talk) -> None:
        waiter = talk.ask()
        talk.send(*([WHOLE + more] if at_once else [WHOLE, more]))
        await waiter
        assert talk.reply.body == b"body"
        assert talk.n_unasked == 1
        assert talk.wire.closed
        assert not talk.connection.usable
        talk.send(WHOLE)
        assert talk.n_unasked == 1
        with pytest.raises(NoReplyError, match="closed before the query was sent"):
            await talk.ask()

    run(scenario)


def test_a_reply_before_the_first_query_is_unasked():
    async def scenario(talk: Talk) -> None:
        talk.send(WHOLE)
        assert (talk.n_unasked, talk.connection.usable) == (1, False)

    run(scenario)


NOISE = {
    "null": b"\x00noise",
    "banner": b"SSH-2.0-OpenSSH\r\n",
    "blank": b" ",
    "behind a line": b"\r\n\r\nX",
    "bad status": b"HTTP/1.1 abc\r\n\r\n",
    "the rest of a body": b'", "more": 7}',
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
@pytest.mark.parametrize("raw", KEPT.values(), ids=KEPT)
def test_what_is_no_reply_is_unasked_however_it_is_cut(raw, noise):
    async def scenario() -> None:
        for parts in cuts(raw + noise):
            talk = Talk()
            waiter = talk.ask()
            talk.send(*parts)
            await waiter
            assert (talk.reply.status, talk.reply.body) == (200, b"body")
            assert (talk.n_unasked, talk.connection.usable, talk.wire.closed) == (1, False, True)

    asyncio.run(scenario())


@pytest.mark.parametrize("more", [b"\r\n", b"\n", b"\r\n\r\n"])
@pytest.mark.parametrize("raw", KEPT.values(), ids=KEPT)
def test_empty_lines_behind_a_reply_are_nothing_however_they_are_cut(raw, more):
    async def scenario(talk: Talk) -> None:
        for parts in cuts(raw + more):
            waiter = talk.ask()
            talk.send(*parts)
            await waiter
            assert (talk.reply.body, talk.n_unasked, talk.connection.usable) == (b"body", 0, True)

    run(scenario)


@pytest.mark.parametrize("more", [b"X", b"\x00", WHOLE])
@pytest.mark.parametrize("raw", CLOSED.values(), ids=CLOSED)
def test_what_follows_a_reply_that_ends_its_connection_could_be_no_query_s(raw, more):
    async def scenario() -> None:
        for parts in cuts(raw + more):
            talk = Talk()
            waiter = talk.ask()
            talk.send(*parts)
            await waiter
            assert (talk.reply.body, talk.n_unasked, talk.connection.usable) == (b"body", 0, False)

    asyncio.run(scenario())


def test_noise_before_the_first_query_is_unasked():
    async def scenario(talk: Talk) -> None:
        talk.send(b"SSH-2.0-OpenSSH\r\n")
        assert (talk.n_unasked, talk.connection.usable) == (1, False)

    run(scenario)


def test_a_kept_connection_that_ends_behind_an_empty_line_gave_no_reply():
    async def scenario(talk: Talk) -> None:
        waiter = talk.ask()
        talk.send(WHOLE)
        await waiter
        waiter = talk.ask()
        talk.send(b"\r\n")
        talk.end()
        with pytest.raises(NoReplyError):
            await waiter

    run(scenario)


def test_an_alert_of_tls_in_place_of_a_reply_is_named():
    async def scenario(talk: Talk) -> None:
        waiter = talk.ask()
        talk.end(ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required"))
        with pytest.raises(NoReplyError, match="CERTIFICATE_REQUIRED") as caught:
            await waiter
        assert caught.value.reason == "tls"

    run(scenario)


@pytest.mark.parametrize(("status", "n_unasked"), [(b"200 OK", 1), (b"413 Too Large", 0), (b"401 No", 0)])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_reply_begun_before_its_query_is_sent_ends_the_connection(status, n_unasked, at_once):
    """An answer is named, also where it is whole once the query is sent; a refusal is none."""

    async def scenario(talk: Talk) -> None:
        waiter = talk.ask()
        talk.wire.unsent = 9
        raw = WHOLE.replace(b"200 OK", status)
        talk.send(*([raw] if at_once else [raw[:-1]]))
        if not at_once:
            talk.wire.unsent = 0
            talk.send(raw[-1:])
        await waiter
        assert (talk.reply.body, talk.connection.usable, talk.n_unasked) == (b"body", False, n_unasked)

    run(scenario)


def test_a_continue_may_come_before_its_query_is_sent():
    async def scenario(talk: Talk) -> None:
        waiter = talk.ask()
        talk.wire.unsent = 9
        talk.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        talk.wire.unsent = 0
        talk.send(WHOLE)
        await waiter
        assert (talk.connection.usable, talk.n_unasked) == (True, 0)

    run(scenario)


@pytest.mark.parametrize(
    ("raw", "reason", "detail"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "protocol", r"Expected HTTP/.*: b'SSH-2.0-OpenSSH'"),
        (OK + b"x: y\r\n" + b"".join(b"%d: y\r\n" % n for n in range(200)) + b"\r\n", "protocol", "Too many headers"),
        (OK + b"x: " + b"y" * 9000 + b"\r\n\r\n", "protocol", "more than 8190 bytes"),
        (OK + b"x: " + b"y" * 300_000, "protocol", "bytes beside the reply's body"),
        (OK + b"x: a\0b\r\n\r\n", "protocol", "Invalid HTTP header"),
        (
            OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"".join(b"%d: y\r\n" % n for n in range(50_000)),
            *("protocol", "bytes beside the reply's body"),
        ),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody?", "protocol", "Expected LF after chunk data"),
        (OK + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody", "protocol", "Content-Length"),
        (OK + b"Content-Length: 1001\r\n\r\n" + b"x" * 1001, "too_large", "the reply exceeds 1000 bytes"),
    ],
)
def test_what_is_wrong_with_a_reply_is_named_and_ends_the_connection(raw, reason, detail):
    async def scenario(talk: Talk) -> None:
        waiter = talk.ask()
        talk.send(*(raw[at : at + 65536] for at in range(0, len(raw), 65536)))
        with pytest.raises(TransportError, match=detail) as caught:
            await waiter
        assert caught.value.reason == reason
        assert talk.wire.closed

    run(scenario)


def test_a_switch_of_protocols_is_a_reply_and_ends_the_connection():
    async def scenario() -> None:
        for upgrade in (b"", b"Connection: upgrade\r\nUpgrade: x\r\n"):
            talk = Talk()
            waiter = talk.ask()
            talk.send(b"HTTP/1.1 101 Switching\r\n" + upgrade + b"\r\n")
            await waiter
            assert (talk.reply.status, talk.connection.usable, talk.n_unasked) == (101, False, 0)

    asyncio.run(scenario())


def test_an_error_of_who_reads_the_reply_is_passed_on():
    class Broken(Reply):
        def on_data(self, data: bytes, at_ns: int) -> None:  # noqa: ARG002 - as the seam has it
            raise KeyError("an adapter's defect")

    async def scenario(talk: Talk) -> None:
        waiter = talk.ask_for(Broken())
        talk.send(WHOLE)
        with pytest.raises(KeyError):
            await waiter
        assert talk.wire.closed

    run(scenario)


def test_headers_are_found_in_any_case():
    async def scenario(talk: Talk) -> None:
        class Looking(Reply):
            def on_head(self, status: int, headers: Mapping[str, str]) -> None:
                assert "x-CACHE" in headers
                assert cast("object", 7) not in headers
                assert headers.get("Content-length") == "4"
                assert headers.get("Age", "none") == "none"
                super().on_head(status, headers)

        waiter = talk.ask_for(looking := Looking())
        talk.send(WHOLE.replace(b"HIT", b"HIT\xff \t\r\nX-Cache: MISS\r\nx-cache: MISS"))
        await waiter
        assert looking.headers == {"x-cache": "HIT\\xff", "content-length": "4"}

    run(scenario)
