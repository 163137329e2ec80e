"""How many connections an address takes, where those are fewer than it was offered: no more are then opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .transport import TransportError


class Gate:
    """Lets as many queries through as the server has taken connections; the others wait here, not in its backlog.

    A server with a pool of threads gives each connection a thread for as long as it is open. A query on a connection
    beyond those would be read when another closes, and kept ones never do.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._places = asyncio.Semaphore(width)

    @asynccontextmanager
    async def through(self, left_s: float | None) -> AsyncIterator[None]:
        """Wait for a place, and give it back in the end. Raises TransportError when there is none within `left_s`."""
        try:
            await asyncio.wait_for(self._places.acquire(), left_s)
        except asyncio.TimeoutError as error:
            raise TransportError("timeout", "no connection of those that the server takes came free") from error
        try:
            yield
        finally:
            self._places.release()
