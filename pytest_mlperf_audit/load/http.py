"""The client: aiohttp's connections and HTTP parser behind the Transport seam.

aiohttp's ClientSession builds each request anew, and that costs three times what its connections and parser do. Here
the head of a request is a constant, which also makes repeats identical on the wire by construction.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Mapping, Sequence
from time import perf_counter_ns

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from ..errors import EndpointError
from .backlog import Gate, takes_connections
from .conversation import CLIENT_ERRORS, Books, Conversation, NoReplyError, reason_of, text_of, unread
from .pattern import NoFilesError, out_of_files
from .target import Address, Target, addresses
from .transport import Message, ReplyEvents, TransportError

#: Opening connections is a courtesy to the measurement; a server that is slow to take one must not hold it up.
_PATIENCE_S = 5.0
_MOST_GET_BYTES = 2**20
#: A connection that is not closed within this time is taken for one that a server holds.
_HELD_S = 0.3
_REFUSAL_TRIES = 3
#: How a greeting fails on a connection that no thread of the server has taken.
_NOT_TAKEN = frozenset({"timeout", "connect"})

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
        # Connections that were greeted are idle meanwhile, and must not be closed before the last has answered.
        self._greeting_s = min(_PATIENCE_S, 0.75 * target.max_idle_s)
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
        self._books = Books()
        self._gates: dict[Address, Gate] = {}
        self._tls = tls(target)
        self._relief: asyncio.Task[None] | None = None

    async def connect(self, connections: int) -> list[TransportError]:
        """Open connections, shared evenly by the addresses, each with a GET that no server takes for a query.

        The GET makes sure that the server has accepted the connection; one that is open already is left in peace.
        """
        self._greeted = {protocol for protocol in self._greeted if protocol.is_connected()}
        share = -(-connections // len(self._addresses))
        failed = await asyncio.gather(*(self._open(address, share) for address in self._addresses))
        return [error for errors in failed for error in errors]

    async def _open(self, address: Address, share: int) -> list[TransportError]:
        """Open connections to one address; where it takes some of them and not the others, it gets no more queries."""
        if address in self._gates:
            share = min(share, self._gates[address].width)
        held: list[Connection] = []

        async def hold() -> TransportError | None:
            try:
                held.append(await self._acquire(address, _PATIENCE_S))
            except TransportError as error:
                return error
            return None

        try:
            failed = await asyncio.gather(*(hold() for _ in range(share)))
            fresh = [one for one in held if one.protocol not in self._greeted]
            failed += await asyncio.gather(*(self._greet(address, one) for one in fresh))
        finally:
            for connection in held:
                connection.release()
        errors = [error for error in failed if error is not None]
        not_taken = sum(error.reason in _NOT_TAKEN for error in errors)
        if 0 < not_taken < share:
            self._narrow(address, share - not_taken)
        return errors

    def taken(self) -> int | None:
        """Return how many connections the addresses take that were found to take fewer than offered; None without."""
        return sum(gate.width for gate in self._gates.values()) or None

    def relieve(self) -> None:
        """Look whether queries starve on connections that the server does not take, and make room for them."""
        if self._relief is not None and not self._relief.done():
            return
        if suspects := self._books.backlog.suspects(self._loop.time()):
            self._relief = self._loop.create_task(self._relieve(suspects))

    async def _relieve(self, suspects: Sequence[ResponseHandler]) -> None:
        """Give kept connections up for starving queries; a GET on a connection of its own tells them from slow ones."""
        backlog = self._books.backlog
        if all(await asyncio.gather(*(takes_connections(one.url, self._tls) for one in self._addresses))):
            backlog.taken(suspects)
            return
        starving = backlog.starving(suspects)
        idle = [protocol for kept in self._connector._conns.values() for protocol, _ in kept]  # noqa: SLF001
        for protocol in idle[:starving]:
            protocol.close()
        backlog.want(max(0, starving - len(idle)))
        if starving and len(self._addresses) == 1:
            self._narrow(self._addresses[0], backlog.in_flight - starving + len(idle))

    def _narrow(self, address: Address, width: int) -> None:
        """Let no more queries be in flight at an address than it takes connections."""
        gate = self._gates.get(address)
        if gate is None or width < gate.width:
            self._gates[address] = Gate(max(1, width))

    def starved(self) -> int:
        """Return how many queries so far have waited on a connection that the server did not take."""
        return self._books.backlog.starved

    async def status(self) -> list[int]:
        """Return each address's status for a GET of the query's path: 401 or 403 tells of a refused key.

        Raises TransportError when an address cannot be reached.
        """
        replies = []
        for address in self._addresses:
            replies.append(_StatusOnly())
            await self._get(address, await self._acquire(address, None), replies[-1], _PATIENCE_S)
        return [reply.status for reply in replies]

    async def refusal(self) -> TransportError | None:
        """Try a new connection to each address; one that is closed without a word is tried again."""
        for address in self._addresses:
            for _ in range(_REFUSAL_TRIES):
                try:
                    if await self._stays_open(address):
                        break
                except (OSError, asyncio.TimeoutError) as error:
                    return TransportError("connect", text_of(error))
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
            while (one := await self._connector._get(key, [])) is not None:  # noqa: SLF001 - there is no public way
                idle.append(one)
            owing += sum(await asyncio.gather(*(self._owes(address, one, greetings, patience_s) for one in idle)))
        return f"{owing} connections answered a last GET with a reply that was due before it" if owing else None

    async def _owes(self, address: Address, connection: Connection, greetings: set[int], patience_s: float) -> bool:
        if connection.protocol is None or not self._books.usable(connection.protocol):
            connection.close()  # what was unread on it is in the books
            return False
        reply = _StatusOnly()
        try:
            await self._get(address, connection, reply, patience_s)
        except TransportError as error:
            return error.reason == "timeout"
        return reply.status == _FINAL and reply.status not in greetings

    def unasked(self) -> str | None:
        """Return what shows that replies came unasked, so that none can be matched to its query, or None."""
        idle = sum(unread(protocol) for kept in self._connector._conns.values() for protocol, _ in kept)  # noqa: SLF001
        if not (found := self._books.unasked + idle):
            return None
        return f"{found} connections had a reply on them that no query had asked for"

    async def post(self, message: Message, reply: ReplyEvents, timeout_s: float | None) -> None:
        """POST a query and feed the reply to `reply`; see Transport."""
        if message.route is None:
            address = next(self._next_address)
        else:
            address = self._addresses[message.route % len(self._addresses)]
        due_at = None if timeout_s is None else self._loop.time() + timeout_s
        if gate := self._gates.get(address):
            async with gate.through(timeout_s):
                await self._post(address, message, reply, due_at, timeout_s)
        else:
            await self._post(address, message, reply, due_at, timeout_s)

    async def _post(
        self, address: Address, message: Message, reply: ReplyEvents, due_at: float | None, timeout_s: float | None
    ) -> None:
        request = address.post(message.body, message.query)
        connection = await self._acquire(address, timeout_s)
        kept = self._books.was_asked(connection.protocol)
        try:
            await self._ask(connection, request, reply, due_at, self._max_reply_bytes)
        except NoReplyError:
            if not kept:
                raise
            # A kept connection may be closed just as a query goes out on it (RFC 9110, 9.2.2 and RFC 9112, 9.3.1).
            reply.on_resent()
            connection = await self._acquire(address, timeout_s, fresh=True)
            await self._ask(connection, request, reply, due_at, self._max_reply_bytes)

    async def close(self) -> None:
        """Close every connection; TLS connections get a turn of the loop to say goodbye."""
        if self._relief is not None:
            self._relief.cancel()
            await asyncio.gather(self._relief, return_exceptions=True)
        await self._connector.close()
        await asyncio.sleep(0)

    async def _acquire(self, address: Address, timeout_s: float | None, *, fresh: bool = False) -> Connection:
        """Return a connection on which nothing is unread, and no query was sent yet where it has to be `fresh`."""
        while True:
            connection = await self._connect(address, timeout_s)
            protocol = connection.protocol
            if protocol is None:
                return connection
            if self._books.usable(protocol) and not (fresh and self._books.was_asked(protocol)):
                return connection
            connection.close()

    async def _connect(self, address: Address, timeout_s: float | None) -> Connection:
        if timeout_s not in self._timeouts:
            self._timeouts[timeout_s] = aiohttp.ClientTimeout(connect=timeout_s, sock_connect=self._connect_timeout_s)
        try:
            return await self._connector.connect(self._openers[address], traces=[], timeout=self._timeouts[timeout_s])
        except asyncio.TimeoutError as error:
            raise TransportError("connect", "no connection within the time limit") from error
        except CLIENT_ERRORS as error:
            if isinstance(error, OSError) and out_of_files(error):
                raise NoFilesError(error.errno or 0) from error
            raise TransportError(reason_of(error), text_of(error)) from error

    async def _ask(
        self, connection: Connection, request: bytes, reply: ReplyEvents, due_at: float | None, most_bytes: int
    ) -> None:
        with Conversation(connection, self._loop, due_at, self._books) as protocol:
            protocol.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=_READ_BYTES)
            protocol.transport.write(request)  # type: ignore[union-attr]  # Conversation has looked
            try:
                head, content = await protocol.read()
            except (aiohttp.ServerDisconnectedError, ConnectionError) as error:
                if not isinstance(getattr(error, "message", ""), str):
                    raise  # half of a head had come
                raise NoReplyError(reason_of(error), text_of(error)) from error
            while head.code < _FINAL and head.code != _SWITCHING:
                head, content = await protocol.read()
            self._books.reading(protocol, content)
            reply.on_head(head.code, head.headers)
            left = most_bytes
            while not content.at_eof():
                if data := await content.readany():
                    reply.on_data(data, perf_counter_ns())
                    left -= len(data)
                    if left < 0:
                        raise TransportError("too_large", f"the reply exceeds {most_bytes} bytes")

    async def _get(self, address: Address, connection: Connection, reply: ReplyEvents, patience_s: float) -> None:
        due_at = self._loop.time() + patience_s
        await self._ask(connection, address.get_head, reply, due_at, _MOST_GET_BYTES)

    async def _greet(self, address: Address, connection: Connection) -> TransportError | None:
        protocol = connection.protocol
        reply = _StatusOnly()
        try:
            await self._get(address, connection, reply, self._greeting_s)
        except TransportError as error:
            return error
        self._greetings.setdefault(address, set()).add(reply.status)
        if protocol is not None:
            self._greeted.add(protocol)
        return None


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
