"""The score that TEST04 compares, by scenario, and when two printed scores are one.

Source: mlcommons/inference `compliance/TEST04/verify_performance.py` for which line is the score, `loadgen/results.cc`
for how many digits are printed.
"""

from __future__ import annotations

from typing import Final

from ...loadgen.summary import Summary

UNITS: Final = {
    "Offline": "samples/s",
    "Server": "samples/s",
    "SingleStream": "queries/s",
    "MultiStream": "queries/s",
}

#: Percentiles of latency whose estimate is the score; SingleStream's is the 99.9th in automotive.
_PERCENTILES: Final = {"SingleStream": ("90", "99.9"), "MultiStream": ("99",)}
#: Queries that LoadGen's early stopping needs for an estimate (confidence 0.99, tolerance 0).
_QUERIES: Final = {"SingleStream": 64, "MultiStream": 662}
_NS_PER_S: Final = 1e9


def score_of(run: Summary) -> float | None:
    """Return a run's score, higher is faster; None where its summary has none, or its scenario no score in TEST04."""
    if run.scenario == "Offline":
        return run.samples_per_second
    if run.scenario == "Server":
        return run.completed_samples_per_second
    estimates = [
        value for name in _PERCENTILES.get(run.scenario or "", ()) if (value := run.early_stopping_ns.get(name))
    ]
    return _NS_PER_S / estimates[0] if len(estimates) == 1 else None


def why_none(run: Summary) -> str:
    """Return why a run has no score, to stand behind "no score in the reference's summary: "."""
    if run.scenario == "Offline":
        return "it has no line 'Samples per second' with a number"
    if run.scenario == "Server":
        return "it has no line 'Completed samples per second' with a number"
    if run.scenario not in _PERCENTILES:
        return "TEST04 has no score for its scenario"
    name = " or ".join(f"{percentile}th" for percentile in _PERCENTILES[run.scenario])
    needed = run.needed_queries.get("") or _QUERIES[run.scenario]
    reason = f"it has no early-stopping estimate of the {name} percentile, for which LoadGen needs {needed} queries"
    if run.processed_queries is not None:
        reason += f"; it processed {run.processed_queries}"
    if run.scenario == "SingleStream":
        reason += " (mlcommons/inference#2493: the 20 queries of WAN's SingleStream audit cannot give one)"
    return reason


def latency_score(run: Summary) -> float | None:
    """Return 1e9 / percentile latency: what counted before LoadGen had early stopping (v1.1 and older)."""
    latency = {"SingleStream": run.percentile_90_latency_ns, "MultiStream": run.percentile_99_latency_ns}
    ns = latency.get(run.scenario or "")
    return _NS_PER_S / ns if ns else None


def same_score(one: float, other: float, scenario: str | None) -> bool:
    """Return whether two printed scores can be the same figure: LoadGen prints six digits, for Server two decimals."""
    rounding = 0.005 if scenario == "Server" else 0.0
    return abs(one - other) <= 1.01 * max(rounding, 5e-6 * max(abs(one), abs(other)))
