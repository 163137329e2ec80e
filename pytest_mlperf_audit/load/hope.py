"""When to go on would be in vain: the first queries all refused in one way, or a wave of timeouts without an answer."""

from __future__ import annotations

import re

from ..runs.order import Scripted
from ..runs.query import QueryRecord
from ..runs.spec import RunSpec

#: A phase ends when so many queries, the first that it sent, are refused in one way.
_FIRST_QUERIES = 10

#: It does as well when so many time limits run out in a row, and those of all that is in flight.
_TIMEOUTS_TO_END = 3

#: Failures with endings of their own.
_NO_REFUSALS = frozenset({"connect", "cancelled", "crashed", "timeout"})

#: What servers put into each sentence anew: numbers, times, ids.
_VARYING = re.compile(r"[0-9a-f-]*\d[0-9a-f-]*", re.IGNORECASE)


class HopelessError(Exception):
    """The endpoint refuses everything, or answers nothing: to go on would say nothing of the system."""


class Hope:
    """Watches the records of a phase as they come."""

    def __init__(self, spec: RunSpec) -> None:
        # A script ends by itself where it sees few queries fail, and knows better what to say of them.
        self._first = _FIRST_QUERIES if isinstance(spec.order, Scripted) else min(_FIRST_QUERIES, spec.n_samples)
        self._limit_s = spec.query_timeout_s or 0.0
        self._latest_completed = -1
        self._n_refused = 0
        self._ways: set[tuple[str, str]] = set()
        self._timeouts: list[int] = []

    def require(self, record: QueryRecord, n_in_flight: int) -> None:
        """Take the next record. Raises HopelessError, quoting the server, when it takes the last hope."""
        if record.ok:
            self._latest_completed = max(self._latest_completed, record.query)
            return
        if record.outcome == "timeout":
            self._take_timeout(record, n_in_flight)
        if record.query < self._first and record.outcome not in _NO_REFUSALS:
            self._take_refusal(record)

    def _take_timeout(self, record: QueryRecord, n_in_flight: int) -> None:
        """Count those alone after which no query was sent that completed: a lost reply among good ones is no hang."""
        self._timeouts = [query for query in (*self._timeouts, record.query) if query > self._latest_completed]
        if len(self._timeouts) >= max(_TIMEOUTS_TO_END, n_in_flight + 1):
            raise HopelessError(
                f"the endpoint hangs: {len(self._timeouts)} queries in a row had no whole reply within "
                f"{self._limit_s:g} s"
            )

    def _take_refusal(self, record: QueryRecord) -> None:
        self._n_refused += 1
        self._ways.add((record.outcome, _VARYING.sub("#", record.detail or "")))
        if self._n_refused == self._first and len(self._ways) == 1 and self._latest_completed < 0:
            words = f" ({record.detail})" if record.detail else ""
            what = f"the first {self._first} queries were all" if self._first > 1 else "the only query was"
            raise HopelessError(f"{what} refused in one way: {record.outcome}{words}; see the server's log")
