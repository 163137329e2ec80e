"""Queries over the pool's connections: which one each takes, when it is sent again, limited in time and given up."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from typing import Any

from typing_extensions import override

from ..runs.body import Pieces
from .backlog import Backlog, Gate
from .broken import NoReplyError
from .connections import Deadlines, Pool
from .loop import settle
from .target import Address, Target
from .transport import Message, ReplyEvents, ReplyParts
from .wire import Connection

#: After so many turns a loop has read what had come before: asyncio's reads behind what is due, uvloop's before it.
_TURNS_TO_READ = 2


class Carrier:
    """Carries requests, one at a time on each connection; to be used on the loop it was made on.

    `gates` are those of addresses that take fewer connections than they were offered. `n_resent` counts queries that
    were sent twice. Raises EndpointError when the target's `ca_file` cannot be used.
    """

    def __init__(self, target: Target, max_reply_bytes: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.pool = Pool(target)
        self.backlog = Backlog()
        self.gates: dict[Address, Gate] = {}
        self.max_reply_bytes = max_reply_bytes
        self.n_resent = 0
        self.deadlines = Deadlines(self.loop)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, waiting: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run what must wait for a connection; at the end it is cancelled and waited for."""
        task = self.loop.create_task(waiting)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def ask(
        self, connection: Connection, request: bytes, reply: ReplyParts, patience_s: float, most_bytes: int
    ) -> None:
        """Carry one request and wait for the end of its reply. Raises TransportError, or what `reply` raised."""
        asked = _Asked(self)
        asked.begin(connection, request, reply, self.loop.time() + patience_s, most_bytes)
        try:
            await asked.over
        except asyncio.CancelledError:
            connection.give_up()
            raise

    async def acquire(
        self, address: Address, timeout_s: float | None, connection: Connection | None = None
    ) -> Connection:
        """Return a connection on which nothing had come when it was asked for, so that a reply begins after its query.

        What has come is read first: it is the connection's end, a reply that nobody asked for, or TLS's own.
        `connection` is one that was taken already. Raises TransportError where none can be opened.
        """
        while connection := connection or self.pool.take(address):
            if connection.has_unread():
                for _ in range(_TURNS_TO_READ):
                    await asyncio.sleep(0)
            if connection.usable and not connection.has_unread():
                return connection
            connection.close()
            self.pool.reused -= 1
            connection = None
        return await self.pool.open(address, timeout_s)

    async def close(self) -> None:
        """Close every connection."""
        self.deadlines.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.pool.close()


class _Carried(ABC):
    """One request on one connection, which is kept for another when all went well, else closed."""

    __slots__ = ("_began_s", "_carrier", "_connection")

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._connection: Connection | None = None
        self._began_s = 0.0

    def begin(
        self,
        connection: Connection,
        request: bytes,
        reply: ReplyParts,
        due_s: float | None,
        most_bytes: int,
        pieces: Pieces | None = None,
    ) -> None:
        """Send the request, and `pieces` behind it. `due_s`, on the loop's clock, is when its reply must be whole."""
        carrier, self._connection = self._carrier, connection
        self._began_s = carrier.loop.time()
        carrier.backlog.sent(connection, self._began_s)
        if due_s is not None:
            carrier.deadlines.watch(connection, due_s)
        connection.ask(request, reply, most_bytes, self._end_on_connection, pieces)

    def _end_on_connection(self, error: BaseException | None) -> None:
        carrier, connection, self._connection = self._carrier, self._connection, None
        if connection is None:
            return
        carrier.deadlines.forget(connection)
        now_s = carrier.loop.time()
        place_wanted = carrier.backlog.ended(connection, self._began_s, now_s, well=error is None)
        if error is not None:
            connection.abort()
        elif place_wanted:
            connection.close()
        carrier.pool.keep(connection, now_s)
        self._ended(connection, error)

    @abstractmethod
    def _ended(self, connection: Connection, error: BaseException | None) -> None:
        """Go on when the reply is whole, or with what is wrong: a TransportError, or what the reply's reader raised."""


