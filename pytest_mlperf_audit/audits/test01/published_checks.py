"""The checks of TEST01's performance part. Pure.

Rule: mlcommons/inference `compliance/TEST01/verify_performance.py`: both runs valid, of one scenario, for Server with
one target latency, and the audit run's score within 10 % of the reference run's, both ways; 20 % for latencies so short
that noise is large (SingleStream up to 0.2 ms, MultiStream up to 1.6 ms).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ...loadgen.detail import Detail
from ...loadgen.summary import Summary
from ..published.both_runs import both_valid, one_scenario
from ..published.same_run import Latencies, of_systems, separate_runs
from ..published.score import TOLERANCE, tolerance, within
from ..verdict import Check, Figure
from .upstream import SCORE_KEYS

_UNITS: Final = {"Offline": "samples/s", "Server": "samples/s", "SingleStream": "ns", "MultiStream": "ns"}
_WHOLE: Final = "performance_logs_whole"
#: What of a detail log one run is known by.
_LATENCIES: Final = tuple(
    f"result_{what}_latency_ns" for what in ("min", "max", "mean", "50.00_percentile", "90.00_percentile")
)


class Performed(NamedTuple):
    """One run, by its detail log or its summary. `score` is a latency in ns for SingleStream and MultiStream."""

    from_detail: bool
    empty: bool
    whole: bool
    scenario: str | None
    validity: str | None
    score: float | None
    target_latency_ns: float | None
    n_errors: int
    quirks: str
    problems: tuple[str, ...]
    sut_name: str | None
    latencies_ns: Latencies

    @property
    def log(self) -> str:
        """What was read."""
        return "detail log" if self.from_detail else "summary"

    @property
    def told(self) -> str:
        """What of it could not be read, to stand behind a reason."""
        return f" ({'; '.join(self.problems[:3])})" if self.problems else ""


def of_detail(log: Detail) -> Performed:
    """Return the run that a detail log is of."""
    scenario = log.text("effective_scenario")
    return Performed(
        from_detail=True,
        empty=not log.marked and not log.n_bad_lines,
        whole=log.whole,
        scenario=scenario,
        validity=log.text("result_validity"),
        score=log.number(SCORE_KEYS.get(scenario or "", "")),
        target_latency_ns=log.number("effective_target_latency_ns"),
        n_errors=log.n_errors,
        quirks=str(log.quirks),
        problems=log.problems,
        sut_name=log.text("sut_name"),
        latencies_ns={(key, int(ns)) for key in _LATENCIES if (ns := log.number(key)) is not None},
    )


def of_summary(log: Summary) -> Performed:
    """Return the run that a summary is of."""
    scores = {
        "Offline": log.samples_per_second,
        "Server": log.completed_samples_per_second,
        "SingleStream": log.early_stopping_ns.get("90"),
        "MultiStream": log.early_stopping_ns.get("99"),
    }
    return Performed(
        from_detail=False,
        empty=not log.size_bytes,
        whole=log.whole,
        scenario=log.scenario,
        validity=log.validity,
        score=scores.get(log.scenario or ""),
        target_latency_ns=log.target_latency_ns,
        n_errors=log.n_errors or 0,
        quirks=str(log.quirks),
        problems=log.problems,
        sut_name=log.sut_name,
        latencies_ns=log.latencies_ns,
    )


def not_readable(reason: str) -> Check:
    """Return the one check of a directory whose logs are not there to be judged."""
    return Check(name=_WHOLE, passed=None, observed=None, limit=2, reason=reason)


def checks(reference: Performed, audit: Performed, *, same_run: bool) -> list[Check]:
    """Return every check; that of the score is the last."""
    found = [
        _logs_whole(reference, audit),
        _separate_runs(reference, audit, same=same_run),
        _scenario(reference, audit),
        _valid(reference, audit),
    ]
    if reference.scenario == audit.scenario == "Server":
        found.append(_target_latency(reference, audit))
    return [*found, _score(reference, audit)]


def figures(reference: Performed, audit: Performed, score: Check) -> dict[str, Figure]:
    """Return the figures that there are."""
    limit = tolerance(reference.scenario or "", reference.score) if reference.score else None
    found: dict[str, Figure] = {
        "scenario": audit.scenario,
        "unit": _UNITS.get(audit.scenario or ""),
        "reference_score": reference.score,
        "audit_score": audit.score,
        "ratio": score.observed,
        "limit_ratio": None if limit is None else 1 + limit,
    }
    return {name: value for name, value in found.items() if value is not None}


def notes(reference: Performed, audit: Performed) -> list[str]:
    """Return what a reviewer should know of the two runs beside the checks."""
    found = of_systems(reference.sut_name, audit.sut_name)
    for name, run in (("reference", reference), ("audit", audit)):
        if not run.from_detail:
            found.append(f"The {name} run was published without a detail log and is judged by its summary.")
        if run.n_errors:
            found.append(f"LoadGen reported {run.n_errors} errors in the {name} run; its detail log says which.")
        if run.quirks:
            found.append(f"The {name} run's {run.log} was read in spite of {run.quirks}.")
        if run.whole and run.problems:
            found.append(f"Of the {name} run's {run.log} this was not read: {'; '.join(run.problems[:3])}.")
    return found


def _logs_whole(reference: Performed, audit: Performed) -> Check:
    cut = [
        f"the {name} run's {run.log} is {'empty' if run.empty else f'cut short or is none{run.told}'}"
        for name, run in (("reference", reference), ("audit", audit))
        if not run.whole
    ]
    return Check(
        name=_WHOLE,
        passed=None if cut else True,
        observed=2 - len(cut),
        limit=2,
        reason="; ".join(cut) or "both logs have what LoadGen writes last",
    )


def _separate_runs(reference: Performed, audit: Performed, *, same: bool) -> Check:
    latencies = reference.latencies_ns, audit.latencies_ns
    return separate_runs("performance_separate_runs", "logs", latencies, same_bytes=same)


def _scenario(reference: Performed, audit: Performed) -> Check:
    before, after = reference.scenario, audit.scenario
    missing = "" if before and after else f"the {'audit' if before else 'reference'} run's log names no scenario"
    return one_scenario("performance_scenario", (before, after), SCORE_KEYS, test="TEST01", missing=missing)


def _valid(reference: Performed, audit: Performed) -> Check:
    results = {"reference": reference.validity, "audit": audit.validity}
    return both_valid("performance_valid", results, lambda name: f"the {name} run's log has no validity")


def _target_latency(reference: Performed, audit: Performed) -> Check:
    before, after = reference.target_latency_ns, audit.target_latency_ns
    passed = before == after
    same = "the same target latency" if passed else "different target latencies"
    told = ["none" if value is None else f"{value:.0f} ns" for value in (before, after)]
    return Check(
        name="performance_target_latency",
        passed=passed,
        observed=after,
        limit=before,
        reason=f"the runs have {same}: {told[0]} and {told[1]}",
    )


def _score(reference: Performed, audit: Performed) -> Check:
    before, after = reference.score, audit.score
    scenario = reference.scenario or ""
    if before is not None and after is not None and scenario == audit.scenario:
        tolerated = tolerance(scenario, before)
        return within(before, after, tolerated, name="performance_score", unit=_UNITS.get(scenario, ""))
    missing = [
        f"no score in the {name} run's {run.log}{run.told}"
        for name, run in (("reference", reference), ("audit", audit))
        if run.score is None
    ]
    return Check(
        name="performance_score",
        passed=None,
        observed=None,
        limit=1 + TOLERANCE,
        reason="; ".join(missing) or "scores of different scenarios cannot be compared",
    )
