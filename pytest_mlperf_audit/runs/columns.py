"""QueryColumns: all queries of a phase as columns, about 57 bytes a query, so that millions fit in memory.

Of many millions, read from a log, the columns lie in files without a name, and one at a time is in memory.
"""

from __future__ import annotations

import os
import tempfile
import weakref
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
#: Values of a column that stay in memory where others may lie in a file, and what is written to that at a time.
_MOST_IN_MEMORY = 2_000_000
_WRITTEN_AT_ONCE = 65_536
#: Digests are told apart in as many parts, by their first four bits, since sorting all takes twice their room.
_PARTS = 16
_MANY_DIGESTS = 1_000_000
_DIGESTS_AT_ONCE = 500_000
#: Stands for all further names of models, when there are too many.
_OTHER_MODELS = "(others)"


class _Column:
    """Values of one kind, which only become more: in memory, or with `may_spill` from so many on in a file."""

    def __init__(self, code: str, *, may_spill: bool) -> None:
        self._values: array[int] = array(code)
        self._most = _MOST_IN_MEMORY if may_spill else None
        self._file: int | None = None
        self._n_written = 0

    def extend(self, values: Iterable[int]) -> None:
        """Add values. Raises OSError where they cannot be written."""
        self._values.extend(values)
        if self._most is not None and len(self._values) >= self._most:
            self._spill()

    def add_bytes(self, raw: bytes) -> None:
        """Add values as bytes. Raises OSError where they cannot be written."""
        self._values.frombytes(raw)
        if self._most is not None and len(self._values) >= self._most:
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._file, name = tempfile.mkstemp(prefix="mlperf-audit-")
            os.unlink(name)  # noqa: PTH108 - it stays for as long as it is open
            weakref.finalize(self, os.close, self._file)
            self._most = _WRITTEN_AT_ONCE
        with memoryview(self._values) as values, values.cast("B") as raw:
            n_written = 0
            while n_written < len(raw):
                n_written += os.write(self._file, raw[n_written:])
        self._n_written += len(self._values)
        del self._values[:]

    def __len__(self) -> int:
        return self._n_written + len(self._values)

    def part(self, start: int, end: int) -> NDArray[np.generic]:
        """Return a copy of some values, as they are kept."""
        found = np.empty(max(0, min(end, len(self)) - start), dtype=self._values.typecode)
        n_written = max(0, min(end, self._n_written) - start)
        if self._file is not None and n_written:
            raw = found[:n_written].data.cast("B")
            n_read = 0
            while n_read < len(raw):
                n_read += os.preadv(self._file, [raw[n_read:]], start * self._values.itemsize + n_read)
        if len(found) > n_written:
            first = max(0, start - self._n_written)
            found[n_written:] = np.frombuffer(self._values, found.dtype)[first : first + len(found) - n_written]
        return found

    def all(self) -> NDArray[np.int64]:
        """Return a copy of all values."""
        return np.asarray(self.part(0, len(self)), dtype=np.int64)


