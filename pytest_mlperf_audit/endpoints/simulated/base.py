"""NoCache, the moments at which a cache may act, and the bounded mapping that caches keep things in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

from .exchange import Answer, Ask, Ticket

K = TypeVar("K")
V = TypeVar("V")


class NoCache:
    """An honest SUT, and the base of the others: each overrides the moments it acts at."""

    def look_up(self, ask: Ask) -> Answer | None:
        """Return what answers a request without a computation; asked once, on arrival or when a lane takes it."""

    def join(self, ask: Ask, ticket: Ticket) -> Ticket | None:
        """Return the request in flight whose answer this one gets too."""

    def reused_words(self, ask: Ask) -> int:  # noqa: ARG002 - only a prefix cache looks at the prompt
        """Return how many words of the prompt need no prefill."""
        return 0

    def left(self, ask: Ask, answer: Answer | None) -> None:
        """Note that a computation ended; `answer` is None when it failed."""


class Recent(Generic[K, V]):
    """A mapping of at most `limit` entries that drops the one used least recently."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries)

    def get(self, key: K) -> V | None:
        """Return what is stored, None if nothing is."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: K, value: V) -> None:
        """Store `value`."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)
