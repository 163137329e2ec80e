"""The client: requests and replies over the pool's connections, behind the Transport seam.

The head of a request is a constant, which also makes repeats identical on the wire by construction.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence

from ..runs.query import PROXY
from .backlog import Gate, takes_connections
from .carrier import Carrier, Post, Waiter
from .target import Address, Target, addresses
from .transport import Connections, Message, Posted, ReplyEvents, ReplyParts, TransportError
from .wire import Connection

#: Opening connections is a courtesy to the measurement; a server that is slow to take one must not hold it up.
_PATIENCE_S = 5.0
_MOST_GET_BYTES = 2**20
#: A connection that is not closed within this time is taken for one that a server holds.
_HELD_S = 0.3
_HELD_LOOKS = 10
_REFUSAL_TRIES = 3
#: How a greeting fails on a connection that no thread of the server has taken, or that a proxy does not give.
_NOT_TAKEN = frozenset({"timeout", "connect", PROXY})

_OK = 200


class HttpTransport:
    """Pooled connections to one target, to be used on the loop it was made on.

    Redirects are not followed, so credentials never travel to another host; no cookie is kept, no body decompressed.
    Raises EndpointError when a file of the target's `tls` cannot be used.
    """

    def __init__(self, target: Target, path: str, headers: Mapping[str, str], max_reply_bytes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._addresses = addresses(target, path, headers)
        self._next_address = itertools.cycle(self._addresses)
        # Connections that were greeted are idle meanwhile, and must not be closed before the last has answered.
        self._greeting_s = min(_PATIENCE_S, 0.75 * target.max_idle_s)
        self._carrier = Carrier(target, max_reply_bytes)
        self._pool, self._backlog, self._gates = self._carrier.pool, self._carrier.backlog, self._carrier.gates
        self._greetings: dict[Address, set[int]] = {}
        self._relief: asyncio.Task[None] | None = None

    async def connect(self, connections: int) -> list[TransportError]:
        """Open connections, shared evenly by the addresses, each with a GET that no server takes for a query.

        The GET makes sure that the server has accepted the connection; one that is open already is left in peace.
        """
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
                held.append(await self._carrier.acquire(address, _PATIENCE_S))
            except TransportError as error:
                return error
            return None

        try:
            failed = await asyncio.gather(*(hold() for _ in range(share)))
            fresh = [one for one in held if not one.greeted]
            failed += await asyncio.gather(*(self._greet(address, one) for one in fresh))
        finally:
            for connection in held:
                self._pool.keep(connection, self._loop.time())
        errors = [error for error in failed if error is not None]
        not_taken = sum(error.reason in _NOT_TAKEN for error in errors)
        if 0 < not_taken < share:
            self._narrow(address, share - not_taken)
        return errors

    async def _greet(self, address: Address, connection: Connection) -> TransportError | None:
        reply = _StatusOnly()
        try:
            await self._get(address, connection, reply, self._greeting_s)
        except TransportError as error:
            return error
        self._greetings.setdefault(address, set()).add(reply.status)
        connection.greeted = True
        return None

    def taken(self) -> int | None:
        """Return how many connections the addresses take that were found to take fewer than offered; None without."""
        return sum(gate.width for gate in self._gates.values()) or None

    def relieve(self) -> None:
        """Look whether queries starve on connections that the server does not take, and make room for them."""
        if self._relief is not None and not self._relief.done():
            return
        if suspects := self._backlog.suspects(self._loop.time()):
            self._relief = self._loop.create_task(self._relieve(suspects))

    async def _relieve(self, suspects: Sequence[Connection]) -> None:
        """Give kept connections up for starving queries; a GET on a connection of its own tells them from slow ones."""
        if all(await asyncio.gather(*(takes_connections(self._answers(one)) for one in self._addresses))):
            self._backlog.taken(suspects)
            return
        starving = self._backlog.starving(suspects)
        idle = list(self._pool.idle())
        for connection in idle[:starving]:
            connection.close()
        self._backlog.want(max(0, starving - len(idle)))
        if starving and len(self._addresses) == 1:
            self._narrow(self._addresses[0], self._backlog.in_flight - starving + len(idle))

    async def _answers(self, address: Address) -> None:
        """Have a GET answered on a connection of its own. Raises TransportError."""
        connection = await self._pool.open(address, None)
        try:
            await connection.wait_for(address.get_head, _StatusOnly(), _MOST_GET_BYTES)
        finally:
            connection.abort()

    def _narrow(self, address: Address, width: int) -> None:
        """Let no more queries be in flight at an address than it takes connections."""
        gate = self._gates.get(address)
        if gate is None or width < gate.width:
            self._gates[address] = Gate(max(1, width))

    def starved(self) -> int:
        """Return how many queries so far have waited on a connection that the server did not take."""
        return self._backlog.starved

    def connections(self) -> Connections:
        """Return how many connections were opened, and used again, so far."""
        return Connections(self._pool.opened, self._pool.reused, self._carrier.n_resent)

    async def status(self) -> list[int]:
        """Return each address's status for a GET of the query's path: 401 or 403 tells of a refused key.

        Raises TransportError when an address cannot be reached.
        """
        replies = []
        for address in self._addresses:
            replies.append(_StatusOnly())
            await self._get(address, await self._carrier.acquire(address, None), replies[-1], _PATIENCE_S)
        return [reply.status for reply in replies]

    async def refusal(self) -> TransportError | None:
        """Try a new connection to each address; one that is closed without a word is tried again."""
        for address in self._addresses:
            for _ in range(_REFUSAL_TRIES):
                try:
                    if await self._stays_open(address):
                        break
                except TransportError as error:
                    return TransportError("connect", error.detail)
            else:
                return TransportError("connect", "every new connection is closed at once")
        return None

    async def _stays_open(self, address: Address) -> bool:
        """Open a connection and see whether it lasts: the system still takes some for a process that is dying."""
        connection = await self._pool.open(address, _PATIENCE_S)
        for _ in range(_HELD_LOOKS):
            if not connection.usable:
                return False
            await asyncio.sleep(_HELD_S / _HELD_LOOKS)
        connection.abort()
        return True  # the server waits for a request

    async def owed(self, patience_s: float) -> str | None:
        """Return what shows that queries got replies of others, or None: each idle connection is greeted once more.

        A connection that is one reply ahead answers the greeting with the reply that its last query should have had;
        one that answered its first greeting and is silent for `patience_s` still owes that reply.
        """
        owing = 0
        for address, greetings in self._greetings.items():
            idle = self._pool.take_all(address)
            owing += sum(await asyncio.gather(*(self._owes(address, one, greetings, patience_s) for one in idle)))
        return f"{owing} connections answered a last GET with a reply that was due before it" if owing else None

    async def _owes(self, address: Address, connection: Connection, greetings: set[int], patience_s: float) -> bool:
        reply = _StatusOnly()
        try:
            await self._get(address, connection, reply, patience_s)
        except TransportError as error:
            return error.reason == "timeout"
        return reply.status == _OK and reply.status not in greetings

    def unasked(self) -> str | None:
        """Return what shows that replies came unasked, so that none can be matched to its query, or None."""
        if not (found := self._pool.unasked):
            return None
        return f"{found} connections had data on them that no query had asked for, or none that was wholly sent"

    def post(self, message: Message, reply: ReplyEvents, timeout_s: float | None) -> Posted:
        """POST a query and feed the reply to `reply`; see Transport."""
        return Post(self._carrier, self._address_of(message), message, reply, timeout_s)

    async def query(self, message: Message, reply: ReplyEvents, timeout_s: float | None) -> None:
        """POST a query, feed the reply to `reply`, and wait for its end. Raises TransportError."""
        waiter = Waiter(reply)
        posted = self.post(message, waiter, timeout_s)
        try:
            await waiter.over
        except asyncio.CancelledError:
            posted.cancel()
            raise

    def _address_of(self, message: Message) -> Address:
        if message.route is None:
            return next(self._next_address)
        return self._addresses[message.route % len(self._addresses)]

    async def close(self) -> None:
        """Close every connection."""
        if self._relief is not None:
            self._relief.cancel()
            await asyncio.gather(self._relief, return_exceptions=True)
        await self._carrier.close()

    async def _get(self, address: Address, connection: Connection, reply: ReplyParts, patience_s: float) -> None:
        await self._carrier.ask(connection, address.get_head, reply, patience_s, _MOST_GET_BYTES)


class _StatusOnly:
    """Takes a reply of which only the status matters."""

    def __init__(self) -> None:
        self.status = 0

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:  # noqa: ARG002 - one method of two
        """Note the status."""
        self.status = status

    def on_data(self, data: bytes, at_ns: int) -> None:
        """Ignore."""
