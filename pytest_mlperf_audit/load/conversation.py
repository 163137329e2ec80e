"""One request and its reply on one connection, and the books on what each connection was asked."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from types import TracebackType

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError

from .backlog import Backlog
from .transport import TransportError


class NoReplyError(TransportError):
    """The connection was closed before any byte of a reply."""


class Books:
    """Which connections have answered a request, and how many were found with a reply that none had asked for.

    A connection with such a reply is one reply ahead: whatever came on it may be the answer to another query.
    """

    def __init__(self) -> None:
        self.unasked = 0
        self.backlog = Backlog()
        self._asked: set[ResponseHandler] = set()
        self._bodies: dict[ResponseHandler, aiohttp.StreamReader] = {}

    def was_asked(self, protocol: ResponseHandler | None) -> bool:
        """Whether this connection has answered before, and so is a kept one."""
        return protocol in self._asked

    def usable(self, protocol: ResponseHandler) -> bool:
        """Whether a request may go out on a connection; an unread reply on it is noted."""
        self.unasked += unread(protocol)
        return not protocol.should_close

    def began(self, protocol: ResponseHandler, at_s: float) -> None:
        """Note that a request goes out on this connection."""
        self.backlog.sent(protocol, at_s, kept=protocol in self._asked)

    def ended(self, protocol: ResponseHandler, began_s: float, now_s: float, *, well: bool) -> bool:
        """Note that a request on this connection has ended; return whether to keep it for another."""
        self.unasked += well and unread(protocol)
        self.backlog.ended(protocol, began_s, now_s, well=well)
        if well and not protocol.should_close:
            self._asked.add(protocol)
            return not self.backlog.wants_a_place()
        self._asked.discard(protocol)
        return well

    def reading(self, protocol: ResponseHandler, body: aiohttp.StreamReader) -> None:
        """Note the body that is read on a connection, whose reader is told when the connection is lost.

        aiohttp tells it of a body that was cut. After some broken chunks it tells the connection alone; then who waits
        for the body would wait for ever, and no time limit could end it, since there is nothing left to cut.
        """
        known = protocol in self._bodies
        self._bodies[protocol] = body
        if known:
            return
        if (closed := protocol.closed) is None:
            self._lost(protocol)
        else:
            closed.add_done_callback(partial(self._lost, protocol))

    def _lost(self, protocol: ResponseHandler, closed: asyncio.Future[None] | None = None) -> None:
        if closed is not None and not closed.cancelled():
            closed.exception()  # asyncio complains of one that nobody has looked at
        body = self._bodies.pop(protocol)
        self._asked.discard(protocol)
        if not body.is_eof() and body.exception() is None:
            body.set_exception(protocol.exception() or aiohttp.ServerDisconnectedError())


def unread(protocol: ResponseHandler) -> bool:
    """Whether there is a reply on a connection on which nothing is owed."""
    return bool(protocol._buffer or protocol._tail)  # noqa: SLF001 - aiohttp's own `should_close` tells it from nothing


class Conversation:
    """One request and its reply on one connection: kept for the next when it ended well, else closed.

    What went wrong leaves as a TransportError. At `due_at` on the loop's clock the connection is cut.
    """

    __slots__ = ("_began_s", "_books", "_connection", "_loop", "_overdue", "_protocol", "_timer")

    def __init__(
        self, connection: Connection, loop: asyncio.AbstractEventLoop, due_at: float | None, books: Books
    ) -> None:
        self._connection = connection
        self._protocol = connection.protocol
        self._books = books
        self._loop = loop
        self._began_s = loop.time()
        self._overdue = False
        self._timer = None if due_at is None else loop.call_at(due_at, self._cut)

    def __enter__(self) -> ResponseHandler:
        protocol = self._protocol
        if protocol is not None:
            self._books.began(protocol, self._began_s)
        if protocol is None or protocol.transport is None:
            self._end(well=False)
            raise TransportError("reset", "the connection was closed before the query was sent")
        return protocol

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(well=error is None)
        if self._overdue and (error is None or isinstance(error, (*CLIENT_ERRORS, NoReplyError))):
            raise TransportError("timeout", "no whole reply within the time limit") from error
        if isinstance(error, CLIENT_ERRORS):
            raise TransportError(reason_of(error), text_of(error)) from error

    def _cut(self) -> None:
        self._overdue = True
        if transport := self._connection.transport:
            transport.abort()

    def _end(self, *, well: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._protocol is not None:
            well = self._books.ended(self._protocol, self._began_s, self._loop.time(), well=well)
        if well:
            self._connection.release()
        else:
            self._connection.close()


CLIENT_ERRORS = (aiohttp.ClientError, HttpProcessingError, OSError)

#: Checked in order, since aiohttp's classes derive from one another.
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (aiohttp.ClientSSLError, "tls"),
    (ssl.SSLError, "tls"),
    (aiohttp.ClientConnectorError, "connect"),
    (aiohttp.ServerTimeoutError, "connect"),
    (aiohttp.ServerDisconnectedError, "reset"),
    (aiohttp.ClientPayloadError, "truncated"),
    (ConnectionRefusedError, "connect"),
    (OSError, "reset"),
)


def reason_of(error: BaseException) -> str:
    """Return the reason class of an error of the client's."""
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "protocol")


def text_of(error: BaseException) -> str:
    """Return what an exception says; a parser's would put a status before it that the server never sent."""
    if isinstance(error, aiohttp.ClientPayloadError) and error.__cause__ is not None:
        error = error.__cause__  # what it says quotes the parser's error, made-up status included
    text = (error.message if isinstance(error, HttpProcessingError) else str(error)) or type(error).__name__
    return text.replace(" ssl:default", "")  # aiohttp's word for "the usual checks", said of plain HTTP as well
