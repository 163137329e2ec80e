"""Replies as bytes on the wire, whole, cut, and with heads and chunks that no server should send."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .mutate import mutated, pieces


class Answer(NamedTuple):
    """What the server sends for one query. `keeps`: it leaves the connection open."""

    parts: Sequence[bytes]
    keeps: bool


def _body(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    return json.dumps({"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()


_FIRST, SECOND = _body("first"), _body("second")
_JSON = b"Content-Type: application/json\r\n"
_OK = b"HTTP/1.1 200 OK\r\n" + _JSON


def with_length(body: bytes, start: bytes = _OK) -> bytes:
    """Return a reply whose length is told."""
    return b"%bContent-Length: %d\r\n\r\n%b" % (start, len(body), body)


def _chunked(body: bytes, size: int = 40, trailer: bytes = b"") -> bytes:
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"%bTransfer-Encoding: chunked\r\n\r\n%b0\r\n%b\r\n" % (_OK, coded, trailer)


_ERROR = b'{"error": {"message": "no"}}'
#: Whole replies; of the first ones any strict start is less than a reply.
_WHOLE: Sequence[bytes] = (
    with_length(_FIRST),
    with_length(_FIRST, _OK + b"Server: x\r\nX-Cache: HIT\r\nAge: 7\r\nSet-Cookie: a=b; Path=/\r\n"),
    _chunked(_FIRST),
    _chunked(_FIRST, 7, b"X-Sum: 1\r\n"),
    _OK + b"Connection: close\r\n\r\n" + _FIRST,
    b"HTTP/1.0 200 OK\r\n\r\n" + _FIRST,
    b"HTTP/1.1 100 Continue\r\n\r\n" + with_length(_FIRST),
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n" + _chunked(_FIRST),
)
_OTHERS: Sequence[bytes] = (
    with_length(_ERROR, b"HTTP/1.1 404 Not Found\r\n"),
    with_length(_ERROR, b"HTTP/1.1 500 Internal Server Error\r\nRetry-After: 1\r\n"),
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
    with_length(_FIRST, _OK + b"Content-Encoding: gzip\r\n"),
)
_LINES: Sequence[bytes] = (
    *(b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: +7"),
    *(b"Content-Length: 7, 7", b"Content-Length:", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked"),
    *(
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: \x0bchunked",
        b"Connection: close",
        b"Connection: keep-alive",
    ),
    *(
        b"Connection: upgrade",
        b"Upgrade: h2c",
        b"Content-Encoding: br",
        b"X: " + b"y" * 9000,
        b": no name",
        b"No colon",
    ),
    *(
        b" folded",
        b"\tfolded",
        b"X\0Y: 1",
        b"X: \0",
        b"X: \xff\xfe",
        b"X Y: 1",
        b"\xef\xbb\xbfX: 1",
        b"",
        b"Age: \xe2\x80\xae",
    ),
    *(
        b"Cache-Status: " + b"hit, " * 90,
        b"Content-Type: text/event-stream",
        b"Content-Type: \xff",
        b"Set-Cookie: \x1b[31m",
    ),
)
_STATUS_LINES: Sequence[bytes] = (
    *(
        b"HTTP/1.1 200",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 999 ?",
    ),
    *(b"HTTP/2 200", b"HTTP/1.10 200 OK", b"HTTP/0.9 200 OK", b"HTTP/9.9 200 OK", b"http/1.1 200 OK", b"ICY 200 OK"),
    *(
        b"HTTP/1.1 -200 OK",
        b"HTTP/1.1 2e2 OK",
        b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK",
        b"HTTP/1.1 200 \xff\x1b[2J",
        b"200 OK",
    ),
    *(
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 101 No",
        b"HTTP/1.1 304 Not Modified",
        b"SSH-2.0-OpenSSH_9.6",
        b"* OK IMAP4 ready",
    ),
    *(b"HTTP/1.1 200 " + b"x" * 9000, b"", b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0", b"POST / HTTP/1.1"),
)
_SIZES: Sequence[bytes] = (
    *(
        b"-1",
        b"0x10",
        b"ffffffffffffffffffff",
        b" 10",
        b"10 ",
        b"10;x=y",
        b"10;" + b"x" * 9000,
        b"",
        b"g",
        b"0",
        b"1_0",
        b"+5",
    ),
)


def answer(drawn: random.Random) -> tuple[Answer, bool]:
    """Return a reply, and whether it is a whole one of which the end was cut."""
    if drawn.random() < 0.15:
        whole = drawn.choice(_WHOLE)
        return Answer(pieces(whole[: drawn.randrange(len(whole))], drawn), keeps=drawn.random() < 0.5), True
    raw = drawn.choice(_WHOLE if drawn.random() < 0.7 else _OTHERS)
    for _ in range(drawn.randint(1, 3)):
        raw = drawn.choice(_MUTATIONS)(raw, drawn)
    parts = [bytes([byte]) for byte in raw] if drawn.random() < 0.03 and len(raw) < 400 else pieces(raw, drawn)
    return Answer(parts, keeps=drawn.random() < 0.5), False


def _line(raw: bytes, drawn: random.Random) -> bytes:
    """Put a header line into a head."""
    lines = raw.split(b"\r\n")
    lines.insert(drawn.randint(1, max(1, min(len(lines), 6))), drawn.choice(_LINES))
    return b"\r\n".join(lines)


def _status_line(raw: bytes, drawn: random.Random) -> bytes:
    return drawn.choice(_STATUS_LINES) + raw[raw.find(b"\r\n") :]


def _line_ends(raw: bytes, drawn: random.Random) -> bytes:
    return raw.replace(b"\r\n", drawn.choice((b"\n", b"\r", b"\r\r\n", b"\n\r")), drawn.choice((1, 2, -1)))


def _size(raw: bytes, drawn: random.Random) -> bytes:
    """Exchange a line of a body in chunks: its size, or what is in it."""
    head, blank, body = raw.partition(b"\r\n\r\n")
    lines = body.split(b"\r\n")
    lines[drawn.randrange(len(lines))] = drawn.choice(_SIZES)
    return head + blank + b"\r\n".join(lines)


def _more(raw: bytes, drawn: random.Random) -> bytes:
    """Add an unasked reply, or a part of one."""
    more = drawn.choice((*_WHOLE, *_OTHERS))
    return raw + (more if drawn.random() < 0.6 else more[: drawn.randrange(len(more))])


def _bytes(raw: bytes, drawn: random.Random) -> bytes:
    return mutated(raw, drawn, 2)


_MUTATIONS: Sequence[Callable[[bytes, random.Random], bytes]] = (
    *(_line, _line, _status_line, _line_ends, _size, _more, _bytes, _bytes, _bytes),
)