class QueryColumns:
    """Column store of QueryRecords: append live, or build from a log. Arrays come back as copies.

    With `may_spill`, the columns of many millions lie in files, which are written now and then: not while a phase is
    measured.
    """

    def __init__(self, records: Iterable[QueryRecord] = (), *, may_spill: bool = False) -> None:
        self._issued = _Column("q", may_spill=may_spill)
        self._completed = _Column("q", may_spill=may_spill)
        self._first_token = _Column("q", may_spill=may_spill)
        self._sample = _Column("q", may_spill=may_spill)
        self._tokens = _Column("i", may_spill=may_spill)
        self._outcome = _Column("H", may_spill=may_spill)
        self._requests = _Column("B", may_spill=may_spill)
        self.outcomes: list[str] = [COMPLETED]
        self._codes = {COMPLETED: _COMPLETED}
        self.cached_tokens = 0
        self.models: dict[str, int] = {}
        self.late_from_ns: int | None = None
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
        for count in {one.prompt_tokens for one in records if one.prompt_tokens}:
            _bounded(count)  # no column: it must be a count, as the others
        self._outcome.extend([_COMPLETED if one.outcome == COMPLETED else self._code(one.outcome) for one in records])
        self._issued.extend(issued)
        self._completed.extend(completed)
        self._first_token.extend(first_token)
        self._sample.extend(sample)
        self._tokens.extend(tokens)
        self._requests.add_bytes(requests)
        self.cached_tokens += cached_tokens
        for one in records:
            if one.model:
                self._count_model(one.model)
            if one.late and (self.late_from_ns is None or one.issued_ns < self.late_from_ns):
                self.late_from_ns = one.issued_ns

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

    @property
    def issued_ns(self) -> NDArray[np.int64]:
        """Issue time of every query, in completion order."""
        return self._issued.all()

    @property
    def completed_ns(self) -> NDArray[np.int64]:
        """Completion (or failure) time of every query."""
        return self._completed.all()

    @property
    def first_token_ns(self) -> NDArray[np.int64]:
        """Time of the first content token; -1 where the reply was not streamed."""
        return self._first_token.all()

    @property
    def samples(self) -> NDArray[np.int64]:
        """Row index of every query."""
        return self._sample.all()

    @property
    def tokens(self) -> NDArray[np.int64]:
        """Output tokens of every query; -1 where the reply does not say."""
        return self._tokens.all()

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which queries completed."""
        return np.asarray(self._outcome.part(0, len(self)) == _COMPLETED)

    def where(self, chosen: NDArray[np.bool_]) -> QueryColumns:
        """Return the queries that `chosen`, shape (n,), marks, without the sums that are kept of all together."""
        found = QueryColumns()
        for name in ("_issued", "_completed", "_first_token", "_sample", "_tokens", "_outcome"):
            column: _Column = getattr(self, name)
            getattr(found, name).add_bytes(column.part(0, len(self))[chosen].tobytes())
        digests = self._requests.part(0, len(self) * _DIGEST_BYTES).reshape(-1, _DIGEST_BYTES)
        found._requests.add_bytes(digests[chosen].tobytes())
        found.outcomes, found._codes = list(self.outcomes), dict(self._codes)
        return found

    def timed(self) -> QueryColumns:
        """Return the queries that were issued while it was measured: all, but for late turns of conversations."""
        return self if self.late_from_ns is None else self.where(self.issued_ns < self.late_from_ns)

    def latencies_s(self) -> NDArray[np.float64]:
        """Latency in seconds of each completed query."""
        took_ns = self.completed_ns
        took_ns -= self.issued_ns
        ok = self.ok
        if not ok.all():
            took_ns = took_ns[ok]
        return took_ns / 1e9

    def failures(self) -> dict[str, int]:
        """Failed queries by reason class."""
        counts = np.bincount(self._outcome.all(), minlength=len(self.outcomes)).tolist()
        found = sorted(zip(self.outcomes, counts, strict=True))
        return {reason: count for reason, count in found if reason != COMPLETED}

    def distinct_requests(self) -> int:
        """Number of different requests on the wire."""
        # A set of a million digests takes 100 MiB. As numpy strings they end at trailing zeros, alike for equal ones.
        if len(self) <= _MANY_DIGESTS:
            return len(np.unique(self._digests(0, len(self))))
        return sum(len(np.unique(self._digests_of_part(part))) for part in range(_PARTS))

    def _digests_of_part(self, part: int) -> NDArray[np.bytes_]:
        """Return the digests that begin with four certain bits."""
        found = []
        for start in range(0, len(self), _DIGESTS_AT_ONCE):
            some = self._digests(start, start + _DIGESTS_AT_ONCE)
            first = some.view(np.uint8)[::_DIGEST_BYTES]
            found.append(some[first // (256 // _PARTS) == part])
        return np.concatenate(found)

    def _digests(self, start: int, end: int) -> NDArray[np.bytes_]:
        raw = self._requests.part(start * _DIGEST_BYTES, end * _DIGEST_BYTES)
        return np.asarray(raw, np.uint8).view(f"S{_DIGEST_BYTES}")

    def first_request(self) -> str | None:
        """Digest of the first request, or None when nothing was sent."""
        return self._requests.part(0, _DIGEST_BYTES).tobytes().hex() if len(self) else None


def _batches(records: Iterable[QueryRecord]) -> Iterator[list[QueryRecord]]:
    """Yield records some at a time, so that millions of them are never held."""
    left = iter(records)
    while batch := list(islice(left, _BATCH)):
        yield batch


def _bounded(count: int) -> int:
    """Return a count that an endpoint reported as one that fits a column."""
    return count if 0 <= count <= _MOST_TOKENS else max(0, min(count, _MOST_TOKENS))
