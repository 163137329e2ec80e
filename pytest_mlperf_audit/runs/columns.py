"""QueryColumns: all queries of a phase as columns, about 57 bytes a query, so that millions fit in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .query import COMPLETED, QueryRecord

_ABSENT = -1
_COMPLETED = 0
_MOST_TOKENS = 2**31 - 1
_DIGEST_BYTES = 16
_MOST_MODELS = 32
_BATCH = 1024
#: Stands for all further names of models, when there are too many.
_OTHER_MODELS = "(others)"


class QueryColumns:
    """Column store of QueryRecords: append live, or build from a log. Arrays come back as numpy views."""

    def __init__(self, records: Iterable[QueryRecord] = ()) -> None:
        self._issued = array("q")
        self._completed = array("q")
        self._first_token = array("q")
        self._sample = array("q")
        self._tokens = array("i")
        self._outcome = array("H")
        self._requests = bytearray()
        self.outcomes: list[str] = [COMPLETED]
        self._codes = {COMPLETED: _COMPLETED}
        self.cached_tokens = 0
        self.models: dict[str, int] = {}
        for batch in _batches(records):
            self.extend(batch)

    def append(self, record: QueryRecord) -> None:
        """Add one record."""
        self.extend([record])

    def extend(self, records: Sequence[QueryRecord]) -> None:
        """Add records, all of them, or none where one has what no column can hold. Raises TypeError, OverflowError."""
        issued = array("q", [one.issued_ns for one in records])
        completed = array("q", [one.completed_ns for one in records])
        first_token = array("q", [_ABSENT if (at := one.first_token_ns) is None else at for one in records])
        sample = array("q", [one.sample for one in records])
        tokens = array("i", [_ABSENT if (count := one.tokens) is None else _bounded(count) for one in records])
        requests = bytes.fromhex("".join([one.request for one in records]))
        cached_tokens = sum([_bounded(one.cached_tokens) for one in records if one.cached_tokens])
        self._outcome.extend([_COMPLETED if one.outcome == COMPLETED else self._code(one.outcome) for one in records])
        self._issued += issued
        self._completed += completed
        self._first_token += first_token
        self._sample += sample
        self._tokens += tokens
        self._requests += requests
        self.cached_tokens += cached_tokens
        for one in records:
            if one.model:
                self._count_model(one.model)

    def _count_model(self, model: str) -> None:
        """Count a reply by the model that it names; one that names ever new ones does not fill the memory."""
        if model not in self.models and len(self.models) >= _MOST_MODELS:
            model = _OTHER_MODELS
        self.models[model] = self.models.get(model, 0) + 1

    def _code(self, outcome: str) -> int:
        if outcome not in self._codes:
            self._codes[outcome] = len(self.outcomes)
            self.outcomes.append(outcome)
        return self._codes[outcome]

    def __len__(self) -> int:
        return len(self._issued)

    def _view(self, column: array[int]) -> NDArray[np.int64]:
        return np.array(column, dtype=np.int64)

    @property
    def issued_ns(self) -> NDArray[np.int64]:
        """Issue time of every query, in completion order."""
        return self._view(self._issued)

    @property
    def completed_ns(self) -> NDArray[np.int64]:
        """Completion (or failure) time of every query."""
        return self._view(self._completed)

    @property
    def first_token_ns(self) -> NDArray[np.int64]:
        """Time of the first content token; -1 where the reply was not streamed."""
        return self._view(self._first_token)

    @property
    def samples(self) -> NDArray[np.int64]:
        """Row index of every query."""
        return self._view(self._sample)

    @property
    def tokens(self) -> NDArray[np.int64]:
        """Output tokens of every query; -1 where the reply does not say."""
        return self._view(self._tokens)

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which queries completed."""
        return np.equal(self._view(self._outcome), _COMPLETED)

    def latencies_s(self) -> NDArray[np.float64]:
        """Latency in seconds of each completed query."""
        return ((self.completed_ns - self.issued_ns) / 1e9)[self.ok]

    def failures(self) -> dict[str, int]:
        """Failed queries by reason class."""
        counts = np.bincount(self._view(self._outcome), minlength=len(self.outcomes)).tolist()
        found = sorted(zip(self.outcomes, counts, strict=True))
        return {reason: count for reason, count in found if reason != COMPLETED}

    def distinct_requests(self) -> int:
        """Number of different requests on the wire."""
        # A set of a million digests takes 100 MiB. As numpy strings they end at trailing zeros, alike for equal ones.
        return len(np.unique(np.frombuffer(bytes(self._requests), dtype=f"S{_DIGEST_BYTES}")))

    def first_request(self) -> str | None:
        """Digest of the first request, or None when nothing was sent."""
        return self._requests[:_DIGEST_BYTES].hex() if self._requests else None


def _batches(records: Iterable[QueryRecord]) -> Iterator[list[QueryRecord]]:
    """Yield records some at a time, so that millions of them are never held."""
    left = iter(records)
    while batch := list(islice(left, _BATCH)):
        yield batch


def _bounded(count: int) -> int:
    """Return a count that an endpoint reported as one that fits a column."""
    return count if 0 <= count <= _MOST_TOKENS else max(0, min(count, _MOST_TOKENS))
