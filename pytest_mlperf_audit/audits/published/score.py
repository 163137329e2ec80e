"""A run's score by scenario, and how far an audit run's may lie from its reference run's: the one place of both.

Rules: mlcommons/inference `compliance/TEST04/verify_performance.py` (an audit run must not be faster by the tolerance
or more) and `compliance/TEST01/verify_performance.py` (it must lie within the tolerance, both ways);
`loadgen/results.cc` for the lines that hold the score, and for how many digits are printed.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Final, NamedTuple

from ...loadgen.summary import Summary
from ..verdict import Check

#: The unit of MultiStream's score until LoadGen had early stopping.
STREAMS: Final = "samples/query"
TOLERANCE: Final = 0.10
RELAXED: Final = 0.20
#: Ratios of scores that are limits of TEST04 and of TEST01.
FASTER_LIMITS: Final = (1 + TOLERANCE, 1 + RELAXED)
BOTH_WAYS_LIMITS: Final = (1 - TOLERANCE, 1 + TOLERANCE)

#: Upstream relaxes the tolerance up to these scores. It means latencies in ns, and TEST01 compares such; TEST04
#: compares queries per second with them, so that in practice every SingleStream and MultiStream run of TEST04 is
#: relaxed.
_RELAXED_UP_TO: Final = {"SingleStream": 200_000, "MultiStream": 1_600_000}
NS_PER_S: Final = 1e9


class _Source(NamedTuple):
    """Where LoadGen writes a scenario's score: a key of the detail log, and a line of the summary.

    A scenario with `percentiles` is scored by the early-stopping estimate of that latency in ns, which needs
    `n_queries` (confidence 0.99, tolerance 0); SingleStream's is the 99.9th in automotive.
    """

    key: str
    line: str = ""
    percentiles: tuple[str, ...] = ()
    n_queries: int = 0


#: The scenarios that TEST01 and TEST04 have a score for.
SCENARIOS: Final = {
    "Offline": _Source("result_samples_per_second", "Samples per second"),
    "Server": _Source("result_completed_samples_per_sec", "Completed samples per second"),
    "SingleStream": _Source("early_stopping_latency_ss", percentiles=("90", "99.9"), n_queries=64),
    "MultiStream": _Source("early_stopping_latency_ms", percentiles=("99",), n_queries=662),
}


def tolerance(scenario: str, score: float) -> float:
    """Return the tolerance of a reference run, by its scenario and by its score as upstream's script has it."""
    return RELAXED if score <= _RELAXED_UP_TO.get(scenario, float("-inf")) else TOLERANCE


def tolerance_of_rates(scenario: str) -> float:
    """Return the tolerance of scores in queries/s, whatever they are; `scenario` in any case of letters."""
    return RELAXED if scenario.lower() in {name.lower() for name in _RELAXED_UP_TO} else TOLERANCE


def is_latency(scenario: str | None) -> bool:
    """Whether a scenario's score is a latency in ns, and not samples/s."""
    source = SCENARIOS.get(scenario or "")
    return bool(source and source.percentiles)


def score_before_early_stopping(run: Summary) -> float | None:
    """Return the score of a run by a LoadGen older than 2.0, None where it has none, or is of another scenario.

    SingleStream's is the 90th percentile latency in ns, MultiStream's the samples per query. Source:
    `loadgen/results.cc` at v1.1, and `compliance/nvidia/TEST01/verify_performance.py` of that time.
    """
    return {"SingleStream": run.percentile_90_latency_ns, "MultiStream": run.streams}.get(run.scenario or "")


def score_of(run: Summary) -> float | None:
    """Return a run's score as LoadGen prints it; None where there is none, or not one alone."""
    if run.scenario == "Offline":
        return run.samples_per_second
    if run.scenario == "Server":
        return run.completed_samples_per_second
    source = SCENARIOS.get(run.scenario or "")
    percentiles = source.percentiles if source else ()
    estimates = [run.early_stopping_ns[name] for name in percentiles if name in run.early_stopping_ns]
    return estimates[0] if len(estimates) == 1 else None


