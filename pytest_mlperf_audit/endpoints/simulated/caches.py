"""The caches a SUT may have: one class per kind. All but `prefix` are what TEST04 is there to find.

Every store is bounded and forgets what was used least recently.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec
from typing_extensions import override

from ...config.endpoint import SimulatedConfig
from .exchange import Answer, Ask, Ticket

#: Words of one block of the prefix cache; vLLM's default is 16 tokens.
BLOCK_WORDS = 4

#: Jaccard similarity of two prompts' word sets from which a semantic cache takes them for the same.
SIMILARITY = 0.8

_MAX_ANSWERS = 100_000
_MAX_BLOCKS = 1_000_000
_MAX_PROMPTS = 1_024

K = TypeVar("K")
V = TypeVar("V")


class NoCache:
    """An honest SUT, and the base of the others: each overrides the moments it acts at."""

    def arriving(self, ask: Ask) -> Answer | None:
        """Return what answers a request outside the lanes, as it arrives."""

    def join(self, ask: Ask, ticket: Ticket) -> Ticket | None:
        """Return the request in flight whose answer this one gets too."""

    def taken(self, ask: Ask) -> Answer | None:
        """Return what answers a request when a lane takes it."""

    def reused_words(self, ask: Ask) -> int:  # noqa: ARG002 - only a prefix cache looks at the prompt
        """Return how many words of the prompt need no prefill."""
        return 0

    def left(self, ask: Ask, answer: Answer | None) -> None:
        """Note that a computation ended; `answer` is None when it failed."""


class ExactCache(NoCache):
    """Replays the stored reply to the same bytes, id included."""

    def __init__(self) -> None:
        self._answers: _Recent[bytes, Answer] = _Recent(_MAX_ANSWERS)

    def taken(self, ask: Ask) -> Answer | None:
        """Return the stored reply, so that repeats queued behind the first are hits too."""
        return self._answers.get(ask.key)

    def left(self, ask: Ask, answer: Answer | None) -> None:
        """Store a reply."""
        if answer is not None:
            self._answers.put(ask.key, answer)


class ExactCacheOnArrival(ExactCache):
    """As ExactCache, but looked up once, on arrival: repeats in flight before the first reply are all computed."""

    def arriving(self, ask: Ask) -> Answer | None:
        """Return the stored reply."""
        return super().taken(ask)

    @override
    def taken(self, ask: Ask) -> Answer | None:
        """Look nothing up."""
        return None


class Coalescer(NoCache):
    """Computes identical requests in flight once; stores nothing."""

    def __init__(self) -> None:
        self._in_flight: dict[bytes, Ticket] = {}

    def join(self, ask: Ask, ticket: Ticket) -> Ticket | None:
        """Return the same request in flight, or remember this one."""
        leader = self._in_flight.setdefault(ask.key, ticket)
        return None if leader is ticket else leader

    @override
    def left(self, ask: Ask, answer: Answer | None) -> None:
        """Forget a request."""
        self._in_flight.pop(ask.key, None)


class PrefixCache(NoCache):
    """Keeps KV blocks of BLOCK_WORDS words; a block is reusable when every block before it matches too.

    As in real engines the last word is always computed, so a repeated prompt never matches to its end.
    """

    def __init__(self) -> None:
        self._blocks: _Recent[int, bool] = _Recent(_MAX_BLOCKS)

    def reused_words(self, ask: Ask) -> int:
        """Return the length of the longest stored prefix, in words."""
        words = ask.prompt.split()
        reused = 0
        for end, chained in _blocks(words):
            if end >= len(words) or self._blocks.get(chained) is None:
                break
            reused = end
        return reused

    def left(self, ask: Ask, answer: Answer | None) -> None:
        """Store a prompt's blocks."""
        if answer is not None:
            for _end, chained in _blocks(ask.prompt.split()):
                self._blocks.put(chained, value=True)


class SemanticCache(NoCache):
    """Answers a prompt from one whose words are nearly the same; looked up when a lane takes the request."""

    def __init__(self) -> None:
        self._prompts: _Recent[frozenset[str], Answer] = _Recent(_MAX_PROMPTS)

    def taken(self, ask: Ask) -> Answer | None:
        """Return the answer to the nearest stored prompt, under an id of its own."""
        words = _words(ask)
        nearest = max(self._prompts, key=lambda stored: _jaccard(words, stored), default=None)
        if nearest is None or _jaccard(words, nearest) < SIMILARITY:
            return None
        found = self._prompts.get(nearest)
        return None if found is None else fresh(found)

    def left(self, ask: Ask, answer: Answer | None) -> None:
        """Store an answer."""
        if answer is not None:
            self._prompts.put(_words(ask), answer)


class SemanticCacheOnArrival(SemanticCache):
    """As SemanticCache, but looked up on arrival."""

    def arriving(self, ask: Ask) -> Answer | None:
        """Return the answer to the nearest stored prompt."""
        return super().taken(ask)

    @override
    def taken(self, ask: Ask) -> Answer | None:
        """Look nothing up."""
        return None


def make_cache(config: SimulatedConfig) -> NoCache:
    """Return an empty cache of the kind that is configured."""
    on_arrival = config.cache_lookup == "arrival"
    kinds: dict[str, type[NoCache]] = {
        "none": NoCache,
        "exact": ExactCacheOnArrival if on_arrival else ExactCache,
        "coalesce": Coalescer,
        "prefix": PrefixCache,
        "semantic": SemanticCacheOnArrival if on_arrival else SemanticCache,
    }
    return kinds[config.cache]()


def fresh(answer: Answer) -> Answer:
    """Return an answer under a new id: what caches in front of a model do, and so equal ids prove a replay."""
    return msgspec.structs.replace(answer, id=uuid.uuid4().hex)


def _blocks(words: list[str]) -> Iterator[tuple[int, int]]:
    """Yield (end of block, hash of all words up to there) for each whole block."""
    chained = 0
    for end in range(BLOCK_WORDS, len(words) + 1, BLOCK_WORDS):
        chained = hash((chained, *words[end - BLOCK_WORDS : end]))
        yield end, chained


def _words(ask: Ask) -> frozenset[str]:
    return frozenset(ask.prompt.lower().split())


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    both = len(one & other)
    return both / (len(one) + len(other) - both) if one or other else 1.0


class _Recent(Generic[K, V]):
    """A mapping of at most `limit` entries that drops the one used least recently."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries)

    def get(self, key: K) -> V | None:
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: K, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)
