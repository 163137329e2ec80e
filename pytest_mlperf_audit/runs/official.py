"""OfficialTokens: output tokens of a phase by MLPerf's rules, counted after it by the model's own tokenizer. Pure.

Rule: mlcommons/endpoints_policies `endpoints_rules.md` § 2.8.
"""

from __future__ import annotations

from array import array

import msgspec
import numpy as np
from numpy.typing import NDArray

from .columns import QueryColumns

_UNCOUNTED = -1


class OfficialTokens(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of each query's reply, in the order of the query log, as little-endian int32.

    `counts` are of the reply as one message of the chat template, less an empty message's; `after_first` are of the
    text behind the first piece of a stream. -1 stands for a query that counts in neither: failed, issued late, or not
    rendered. `n_unrendered` replies were refused by the template, first with the words `refusal`. `tokenizer` and
    `template` identify the two files; `reasoning_field` is the member of a message in which the template reads
    reasoning, "" where it leaves reasoning out.
    """

    tokenizer: str
    template: str
    reasoning_field: str
    counts: bytes
    after_first: bytes
    n_unrendered: int = 0
    refusal: str = ""

    @staticmethod
    def packed(counts: array[int]) -> bytes:
        """Return counts as they are kept."""
        return np.asarray(counts, "<i4").tobytes()

    @property
    def n_queries(self) -> int:
        """How many queries it is of, whatever became of them."""
        return len(self.counts) // 4

    def lengths(self) -> NDArray[np.int64]:
        """Return the tokens of each reply that was counted."""
        counts = _unpacked(self.counts)
        return counts[counts > _UNCOUNTED]

    def per_token_ns(self, queries: QueryColumns) -> NDArray[np.float64]:
        """Return the time per output token, in ns, of streamed replies that go on after their first piece.

        `queries` are all of the phase. Times that are not positive are left out.
        """
        tail, first_ns = _unpacked(self.after_first), queries.first_token_ns
        took_ns = queries.completed_ns - first_ns
        timed = (tail > 0) & (first_ns >= 0) & (took_ns > 0)
        return np.asarray(took_ns[timed] / tail[timed])

    def compared(self, queries: QueryColumns) -> tuple[int, int, int]:
        """Return how many replies report tokens themselves, the sum of those, and of the same replies by this count."""
        counts, reported = _unpacked(self.counts), queries.tokens
        both = (counts > _UNCOUNTED) & (reported >= 0)
        return int(both.sum()), int(reported[both].sum()), int(counts[both].sum())


def _unpacked(counts: bytes) -> NDArray[np.int64]:
    return np.frombuffer(counts, "<i4").astype(np.int64)
