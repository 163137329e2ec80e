"""What one phase came to: its record (phase.json on disk), its figures, and both with its queries, as verifiers get it.

`figures` is the one place where a phase's numbers are computed, live and from disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..stats.percentiles import LatencySummary, percentile_estimate, summarize
from .columns import QueryColumns
from .official import OfficialTokens
from .query import QueryRecord
from .spec import Load, RunSpec, Score
from .tokens import Goodput, Limits, TokenFigures, goodput, token_figures

#: Queries that are looked at together.
_AT_ONCE = 1_000_000


class ServerCounters(msgspec.Struct, frozen=True, kw_only=True):
    """What the servers' own metrics pages say of caches: evidence that decides nothing.

    `added` is what the phase added to each counter, over all label sets and pages.
    `levels` are gauges, such as a hit rate, as they stood when the phase was over: the mean of all label sets.
    `problems` say what is missing from either, and why.
    """

    added: dict[str, float] = {}
    levels: dict[str, float] = {}
    problems: tuple[str, ...] = ()


#: `complete` is the only status a verdict may rest on.
Status = Literal["complete", "interrupted", "endpoint_lost", "undrained", "crashed", "refused"]

#: What ended the issuing of queries.
StoppedBy = Literal["count", "ceiling", "samples_exhausted", "abort", "script", "failed_turns", "window"]


_TENTHS: Final = 10


class PhaseFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Every figure of a phase, computed from its query records by `figures` and nothing else.

    `window_s` runs from the first issue to the last completion; `qps` is completed / window_s
    (None when nothing completed); latencies are of completed queries, in seconds. `models` counts the replies by the
    model that they name. `most_in_flight` are queries that were issued and not over, at most; `qps_by_tenth` are
    completed queries a second in each tenth of the window, empty where nothing completed. Both are missing (0, empty)
    in records of before they were computed. `tokens` is None where no reply reports tokens, and in such records;
    `goodput` is None without limits.

    Turns of conversations that were issued late, when the first slot had no next trajectory, count in `n_issued`,
    `n_completed`, `failures` and what is distinct, and in no other figure; `n_late` are these, `n_late_completed` those
    of them that completed.
    """

    n_issued: int
    n_completed: int
    failures: dict[str, int]
    window_s: float | None
    issue_span_s: float
    qps: float | None
    latency: LatencySummary | None
    time_to_first_token: LatencySummary | None
    early_stopping_p90_s: float | None
    n_distinct_requests: int
    n_distinct_samples: int
    first_request: str | None
    output_tokens: int | None
    cached_tokens: int
    models: dict[str, int] = {}
    most_in_flight: int = 0
    qps_by_tenth: tuple[float, ...] = ()
    n_late: int = 0
    n_late_completed: int = 0
    tokens: TokenFigures | None = None
    goodput: Goodput | None = None

    @property
    def n_failed(self) -> int:
        """Queries that did not complete, whatever the reason."""
        return self.n_issued - self.n_completed


class ClientState(msgspec.Struct, frozen=True, kw_only=True):
    """What the client knew of itself while it sent a phase: whether what was measured may be its own.

    `lag_*` is how late its event loop came to what was due, in seconds, of `lag_samples` spread evenly over the phase's
    time. `delay_share`, 0 to 1, is how much of its latencies, so far as the lag tells, may have been the client's own
    delay. `cpu_share` is the CPU time of the process over the phase's time; threads may bring it above 1. `opened` are
    connections that were opened while it lasted, `reused` requests that went over an idle one, `resent` queries that
    were sent once more because a kept connection closed.
    """

    lag_p99_s: float
    lag_max_s: float
    lag_mean_s: float
    lag_samples: int
    delay_share: float
    cpu_share: float
    opened: int
    reused: int
    resent: int


class WorkerPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one of several workers did for a phase, and how its clock was mapped to ours.

    `host` is the worker as the YAML has it. Its clock was ahead by `clock_offset_ns` before the phase and gained
    `clock_drift` nanoseconds a nanosecond; both are 0 where it is our own clock. No time is further off than
    `clock_error_ns`. `waited_for_positions` counts queries that it could have sent sooner.
    """

    host: str
    n_queries: int
    clock_offset_ns: int
    clock_drift: float
    clock_error_ns: int
    waited_for_positions: int = 0
    cpu_s: float = 0.0


class PhaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One phase: what was asked (`spec`), how it ended (`status`), what it measured (`figures`).

    `counters` is what the servers' metrics pages say of it, None where none were asked or the phase was cut short.
    `connections_taken` is how many connections the endpoint takes at a time, where it was offered more,
    and `starved` how many queries waited on a connection that it did not take while it answered on others.
    `client` is what the client knew of itself, None in records of before it was noted.
    `workers` are those that shared the phase, by the numbers that the records have; none where one process sent it.
    """

    label: str
    spec: RunSpec
    status: Status
    figures: PhaseFigures
    stopped_by: StoppedBy
    reason: str | None = None
    attempt: int = 1
    started_at: str = ""
    duration_s: float = 0.0
    endpoint: str = ""
    simulated: bool = False
    counters: ServerCounters | None = None
    connections_taken: int | None = None
    starved: int = 0
    client: ClientState | None = None
    workers: tuple[WorkerPart, ...] = ()
    schema_version: int = 1

    @property
    def complete(self) -> bool:
        """Whether a verdict may rest on this phase."""
        return self.status == "complete"


