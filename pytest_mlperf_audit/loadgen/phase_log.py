"""PhaseLog: one of our phases in LoadGen's terms, from which both of its logs are written.

Source of the terms: mlcommons/inference `loadgen/results.cc` and `test_settings_internal.cc`. LoadGen waits for every
reply and so knows no failed query: here a sample is a completed query, and failures are errors in the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..config.scenario import Scenario
from ..runs.columns import QueryColumns
from ..runs.order import Single, WithoutReplacement
from ..runs.phase import PhaseRecord
from ..runs.query import REASONS
from ..runs.spec import Concurrency, Load, Poisson
from ..stats.percentiles import P90_FLOOR, allowed_over_latency, percentile_estimate, queries_needed
from .fields import SETTINGS

_Latencies = NDArray[np.int64]
#: LoadGen's test modes; an accuracy run has no result and no latencies in its logs.
Mode = Literal["PerformanceOnly", "AccuracyOnly"]

PERCENTILES = (0.50, 0.90, 0.95, 0.97, 0.99, 0.999)


@dataclass(frozen=True)
class Declared:
    """What a log says of a whole run: names, rows of the data set as loaded, and the YAML's seeds.

    `benchmark` is MLPerf's name of the model, "" where the YAML has none.
    """

    sut_name: str
    qsl_name: str
    qsl_size: int
    qsl_rng_seed: int = 0
    sample_index_rng_seed: int = 0
    schedule_rng_seed: int = 0
    benchmark: str = ""


@dataclass(frozen=True)
class TokenTimes:
    """What LoadGen logs with use_token_latencies: output tokens of all completed queries, times in ns, sorted.

    `first_ns` are the times to the first token, `per_token_ns` those to each further one; both are empty in Offline,
    which needs neither, and of replies that were not streamed.
    """

    n_tokens: int
    first_ns: _Latencies
    per_token_ns: _Latencies


@dataclass(frozen=True)
class _EarlyStopping:
    """LoadGen's early stopping: `text` in its own words, estimates of latency percentiles in ns, None where too few."""

    met: bool = True
    text: str = ""
    p90_ns: int | None = None
    p99_ns: int | None = None


