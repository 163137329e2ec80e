"""Queries on connections that the server may not have taken: kept ones are given up for them, so that none starves."""

from __future__ import annotations

from aiohttp.client_proto import ResponseHandler

#: A query on a fresh connection is thought to starve when it has waited so long beyond twice the longest reply.
_PATIENCE_S = 1.0


class Backlog:
    """Watches queries on connections that never answered, while others do. Times are the loop's, in seconds.

    A server with a pool of threads stays with a connection until it is closed. Where the connections are more than
    the threads, those beyond wait in its backlog until another closes, and kept ones never do.
    """

    def __init__(self) -> None:
        self.starved = 0
        self._waiting: dict[ResponseHandler, float] = {}
        self._seen: set[ResponseHandler] = set()
        self._longest_s = 0.0
        self._latest_s = 0.0
        self._wanted = 0

    def sent(self, protocol: ResponseHandler, at_s: float) -> None:
        """Note that a connection that never answered was sent a request."""
        self._waiting[protocol] = at_s

    def ended(self, protocol: ResponseHandler, began_s: float, now_s: float, *, well: bool) -> None:
        """Note that a request has ended."""
        self._waiting.pop(protocol, None)
        self._seen.discard(protocol)
        if well:
            self._longest_s = max(self._longest_s, now_s - began_s)
            self._latest_s = now_s

    def wants_a_place(self) -> bool:
        """Whether a connection that has just answered is to be closed, so that a waiting one is taken in its place."""
        wanted = self._wanted > 0
        self._wanted -= wanted
        return wanted

    def look(self, now_s: float) -> int:
        """Return how many queries starve now: others were answered meanwhile, and it has taken far longer than they."""
        limit_s = _PATIENCE_S + 2 * self._longest_s
        starving = [one for one, at_s in self._waiting.items() if now_s - at_s > limit_s and self._latest_s > at_s]
        self.starved += len(set(starving) - self._seen)
        self._seen.update(starving)
        return len(starving)

    def want(self, places: int) -> None:
        """Have the next so many connections that answer closed."""
        self._wanted = places
