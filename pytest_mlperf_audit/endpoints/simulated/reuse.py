"""Caches that replay no reply: identical requests computed once while in flight, and prefixes of prompts."""

from __future__ import annotations

from collections.abc import Iterator

from typing_extensions import override

from .base import NoCache, Recent
from .exchange import Answer, Ask, Ticket

#: Words of one block of the prefix cache; vLLM's default is 16 tokens.
BLOCK_WORDS = 4

_MAX_BLOCKS = 1_000_000


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
        self._blocks: Recent[int, bool] = Recent(_MAX_BLOCKS)

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
    for end in range(BLOCK_WORDS, len(words) + 1, BLOCK_WORDS):
        chained = hash((chained, *words[end - BLOCK_WORDS : end]))
        yield end, chained