class _Asked(_Carried):
    """A request that is waited for."""

    __slots__ = ("over",)

    def __init__(self, carrier: Carrier) -> None:
        super().__init__(carrier)
        self.over: asyncio.Future[None] = carrier.loop.create_future()

    @override
    def _ended(self, connection: Connection, error: BaseException | None) -> None:
        settle(self.over, error)


class Post(_Carried):
    """One query on its way, `timeout_s` seconds at most. A waiting line, and a connection to be opened, take a task."""

    __slots__ = ("_address", "_due_s", "_gate", "_message", "_reply", "_task", "_timeout_s")

    def __init__(
        self, carrier: Carrier, address: Address, message: Message, reply: ReplyEvents, timeout_s: float | None
    ) -> None:
        self._carrier = carrier
        self._address = address
        self._message = message
        self._reply: ReplyEvents | None = reply
        self._timeout_s = timeout_s
        self._due_s = None if timeout_s is None else carrier.loop.time() + timeout_s
        self._connection = None
        self._gate: Gate | None = None
        self._task: asyncio.Task[None] | None = None
        gate = carrier.gates.get(address)
        connection = carrier.pool.take(address) if gate is None else None
        if connection is None or connection.has_unread():
            self._task = carrier.start(self._wait(gate, connection))
        else:
            self._ask(connection)

    def cancel(self) -> None:
        """Give the query up; see transport.Posted."""
        self._reply = None
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.give_up()

    async def _wait(self, gate: Gate | None, connection: Connection | None) -> None:
        """Wait for a place where the server takes few connections, and for a connection."""
        try:
            if gate is not None:
                await gate.enter(self._timeout_s)
                self._gate = gate
            self._ask(await self._carrier.acquire(self._address, self._timeout_s, connection))
        except Exception as error:  # noqa: BLE001 - whoever posted the query is told
            self._end(error)
        except asyncio.CancelledError:
            self._leave()
            raise

    async def _ask_again(self) -> None:
        try:
            self._ask(await self._carrier.pool.open(self._address, self._timeout_s))
        except Exception as error:  # noqa: BLE001 - whoever posted the query is told
            self._end(error)
        except asyncio.CancelledError:
            self._leave()
            raise

    def _ask(self, connection: Connection) -> None:
        self._task, carrier, reply = None, self._carrier, self._reply
        if reply is None:
            carrier.pool.keep(connection, carrier.loop.time())
            self._leave()
            return
        body = self._message.body
        request = self._address.post(body, self._message.query, self._message.headers)
        pieces = None if isinstance(body, bytes) else body
        self.begin(connection, request, reply, self._due_s, carrier.max_reply_bytes, pieces)

    @override
    def _ended(self, connection: Connection, error: BaseException | None) -> None:
        if error is not None and self._reply is not None and connection.answered and isinstance(error, NoReplyError):
            # A kept connection may be closed just as a query goes out on it (RFC 9110, 9.2.2 and RFC 9112, 9.3.1).
            self._carrier.n_resent += 1
            self._reply.on_resent()
            self._task = self._carrier.start(self._ask_again())
        else:
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        self._task = None
        if self._gate is not None:
            self._leave()
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.on_end(error)

    def _leave(self) -> None:
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.leave()


class Waiter:
    """Passes the events of a reply on and is done with its end: `over` raises what ended it."""

    def __init__(self, reply: ReplyEvents) -> None:
        self._reply = reply
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Pass it on."""
        self._reply.on_head(status, headers)

    def on_data(self, data: bytes, at_ns: int) -> None:
        """Pass it on."""
        self._reply.on_data(data, at_ns)

    def on_resent(self) -> None:
        """Pass it on."""
        self._reply.on_resent()

    def on_end(self, error: BaseException | None) -> None:
        """Be done."""
        settle(self.over, error)
