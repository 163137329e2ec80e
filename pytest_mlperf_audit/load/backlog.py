"""Servers that take fewer connections than they are offered: those beyond are not opened, or give way to waiting ones.

A server with a pool of threads gives each connection a thread for as long as it is open. A query on a connection beyond
those would be read when another closes, and kept ones never do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable

from .transport import TransportError
from .wire import Connection

#: A query on a fresh connection is suspected to starve when it has waited so long beyond twice the longest reply.
_PATIENCE_S = 1.0


class Gate:
    """Lets as many queries through as the server has taken connections; the others wait here, not in its backlog."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._places = asyncio.Semaphore(width)

    async def enter(self, left_s: float | None) -> None:
        """Wait for a place. Raises TransportError when there is none within `left_s`."""
        try:
            await asyncio.wait_for(self._places.acquire(), left_s)
        except asyncio.TimeoutError as error:
            raise TransportError("timeout", "no connection of those that the server takes came free") from error

    def leave(self) -> None:
        """Give the place back."""
        self._places.release()


class Backlog:
    """Watches queries on connections that never answered, while others do. Times are the loop's, in seconds."""

    def __init__(self) -> None:
        self.starved = 0
        self.in_flight = 0
        self._waiting: dict[Connection, float] = {}
        self._starving: set[Connection] = set()
        self._longest_s = {True: 0.0, False: 0.0}
        self._latest_s = 0.0
        self._wanted = 0

    def sent(self, connection: Connection, at_s: float) -> None:
        """Note that a connection was sent a request."""
        self.in_flight += 1
        if not connection.answered:
            self._waiting[connection] = at_s

    def ended(self, connection: Connection, began_s: float, now_s: float, *, well: bool) -> bool:
        """Note that a request has ended; return whether its connection is to be closed, so that another is taken.

        What a starving one took says nothing of how long replies take.
        """
        self.in_flight -= 1
        kept = not self._waiting or self._waiting.pop(connection, None) is None
        if well:
            self._latest_s = now_s
            if now_s - began_s > self._longest_s[kept] and connection not in self._starving:
                self._longest_s[kept] = now_s - began_s
        if self._starving:
            self._starving.discard(connection)
        wanted = well and self._wanted > 0
        self._wanted -= wanted
        return wanted

    def suspects(self, now_s: float) -> list[Connection]:
        """Return the connections whose queries may starve: others were answered meanwhile, and far sooner."""
        limit_s = _PATIENCE_S + 2 * (self._longest_s[True] or self._longest_s[False])
        return [one for one, at_s in self._waiting.items() if now_s - at_s > limit_s and self._latest_s > at_s]

    def taken(self, suspects: Iterable[Connection]) -> None:
        """Note that the server takes connections, so that these are but slow to answer."""
        for one in suspects:
            self._waiting.pop(one, None)

    def starving(self, suspects: Iterable[Connection]) -> int:
        """Note that the server takes none; return how many of these still wait."""
        waiting = self._waiting.keys() & set(suspects)
        self.starved += len(waiting - self._starving)
        self._starving |= waiting
        return len(waiting)

    def want(self, places: int) -> None:
        """Have the next so many connections that answer closed."""
        self._wanted = places


async def takes_connections(answer: Awaitable[None]) -> bool:
    """Whether a server gives an answer on a connection of its own, be it an error; `answer` waits for it."""
    try:
        await asyncio.wait_for(answer, _PATIENCE_S)
    except asyncio.TimeoutError:
        return False
    except TransportError:
        return True  # it was taken, whatever became of it
    return True
