"""When to go on would be in vain: all is refused in one way, access ends, timeouts come without an answer, no ids."""

from __future__ import annotations

from ..errors import RefusedError
from ..runs.order import Scripted
from ..runs.query import NO_ACCESS, PROXY, RATE_LIMITED, QueryRecord, refusal
from ..runs.spec import RunSpec
from ..runs.trajectories import Trajectories

#: A phase ends when so many queries, the first that it sent, are refused in one way.
FIRST_QUERIES = 10

#: It does when so many are refused for want of access, or by a rate limit, which comes in waves, with nothing completed
#: since, wherever it is; those of all that is in flight, so that some rows refused among many good ones are not enough.
_NO_ACCESS_TO_END = 10
_RATE_LIMITED_TO_END = 30

#: It does as well when so many time limits run out in a row, and those of all that is in flight.
_TIMEOUTS_TO_END = 3

#: Failures with endings of their own.
_NO_REFUSALS = frozenset({"connect", "cancelled", "crashed", "timeout"})


class HopelessError(Exception):
    """The endpoint refuses everything, or answers nothing: to go on would say nothing of the system."""


class Hope:
    """Watches the records of a phase as they come; `label` and `api_type` name the endpoint in messages."""

    def __init__(self, spec: RunSpec, label: str, api_type: str) -> None:
        self._label, self._api_type = label, api_type
        self._gave_ids = False
        # A script ends by itself where it sees few queries fail, and knows better what to say of them.
        surely = spec.order.count if isinstance(spec.order, Trajectories) else spec.n_samples
        self._first = FIRST_QUERIES if isinstance(spec.order, Scripted) else min(FIRST_QUERIES, surely)
        self._limit_s = spec.query_timeout_s or 0.0
        self._latest_completed = -1
        self._n_refused = 0
        self._ways: set[str] = set()
        self._timeouts: list[int] = []
        self._no_access: list[int] = []
        self._rate_limited: list[int] = []

    def require(self, record: QueryRecord, n_in_flight: int) -> None:
        """Take the next record. Raises HopelessError, quoting the server, when it takes the last hope."""
        if record.ok:
            if record.query > self._latest_completed:
                self._latest_completed = record.query
                if self._timeouts or self._no_access or self._rate_limited:
                    self._forget_before(record.query)
            return
        if record.outcome == "timeout":
            self._note_timeout(record, n_in_flight)
        if record.query < self._first and record.outcome not in _NO_REFUSALS:
            self._note_refusal(record)
        self._note_turned_away(record, n_in_flight)

    def require_ids(self, record: QueryRecord) -> None:
        """Raise RefusedError when the endpoint has no token ids: by its first reply, or by what it says to our asking.

        Later replies without are for the audit to judge.
        """
        if self._gave_ids or not (record.ok or _refuses_to_give_ids(record)):
            return
        self._gave_ids = record.output_ids is not None
        if not self._gave_ids:
            raise RefusedError(
                f"endpoint {self._label}: gives no token ids to api_type {self._api_type}, which this audit needs; "
                "serve with vLLM 0.10.2 or later (return_token_ids) or with SGLang (api_type sglang), or name the "
                "model's tokenizer.json as the audit's `tokenizer`"
            )

    def _forget_before(self, completed: int) -> None:
        """Forget failures before a query that completed: a lost reply among good ones is not a hang, and so on."""
        for failed in (self._timeouts, self._no_access, self._rate_limited):
            failed[:] = [query for query in failed if query > completed]

    def _note_timeout(self, record: QueryRecord, n_in_flight: int) -> None:
        if record.query > self._latest_completed:
            self._timeouts.append(record.query)
        if len(self._timeouts) >= max(_TIMEOUTS_TO_END, n_in_flight + 1):
            raise HopelessError(
                f"the endpoint hangs: {len(self._timeouts)} queries in a row had no whole reply within "
                f"{self._limit_s:g} s"
            )

    def _note_refusal(self, record: QueryRecord) -> None:
        """Count by outcome alone: servers put ids, times and the query's own words into each sentence anew."""
        self._n_refused += 1
        self._ways.add(record.outcome)
        if self._n_refused == self._first and len(self._ways) == 1 and self._latest_completed < 0:
            what = f"the first {self._first} queries were all" if self._first > 1 else "the only query was"
            raise HopelessError(f"{what} refused in one way: {refusal(record.outcome, record.detail)}")

    def _note_turned_away(self, record: QueryRecord, n_in_flight: int) -> None:
        if record.query < self._latest_completed:
            return
        if record.outcome in NO_ACCESS or record.outcome == PROXY:
            counted, least = self._no_access, _NO_ACCESS_TO_END
        elif record.outcome in RATE_LIMITED:
            counted, least = self._rate_limited, _RATE_LIMITED_TO_END
        else:
            return
        counted.append(record.query)
        if len(counted) >= max(least, n_in_flight + 1):
            raise HopelessError(
                f"{len(counted)} queries were refused and none completed since, which says nothing of the system: "
                f"{refusal(record.outcome, record.detail)}"
            )


def _refuses_to_give_ids(record: QueryRecord) -> bool:
    """Whether the server calls the request for token ids a mistake, as some do with any field they do not know."""
    return record.outcome in {"http_400", "http_422"} and "token_ids" in (record.detail or "")