def figures(queries: QueryColumns, load: Load, limits: Limits | None = None) -> PhaseFigures:
    """Compute every figure of a phase; total, so that a phase without queries has figures too.

    The early-stopping percentile is MLPerf's SingleStream score, so it is computed for one query in flight only.

    The window opens with the first issue of any query and closes with the last completion of a completed
    one, so that neither client start-up nor a late failure changes a throughput.
    """
    n_issued = len(queries)
    n_completed = int(queries.ok.sum())
    timed = queries.timed()
    ok = timed.ok
    n_timed = int(ok.sum())
    # One column after the other, since of many millions a few at once are too many.
    window_s, issue_span_s = _spans_s(timed, ok)
    latencies_s = timed.latencies_s()
    latency = summarize(latencies_s) if n_timed else None
    early_s = percentile_estimate(latencies_s, 0.90) if load.scenario == "SingleStream" else None
    del latencies_s
    first_token_s = _first_token_s(timed, ok)
    return PhaseFigures(
        n_issued=n_issued,
        n_completed=n_completed,
        failures=queries.failures(),
        window_s=window_s,
        issue_span_s=issue_span_s,
        qps=n_timed / window_s if window_s else None,
        latency=latency,
        time_to_first_token=summarize(first_token_s) if first_token_s.size else None,
        early_stopping_p90_s=early_s,
        n_distinct_requests=queries.distinct_requests(),
        n_distinct_samples=len(np.unique(queries.samples)),
        first_request=queries.first_request(),
        output_tokens=_output_tokens(timed, ok),
        cached_tokens=queries.cached_tokens,
        models=dict(sorted(queries.models.items())),
        most_in_flight=_most_in_flight(queries),
        qps_by_tenth=_qps_by_tenth(timed, window_s) if window_s else (),
        n_late=n_issued - len(timed),
        n_late_completed=n_completed - n_timed,
        tokens=token_figures(timed, window_s),
        goodput=goodput(timed, limits, window_s),
    )


def _spans_s(queries: QueryColumns, ok: NDArray[np.bool_]) -> tuple[float | None, float]:
    """Return from the first issue to the last completion, None without one, and from the first issue to the last."""
    issued_ns = queries.issued_ns
    if not issued_ns.size:
        return None, 0.0
    completed_ns = queries.completed_ns[ok]
    window_s = float(completed_ns.max() - issued_ns.min()) / 1e9 if completed_ns.size else None
    return window_s, float(np.ptp(issued_ns)) / 1e9


def _first_token_s(queries: QueryColumns, ok: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the time to the first token of completed queries whose replies were streamed."""
    first_ns = queries.first_token_ns
    streamed = ok & (first_ns >= 0)
    if not streamed.any():
        return np.empty(0)
    return np.asarray((first_ns[streamed] - queries.issued_ns[streamed]) / 1e9)


def _output_tokens(queries: QueryColumns, ok: NDArray[np.bool_]) -> int | None:
    tokens = queries.tokens
    counted = ok & (tokens >= 0)
    return int(tokens[counted].sum()) if counted.any() else None


def as_recorded(computed: PhaseFigures, recorded: PhaseFigures) -> PhaseFigures:
    """Return computed figures without those that a record of an earlier version does not have."""
    if recorded.tokens is None:
        computed = msgspec.structs.replace(computed, tokens=None)
    if recorded.most_in_flight or recorded.qps_by_tenth:
        return computed
    return msgspec.structs.replace(computed, most_in_flight=0, qps_by_tenth=())


def _most_in_flight(queries: QueryColumns) -> int:
    """Return the most queries in flight at once; one that is issued as another ends is in its place."""
    issued_ns, completed_ns = queries.issued_ns, queries.completed_ns
    issued_ns.sort()
    completed_ns.sort()
    most = 0
    for start in range(0, len(issued_ns), _AT_ONCE):
        some = issued_ns[start : start + _AT_ONCE]
        over = np.searchsorted(completed_ns, some, side="right")
        most = max(most, int((np.arange(start + 1, start + len(some) + 1) - over).max()))
    return most


def _qps_by_tenth(queries: QueryColumns, window_s: float) -> tuple[float, ...]:
    completed_ns = queries.completed_ns[queries.ok]
    completed_ns -= queries.issued_ns.min()
    counts, _ = np.histogram(completed_ns / 1e9, bins=_TENTHS, range=(0.0, window_s))
    return tuple(float(count) * _TENTHS / window_s for count in counts)


@dataclass(frozen=True)
class MeasuredPhase:
    """A complete phase as verifiers get it. `queries` are all its queries as columns, in completion order.

    `read` yields the same as records, from disk: for what columns do not hold, such as outputs and tags, one at a time,
    so that a phase of millions need not be held. It raises RecordError where the log cannot be read.

    `score` is what an external scorer left beside the records, None where none did; `tokens` are the replies' official
    tokens, None where no tokenizer was given.
    """

    record: PhaseRecord
    queries: QueryColumns
    read: Callable[[], Iterator[QueryRecord]]
    score: Score | None = None
    tokens: OfficialTokens | None = None

    @property
    def label(self) -> str:
        """The phase's label."""
        return self.record.label

    @property
    def spec(self) -> RunSpec:
        """What was asked."""
        return self.record.spec

    @property
    def figures(self) -> PhaseFigures:
        """What was measured."""
        return self.record.figures

    @classmethod
    def of(cls, record: PhaseRecord, queries: list[QueryRecord]) -> MeasuredPhase:
        """Return a phase whose records are at hand."""
        return cls(record, QueryColumns(queries), lambda: iter(queries))