def rate_of(run: Summary) -> float | None:
    """Return a run's score as TEST04 compares it, higher is faster: samples/s, or 1e9 / the latency."""
    score = score_of(run)
    if score is None or not is_latency(run.scenario):
        return score
    return NS_PER_S / score if score else None


def why_none(run: Summary) -> str:
    """Return why a run has no score, to stand behind "no score in the reference's summary: "."""
    source = SCENARIOS.get(run.scenario or "")
    if source is None:
        return "TEST04 has no score for its scenario"
    if not source.percentiles:
        return f"it has no line {source.line!r} with a number"
    name = " or ".join(f"{percentile}th" for percentile in source.percentiles)
    needed = run.needed_queries.get("") or source.n_queries
    reason = f"it has no early-stopping estimate of the {name} percentile, for which LoadGen needs {needed} queries"
    if run.processed_queries is not None:
        reason += f"; it processed {run.processed_queries}"
    if run.scenario == "SingleStream":
        reason += " (mlcommons/inference#2493: the 20 queries of WAN's SingleStream audit cannot give one)"
    return reason


def is_in_log(recorded: float, lines: Iterable[float], scenario: str | None) -> bool:
    """Return whether a recorded score is one of a log's figures; scripts of older rounds recorded other lines of it."""
    return any(is_of_run(recorded, line, scenario) or same_score(recorded, line, "Server") for line in lines)


def same_score(one: float, other: float, scenario: str | None) -> bool:
    """Return whether two printed scores can be the same figure: LoadGen prints six digits, for Server two decimals."""
    rounding = 0.005 if scenario == "Server" else 0.0
    return abs(one - other) <= 1.01 * max(rounding, 5e-6 * max(abs(one), abs(other)))


def is_of_run(recorded: float, score: float, scenario: str | None) -> bool:
    """Return whether a recorded score can be of a run with this one; scripts of older rounds recorded the inverse."""
    inverse = NS_PER_S / score if score else score
    return same_score(recorded, score, scenario) or same_score(recorded, inverse, scenario)


def speed_up(
    reference: float,
    audit: float,
    tolerated: float,
    *,
    name: str = "throughput_ratio",
    unit: str = "queries/s",
    over: str = "distinct samples",
) -> Check:
    """Return whether repeating one sample was no faster than what it is `over`; exactly at the limit is too fast.

    Undecided where a score is no finite number above 0.
    """
    limit = 1 + tolerated
    if doubt := _doubt(reference, audit):
        return Check(name=name, passed=None, observed=None, limit=limit, reason=doubt)
    ratio = audit / reference
    passed = ratio < limit
    return Check(
        name=name,
        passed=passed,
        observed=ratio,
        limit=limit,
        reason=f"{audit:.4g} {unit} repeating one sample against {reference:.4g} with {over}, ratio "
        f"{ratio:.4g}, {'below' if passed else 'not below'} the limit {limit:.4g}",
    )


def within(reference: float, audit: float, tolerated: float, *, name: str = "score_within", unit: str) -> Check:
    """Return whether the audit run scored like the reference run, both ways; exactly at a limit is within.

    Undecided where a score is no finite number above 0.
    """
    if doubt := _doubt(reference, audit):
        return Check(name=name, passed=None, observed=None, limit=1 + tolerated, reason=doubt)
    low, high = reference * (1 - tolerated), reference * (1 + tolerated)
    passed = low <= audit <= high
    return Check(
        name=name,
        passed=passed,
        observed=audit / reference,
        limit=1 + tolerated if audit > reference else 1 - tolerated,
        reason=f"{audit:.6g} {unit} in the audit run against {reference:.6g} in the reference run, "
        f"{'within' if passed else 'not within'} {tolerated:.0%}",
    )


def _doubt(reference: float, audit: float) -> str:
    for run, score in (("reference", reference), ("audit", audit)):
        if not (isfinite(score) and score > 0):
            return f"the score of the {run} run is {score:g}; only a finite score above 0 can be compared"
    return ""
