"""The client: aiohttp's connections and HTTP parser behind the Transport seam.

aiohttp's ClientSession builds each request anew, and that costs three times what its connections and parser do. Here
the head of a request is a constant, which also makes repeats identical on the wire by construction.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter_ns
from types import TracebackType

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError

from ..errors import EndpointError
from .address import Address, addresses
from .target import Target
from .transport import Message, ReplyEvents, TransportError

#: Opening connections is a courtesy to the measurement; a server that is slow to take one must not hold it up.
_PATIENCE_S = 5.0
_MOST_GET_BYTES = 2**20
#: A connection that is not closed within this time is taken for one that a server holds.
_HELD_S = 0.3
_REFUSAL_TRIES = 3

_READ_BYTES = 2**16
_FINAL = 200
_SWITCHING = 101


class AiohttpTransport:
    """Pooled connections to one target, to be used on the loop it was made on.

    Redirects are not followed, so credentials never travel to another host; no cookie is kept, no body decompressed.
    Raises EndpointError when the target's `ca_file` cannot be used.
    """

    def __init__(self, target: Target, path: str, headers: Mapping[str, str], max_reply_bytes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._addresses = addresses(target, path, headers)
        self._next_address = itertools.cycle(self._addresses)
        self._connect_timeout_s = target.connect_timeout_s
        self._max_reply_bytes = max_reply_bytes
        self._connector = aiohttp.TCPConnector(
            limit=0, ttl_dns_cache=None, keepalive_timeout=target.max_idle_s, ssl=tls(target)
        )
        # The connector asks a request object only for its address, so one for each address will do.
        self._openers = {
            address: aiohttp.ClientRequest("POST", address.url, loop=self._loop) for address in self._addresses
        }
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}
        self._greeted: set[ResponseHandler] = set()
        self._greetings: dict[Address, set[int]] = {}
        self._asked: set[ResponseHandler] = set()
        self._unasked = 0

    async def connect(self, connections: int) -> list[TransportError]:
        """Open connections, shared evenly by the addresses, each with a GET that no server takes for a query.

        The GET makes sure that the server has accepted the connection; one that is open already is left in peace.
        """
        self._greeted = {protocol for protocol in self._greeted if protocol.is_connected()}
        self._asked = {protocol for protocol in self._asked if protocol.is_connected()}
        share = -(-connections // len(self._addresses))
        held: list[tuple[Address, Connection]] = []

        async def hold(address: Address) -> TransportError | None:
            try:
                held.append((address, await self._acquire(address, _PATIENCE_S)))
            except TransportError as error:
                return error
            return None

        try:
            failed = await asyncio.gather(*(hold(address) for address in self._addresses for _ in range(share)))
            fresh = [(address, one) for address, one in held if one.protocol not in self._greeted]
            failed += await asyncio.gather(*(self._greet(address, one) for address, one in fresh))
        finally:
            for _, connection in held:
                connection.release()
        return [error for error in failed if error is not None]

    async def status(self) -> list[int]:
        """Return each address's status for a GET of the query's path: 401 or 403 tells of a refused key.

        Raises TransportError when an address cannot be reached.
        """
        replies = []
        for address in self._addresses:
            replies.append(_StatusOnly())
            await self._get(address, await self._acquire(address, None), replies[-1])
        return [reply.status for reply in replies]

    async def refusal(self) -> TransportError | None:
        """Try a new connection to each address; one that is closed without a word is tried again."""
        for address in self._addresses:
            for _ in range(_REFUSAL_TRIES):
                try:
                    if await self._stays_open(address):
                        break
                except (OSError, asyncio.TimeoutError) as error:
                    return TransportError("connect", _text(error))
            else:
                return TransportError("connect", "every new connection is closed at once")
        return None

    async def _stays_open(self, address: Address) -> bool:
        """Open a connection and see whether it lasts: the system still takes some for a process that is dying."""
        opening = asyncio.open_connection(address.url.host, address.url.port)
        reader, writer = await asyncio.wait_for(opening, min(self._connect_timeout_s, _PATIENCE_S))
        try:
            return bool(await asyncio.wait_for(reader.read(1), _HELD_S))
        except asyncio.TimeoutError:
            return True  # the server waits for a request
        except ConnectionError:
            return False
        finally:
            writer.close()

    async def owed(self, patience_s: float) -> str | None:
        """Return what shows that queries got replies of others, or None: each idle connection is greeted once more.

        A connection that is one reply ahead answers the greeting with the reply that its last query should have had;
        one that answered its first greeting and is silent for `patience_s` still owes that reply.
        """
        owing = 0
        for address, greetings in self._greetings.items():
            key = self._openers[address].connection_key
            idle: list[Connection] = []
            while (kept := await self._connector._get(key, [])) is not None:  # noqa: SLF001 - there is no public way
                idle.append(kept)
            owing += sum(await asyncio.gather(*(self._owes(address, one, greetings, patience_s) for one in idle)))
        return f"{owing} connections answered a last GET with a reply that was due before it" if owing else None

    async def _owes(self, address: Address, connection: Connection, greetings: set[int], patience_s: float) -> bool:
        protocol = connection.protocol
        if protocol not in self._asked or protocol is None or protocol.should_close:
            owes = protocol is not None and _unread(protocol)
            connection.close()
            return owes
        reply = _StatusOnly()
        try:
            await self._get(address, connection, reply, patience_s)
        except TransportError as error:
            return error.reason == "timeout"
        return reply.status not in greetings

    def unasked(self) -> str | None:
        """Return what shows that replies came unasked, so that none can be matched to its query, or None."""
        idle = sum(_unread(protocol) for kept in self._connector._conns.values() for protocol, _ in kept)  # noqa: SLF001
        if not (found := self._unasked + idle):
            return None
        return f"{found} connections had a reply on them that no query had asked for"

    async def post(self, message: Message, reply: ReplyEvents, timeout_s: float | None) -> None:
        """POST a query and feed the reply to `reply`; see Transport."""
        if message.route is None:
            address = next(self._next_address)
        else:
            address = self._addresses[message.route % len(self._addresses)]
        due_at = None if timeout_s is None else self._loop.time() + timeout_s
        request = address.post(message.body, message.query)
        connection = await self._acquire(address, timeout_s)
        reused = connection.protocol in self._asked or connection.protocol in self._greeted
        try:
            await self._ask(connection, request, reply, due_at, self._max_reply_bytes)
        except _NoReplyError:
            if not reused:
                raise
            # A kept connection may be closed just as a query goes out on it (RFC 9110, 9.2.2 and RFC 9112, 9.3.1).
            reply.on_resent()
            connection = await self._acquire(address, timeout_s, fresh=True)
            await self._ask(connection, request, reply, due_at, self._max_reply_bytes)

    async def close(self) -> None:
        """Close every connection; TLS connections get a turn of the loop to say goodbye."""
        await self._connector.close()
        await asyncio.sleep(0)

    async def _acquire(self, address: Address, timeout_s: float | None, *, fresh: bool = False) -> Connection:
        """Return a connection on which nothing is unread, and no query was sent yet where it has to be `fresh`."""
        while True:
            connection = await self._connect(address, timeout_s)
            protocol = connection.protocol
            if protocol is None:
                return connection
            if _unread(protocol):
                self._unasked += 1
            elif not protocol.should_close and not (fresh and (protocol in self._asked or protocol in self._greeted)):
                return connection
            connection.close()

    async def _connect(self, address: Address, timeout_s: float | None) -> Connection:
        if timeout_s not in self._timeouts:
            self._timeouts[timeout_s] = aiohttp.ClientTimeout(connect=timeout_s, sock_connect=self._connect_timeout_s)
        try:
            return await self._connector.connect(self._openers[address], traces=[], timeout=self._timeouts[timeout_s])
        except asyncio.TimeoutError as error:
            raise TransportError("connect", "no connection within the time limit") from error
        except _CLIENT_ERRORS as error:
            raise TransportError(_reason(error), _text(error)) from error

    async def _ask(
        self, connection: Connection, request: bytes, reply: ReplyEvents, due_at: float | None, most_bytes: int
    ) -> None:
        with self._conversation(connection, due_at) as protocol:
            protocol.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=_READ_BYTES)
            protocol.transport.write(request)  # type: ignore[union-attr]  # _Conversation has looked
            try:
                head, content = await protocol.read()
            except (aiohttp.ServerDisconnectedError, ConnectionError) as error:
                raise _NoReplyError(_reason(error), _text(error)) from error
            while head.code < _FINAL and head.code != _SWITCHING:
                head, content = await protocol.read()
            reply.on_head(head.code, head.headers)
            left = most_bytes
            while not content.at_eof():
                if data := await content.readany():
                    reply.on_data(data, perf_counter_ns())
                    left -= len(data)
                    if left < 0:
                        raise TransportError("too_large", f"the reply exceeds {most_bytes} bytes")

    @contextmanager
    def _conversation(self, connection: Connection, due_at: float | None) -> Iterator[ResponseHandler]:
        """One request and its reply; what is unread behind the reply was not asked for."""
        with _Conversation(connection, self._loop, due_at) as protocol:
            try:
                yield protocol
            except BaseException:
                self._asked.discard(protocol)
                raise
            if _unread(protocol):
                self._unasked += 1
            elif not protocol.should_close:
                self._asked.add(protocol)

    async def _get(
        self, address: Address, connection: Connection, reply: ReplyEvents, patience_s: float = _PATIENCE_S
    ) -> None:
        due_at = self._loop.time() + patience_s
        await self._ask(connection, address.get_head, reply, due_at, _MOST_GET_BYTES)

    async def _greet(self, address: Address, connection: Connection) -> TransportError | None:
        protocol = connection.protocol
        reply = _StatusOnly()
        try:
            await self._get(address, connection, reply)
        except TransportError as error:
            return error
        self._greetings.setdefault(address, set()).add(reply.status)
        if protocol is not None:
            self._greeted.add(protocol)
        return None


class _Conversation:
    """One request and its reply on one connection: kept for the next when it ended well, else closed.

    What went wrong leaves as a TransportError. At `due_at` on the loop's clock the connection is cut.
    """

    __slots__ = ("_connection", "_overdue", "_timer")

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop, due_at: float | None) -> None:
        self._connection = connection
        self._overdue = False
        self._timer = None if due_at is None else loop.call_at(due_at, self._cut)

    def __enter__(self) -> ResponseHandler:
        protocol = self._connection.protocol
        if protocol is None or protocol.transport is None:
            self._end(well=False)
            raise TransportError("reset", "the connection was closed before the query was sent")
        return protocol

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(well=error is None)
        if self._overdue and (error is None or isinstance(error, (*_CLIENT_ERRORS, _NoReplyError))):
            raise TransportError("timeout", "no whole reply within the time limit") from error
        if isinstance(error, _CLIENT_ERRORS):
            raise TransportError(_reason(error), _text(error)) from error

    def _cut(self) -> None:
        self._overdue = True
        if transport := self._connection.transport:
            transport.abort()

    def _end(self, *, well: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if well:
            self._connection.release()
        else:
            self._connection.close()


class _StatusOnly:
    """Takes a reply of which only the status matters."""

    def __init__(self) -> None:
        self.status = 0

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:  # noqa: ARG002 - one method of three
        """Note the status."""
        self.status = status

    def on_data(self, data: bytes, at_ns: int) -> None:
        """Ignore."""

    def on_resent(self) -> None:
        """Ignore."""


class _NoReplyError(TransportError):
    """The connection was closed before any byte of a reply."""


def _unread(protocol: ResponseHandler) -> bool:
    """Whether a connection on which nothing is owed has a reply on it."""
    return bool(protocol._buffer or protocol._tail)  # noqa: SLF001 - aiohttp does not tell it from being closed


def tls(target: Target) -> ssl.SSLContext | bool:
    """Return how aiohttp is to check certificates. Raises EndpointError when the target's `ca_file` cannot be used."""
    if target.insecure:
        return False
    if not any(url.startswith("https:") for url in (*target.urls, *target.metrics)):
        return True
    try:
        return ssl.create_default_context(cafile=str(target.ca_file) if target.ca_file else None)
    except OSError as error:
        raise EndpointError(
            f"settings.client.ca_file: {target.ca_file} cannot be used ({error.strerror or error}); "
            "give a PEM file of certificate authorities"
        ) from error


_CLIENT_ERRORS = (aiohttp.ClientError, HttpProcessingError, OSError)

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


def _reason(error: BaseException) -> str:
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "protocol")


def _text(error: BaseException) -> str:
    """Return what an exception says; a parser's would put a status before it that the server never sent."""
    if isinstance(error, aiohttp.ClientPayloadError) and error.__cause__ is not None:
        error = error.__cause__  # what it says quotes the parser's error, made-up status included
    text = (error.message if isinstance(error, HttpProcessingError) else str(error)) or type(error).__name__
    return text.replace(" ssl:default", "")  # aiohttp's word for "the usual checks", said of plain HTTP as well
