"""What a phase's queries came to so far, as far as it bears on going on."""

from __future__ import annotations

from ..runs.query import QueryRecord

#: The endpoint is taken for gone after this many failures to connect in a row (a refused connection takes a fraction of
#: a millisecond), or after this time of nothing else (one that is dropped takes the whole connect timeout).
_REFUSALS_TO_ABORT = 100
_PATIENCE_NS = 60 * 10**9

#: A phase at its duration floor goes on until a query completes; after this many failures in a row none is hoped for.
_FAILURES_TO_END = 10

#: Failures after which the endpoint is asked whether it is still there.
_BROKEN_CONNECTION = frozenset({"connect", "reset", "truncated"})


class Tally:
    """Counts the queries of a phase. Times are nanoseconds since the first issue, `zero_ns` on the process's clock."""

    def __init__(self) -> None:
        self.zero_ns = 0
        self.n_issued = 0
        self.n_completed = 0
        self.n_failed = 0
        self.latest_ns = 0
        self.latest_latency_ns = 0
        self.connections_broke = False
        self._latest_completed_ns = 0
        self._failures_in_a_row = 0
        self._refusals_in_a_row = 0
        self._refused_since_ns = 0

    @property
    def n_in_flight(self) -> int:
        """Queries that were issued and have not ended."""
        return self.n_issued - self.n_completed - self.n_failed

    def note(self, record: QueryRecord) -> None:
        """Count a query that has ended."""
        self.latest_ns = record.completed_ns
        if record.ok:
            self.n_completed += 1
            self.latest_latency_ns = record.completed_ns - record.issued_ns
            self._latest_completed_ns = record.completed_ns
            self._failures_in_a_row = self._refusals_in_a_row = 0
        else:
            self._note_failure(record)

    def _note_failure(self, record: QueryRecord) -> None:
        self.n_failed += 1
        self._failures_in_a_row += 1
        self.connections_broke = self.connections_broke or record.outcome in _BROKEN_CONNECTION
        if record.outcome != "connect":
            self._refusals_in_a_row = 0
        elif self._refusals_in_a_row:
            self._refusals_in_a_row += 1
        else:
            self._refusals_in_a_row, self._refused_since_ns = 1, record.issued_ns

    def reached(self, floor_ns: int) -> bool:
        """Whether a query has completed so late; after many failures in a row, whether one has ended so late."""
        failing = self._failures_in_a_row >= _FAILURES_TO_END
        return (self.latest_ns if failing else self._latest_completed_ns) >= floor_ns

    def seems_gone(self) -> bool:
        """Whether nothing but refused connections has come for too long."""
        refused = self._refusals_in_a_row
        return refused >= _REFUSALS_TO_ABORT or (
            refused > 1 and self.latest_ns - self._refused_since_ns >= _PATIENCE_NS
        )