@dataclass(frozen=True)
class PhaseLog:
    """All that the two logs of a phase hold. `latencies_ns` are those of completed queries, sorted."""

    record: PhaseRecord
    declared: Declared
    scenario: Scenario
    latencies_ns: _Latencies
    last_issue_s: float
    last_query_done_s: float | None
    early_stopping: _EarlyStopping
    duration_met: bool
    queries_met: bool
    mode: Mode = "PerformanceOnly"
    tokens: TokenTimes | None = None

    @property
    def n_samples(self) -> int:
        """Completed queries, which are LoadGen's samples."""
        return int(self.latencies_ns.size)

    @property
    def n_queries(self) -> int:
        """LoadGen's queries: Offline is one query of many samples."""
        return 1 if self.scenario == "Offline" else self._n_issued

    @property
    def _n_issued(self) -> int:
        """Queries that were issued while it was measured."""
        return self.record.figures.n_issued - self.record.figures.n_late

    @property
    def samples_per_query(self) -> int:
        """Samples in each query as issued."""
        return self._n_issued if self.scenario == "Offline" else 1

    @property
    def perf_constraints_met(self) -> bool:
        """Whether latency stayed within its bound: never in Server, whose bound the YAML has no key for."""
        return self.scenario != "Server"

    @property
    def valid(self) -> bool:
        """Whether MLPerf may count the result."""
        return self.duration_met and self.queries_met and self.perf_constraints_met and self.early_stopping.met

    def rates(self) -> dict[str, float]:
        """Return the rates that the scenario has, by the names of `fields`, without those that the phase lacks.

        Server's score counts samples after the first, by the time when the last query issued was answered.
        """
        figures, n, done_s = self.record.figures, self.n_samples, self.last_query_done_s
        per_issue_span = (n - 1) / self.last_issue_s if self.last_issue_s and n else None
        found: dict[str, float | None]
        if self.scenario == "Offline":
            found = {"samples_per_second": figures.qps}
        elif self.scenario == "Server":
            found = {
                "scheduled_samples_per_second": per_issue_span,
                "completed_samples_per_second": (n - 1) / done_s if done_s and n > 1 else None,
            }
        else:
            mean_ns = self._mean_ns() if n else 0
            unhindered = 1e9 / mean_ns if mean_ns else None
            found = {"issued_per_second": per_issue_span, "unhindered_per_second": unhindered}
        return {name: rate for name, rate in found.items() if rate is not None}

    def tokens_per_second(self) -> float | None:
        """Return output tokens a second, in Server of the time until the last query was answered; None unknown."""
        if self.tokens is None:
            return None
        seconds = self.last_query_done_s if self.scenario == "Server" else self.record.figures.window_s
        return self.tokens.n_tokens / seconds if seconds else None

    def latencies(self) -> Iterator[tuple[str, int]]:
        """Yield what the logs say of latency in ns, under LoadGen's names; nothing where no query completed."""
        if not self.n_samples:
            return
        yield "Min", int(self.latencies_ns[0])
        yield "Max", int(self.latencies_ns[-1])
        yield "Mean", self._mean_ns()
        yield from ((f"{p * 100:.2f} percentile", self.percentile_ns(p)) for p in PERCENTILES)

    def percentile_ns(self, percentile: float) -> int:
        """Return the order statistic that LoadGen calls this percentile, of at least one latency."""
        return int(self.latencies_ns[int(self.n_samples * percentile)])

    def _mean_ns(self) -> int:
        """Return the mean latency as LoadGen rounds it; the parts of the sum keep it within 64 bits."""
        n = self.n_samples
        return int((self.latencies_ns // n).sum() + (self.latencies_ns % n).sum() // n)

    def errors(self) -> list[str]:
        """Return one message for each class of failed queries."""
        return [
            f"{count} of {self.record.figures.n_issued} queries failed: {reason}"
            + (f" ({REASONS[reason]})" if reason in REASONS else "")
            for reason, count in self.record.figures.failures.items()
        ]

    def recommendations(self) -> Iterator[str]:
        """Yield why the result is not valid; early stopping has words of its own."""
        if not self.perf_constraints_met:
            yield "The run has no latency bound, which the Server scenario needs."
        if not self.duration_met:
            yield "The phase was shorter than its duration floor."
        if not self.queries_met:
            yield "Fewer queries completed than the phase owes."

    def settings(self) -> dict[str, bool | int | float]:
        """Return the test parameters in LoadGen's order. 0 stands for what was not set, as it does in LoadGen."""
        spec, declared = self.record.spec, self.declared
        repeated = spec.order.index if isinstance(spec.order, Single) else None
        known = {
            "samples_per_query": self.samples_per_query,
            "target_qps": spec.load.target_qps if isinstance(spec.load, Poisson) else 0,
            "max_async_queries": _most_in_flight(spec.load),
            "min_duration_ms": spec.min_duration_ms,
            "max_duration_ms": spec.max_duration_ms,
            "min_query_count": 1 if self.scenario == "Offline" else spec.n_samples,
            "qsl_rng_seed": declared.qsl_rng_seed,
            "sample_index_rng_seed": declared.sample_index_rng_seed,
            "schedule_rng_seed": declared.schedule_rng_seed,
            "print_timestamps": False,
            "performance_issue_unique": isinstance(spec.order, WithoutReplacement) and not spec.order.wrap,
            "performance_issue_same": repeated is not None,
            "performance_issue_same_index": repeated or 0,
            "performance_sample_count": declared.qsl_size,
            "accuracy_sample_count": declared.qsl_size,
        }
        return {name: known.get(name, 0) for name in SETTINGS}


def phase_log(
    record: PhaseRecord,
    queries: QueryColumns,
    declared: Declared,
    *,
    duration_met: bool,
    queries_met: bool,
    mode: Mode = "PerformanceOnly",
) -> PhaseLog:
    """Return the logs' content; `duration_met` and `queries_met` are the verdict's own checks of this phase."""
    scenario, queries = record.spec.load.scenario, queries.timed()
    issued_ns, completed_ns, ok = queries.issued_ns, queries.completed_ns, queries.ok
    latencies_ns = np.sort((completed_ns - issued_ns)[ok])
    last = int(issued_ns.argmax()) if len(queries) else None
    first_ns = int(issued_ns.min()) if len(queries) else 0
    return PhaseLog(
        record=record,
        declared=declared,
        scenario=scenario,
        latencies_ns=latencies_ns,
        last_issue_s=record.figures.issue_span_s,
        last_query_done_s=None if last is None else (int(completed_ns[last]) - first_ns) / 1e9,
        early_stopping=_early_stopping(scenario, latencies_ns),
        duration_met=duration_met,
        queries_met=queries_met,
        mode=mode,
        tokens=_token_times(scenario, queries),
    )


def _token_times(scenario: Scenario, queries: QueryColumns) -> TokenTimes | None:
    """Return the token figures, None unless every completed query has what the scenario needs of it."""
    ok, tokens, first_ns = queries.ok, queries.tokens, queries.first_token_ns
    if not ok.any() or (tokens[ok] < 0).any():
        return None
    n_tokens, none = int(tokens[ok].sum()), np.empty(0, np.int64)
    if scenario == "Offline":
        return TokenTimes(n_tokens, none, none)
    if (first_ns[ok] < 0).any():
        return None
    several = ok & (tokens > 1)
    per_token = (queries.completed_ns - first_ns)[several] // (tokens[several] - 1)
    return TokenTimes(n_tokens, np.sort((first_ns - queries.issued_ns)[ok]), np.sort(per_token))


def _most_in_flight(load: Load) -> int:
    if isinstance(load, Poisson):
        return 0
    return load.target if isinstance(load, Concurrency) else max(load.max_in_flight, 0)


def _early_stopping(scenario: Scenario, latencies_ns: _Latencies) -> _EarlyStopping:
    if scenario == "Offline":
        return _EarlyStopping()
    if scenario == "Server":
        return _EarlyStopping(met=False, text=" * The run has no latency bound to stop early by.")
    n = latencies_ns.size
    exact = latencies_ns.astype(np.float64)  # whole numbers below 2**53: three months
    p90, p99 = percentile_estimate(exact, 0.90), percentile_estimate(exact, 0.99)
    if p90 is None:
        only = f" * Only processed {n} queries.\n * Need to process at least {P90_FLOOR} queries for early stopping."
        return _EarlyStopping(met=False, text=only)
    text = (
        f" * Processed at least {P90_FLOOR} queries ({n}).\n"
        f" * Would discard {allowed_over_latency(n, 0.90) - 1} highest latency queries.\n"
        f" * Early stopping 90.0th percentile estimate: {int(p90)}\n"
    )
    if p99 is None:
        text += (
            " * Not enough queries processed for 99.0th percentile\n"
            " early stopping estimate (would need to process at\n"
            f" least {queries_needed(0.99)} total queries)."
        )
        return _EarlyStopping(text=text, p90_ns=int(p90))
    text += f" * Early stopping 99.0th percentile estimate: {int(p99)}"
    return _EarlyStopping(text=text, p90_ns=int(p90), p99_ns=int(p99))
