"""The kinds of cache a SUT may have, by their names in the YAML. All but `prefix` are what TEST04 is there to find.

First those that replay whole replies, of which a hit costs no computation; then those that replay none. Every store is
bounded and forgets what was used least recently.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Generic, TypeVar

import msgspec
from typing_extensions import override

from ...config.endpoint import SimulatedConfig
from .exchange import Answer, Ask, Ticket

_K = TypeVar("_K")
_V = TypeVar("_V")


#: Jaccard similarity of two prompts' word sets from which a semantic cache takes them for the same.
_SIMILARITY = 0.8

_MAX_ANSWERS = 100_000
_MAX_PROMPTS = 1_024

#: Words of one block of the prefix cache; vLLM's default is 16 tokens.
_BLOCK_WORDS = 4

_MAX_BLOCKS = 1_000_000


class _NoCache:
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


class _Recent(Generic[_K, _V]):
    """A mapping of at most `limit` entries that drops the one used least recently."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[_K, _V] = OrderedDict()

    def __iter__(self) -> Iterator[_K]:
        return iter(self._entries)

    def get(self, key: _K) -> _V | None:
        """Return what is stored, None if nothing is."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: _K, value: _V) -> None:
        """Store `value`."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)


class _ExactCache(_NoCache):
    """Replays the stored reply to the same bytes sent to the same URL, id included: a proxy such as nginx.

    A reply is stored when its request was computed `admit_after` times (nginx: proxy_cache_min_uses).
    """

    def __init__(self, admit_after: int = 1) -> None:
        self._admit_after = admit_after
        self._answers: _Recent[Hashable, Answer] = _Recent(_MAX_ANSWERS)
        self._times_computed: _Recent[Hashable, int] = _Recent(_MAX_ANSWERS)

    def key(self, ask: Ask) -> Hashable:
        """Return what two requests must share for one to get the other's reply."""
        return ask.key

    def look_up(self, ask: Ask) -> Answer | None:
        """Return the stored reply."""
        return self._answers.get(self.key(ask))

    def left(self, ask: Ask, answer: Answer | None) -> None:
        """Count a computation, and store its reply once it is admitted."""
        if answer is None:
            return
        key = self.key(ask)
        times = (self._times_computed.get(key) or 0) + 1
        if times < self._admit_after:
            self._times_computed.put(key, times)
        else:
            self._answers.put(key, answer)


class _UrlCache(_ExactCache):
    """Its key is the URL with its query string, and no byte of the body: nginx with its default proxy_cache_key.

    Whatever is sent to a URL gets the bytes of the first reply that came from there.
    """

    @override
    def key(self, ask: Ask) -> Hashable:
        return ask.url

    @override
    def left(self, ask: Ask, answer: Answer | None) -> None:
        super().left(ask, None if answer is None else msgspec.structs.replace(answer, form=ask))


class _AllowListCache(_ExactCache):
    """An exact cache that stores and answers known prompts alone, and is honest to every other."""

    def __init__(self, known: Collection[str], admit_after: int = 1) -> None:
        super().__init__(admit_after)
        self._known = known

    @override
    def look_up(self, ask: Ask) -> Answer | None:
        return super().look_up(ask) if ask.question in self._known else None

    @override
    def left(self, ask: Ask, answer: Answer | None) -> None:
        if ask.question in self._known:
            super().left(ask, answer)


class _NearDuplicateCache(_ExactCache):
    """Answers a prompt from one that is equal but for its last word, whatever else the requests say.

    To build its key it reads the prompt, so it stands inside the service and not in a proxy: it writes each reply anew,
    under an id of its own.
    """

    @override
    def key(self, ask: Ask) -> Hashable:
        all_but_last, *last = ask.prompt.rsplit(maxsplit=1)
        # Without the count, "red kite" and "red" would be the same.
        return ask.kind, ask.model, all_but_last, len(last)

    @override
    def look_up(self, ask: Ask) -> Answer | None:
        found = super().look_up(ask)
        return None if found is None else found.renewed()


class _SemanticCache(_NoCache):
    """Answers a prompt from one whose words are nearly the same."""

    def __init__(self) -> None:
        self._prompts: _Recent[frozenset[str], Answer] = _Recent(_MAX_PROMPTS)

    def look_up(self, ask: Ask) -> Answer | None:
        """Return the answer to the nearest stored prompt, under an id of its own."""
        words = _words(ask)
        nearest = max(self._prompts, key=lambda stored: _jaccard(words, stored), default=None)
        if nearest is None or _jaccard(words, nearest) < _SIMILARITY:
            return None
        found = self._prompts.get(nearest)
        return None if found is None else found.renewed()

    def left(self, ask: Ask, answer: Answer | None) -> None:
        """Store an answer."""
        if answer is not None:
            self._prompts.put(_words(ask), answer)


class _PrecomputedTable(_NoCache):
    """Holds the answers to known prompts before anyone asks; stores nothing."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known

    def look_up(self, ask: Ask) -> Answer | None:
        """Return what the model would have said, in a reply of its own."""
        return Answer.to(ask) if ask.question in self._known else None


def _words(ask: Ask) -> frozenset[str]:
    return frozenset(ask.prompt.lower().split())


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    both = len(one & other)
    return both / (len(one) + len(other) - both) if one or other else 1.0


class _Coalescer(_NoCache):
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


class _PrefixCache(_NoCache):
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


def _blocks(words: list[str]) -> Iterator[tuple[int, int]]:
    """Yield (end of block, hash of all words up to there) for each whole block."""
    chained = 0
    for end in range(_BLOCK_WORDS, len(words) + 1, _BLOCK_WORDS):
        chained = hash((chained, *words[end - _BLOCK_WORDS : end]))
        yield end, chained


def make_caches(config: SimulatedConfig, known: Collection[str]) -> list[_NoCache]:
    """Return one empty cache for each replica, all of the kind that is configured; `known` are the known prompts."""
    admit_after = config.admit_after
    kinds: dict[str, Callable[[], _NoCache]] = {
        "none": _NoCache,
        "exact": lambda: _ExactCache(admit_after),
        "url": lambda: _UrlCache(admit_after),
        "near_duplicate": lambda: _NearDuplicateCache(admit_after),
        "allow_list": lambda: _AllowListCache(known, admit_after),
        "precomputed": lambda: _PrecomputedTable(known),
        "coalesce": _Coalescer,
        "prefix": _PrefixCache,
        "semantic": _SemanticCache,
    }
    return [kinds[config.cache]() for _ in range(config.replicas)]
