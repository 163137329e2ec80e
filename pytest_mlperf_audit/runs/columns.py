"""QueryColumns: all queries of a phase as columns, about 57 bytes a query, so that millions fit in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .query import COMPLETED, QueryRecord

_ABSENT = -1
_COMPLETED = 0
_MOST_TOKENS = 2**31 - 1
_DIGEST_BYTES = 16
_MOST_MODELS = 32
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
        for record in records:
            self.append(record)

    def append(self, record: QueryRecord) -> None:
        """Add one record."""
        self._issued.append(record.issued_ns)
        self._completed.append(record.completed_ns)
        self._first_token.append(_ABSENT if record.first_token_ns is None else record.first_token_ns)
        self._sample.append(record.sample)
        self._tokens.append(_ABSENT if record.tokens is None else _bounded(record.tokens))
        self._outcome.append(_COMPLETED if record.outcome == COMPLETED else self._code(record.outcome))
        self._requests += bytes.fromhex(record.request)
        if record.cached_tokens:
            self.cached_tokens += _bounded(record.cached_tokens)
        if record.model:
            self._count_model(record.model)

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


def _bounded(count: int) -> int:
    """Return a count that an endpoint reported as one that fits a column."""
    return count if 0 <= count <= _MOST_TOKENS else max(0, min(count, _MOST_TOKENS))
