"""TEST04's rule on phases: what was sent, the throughput of one repeated sample over distinct ones, the script's score.

What MLPerf's own script makes of the phases decides nothing. Rule: mlcommons/inference
`compliance/TEST04/verify_performance.py`. It compares LoadGen's score, which is throughput for Offline and 1e9 / the
early-stopping 90th percentile latency for SingleStream. Its tolerance is fixed: 10 %, 20 % for any SingleStream score
that occurs. Our checks follow `threshold`, and compare throughput in either case.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose

from ...runs.phase import MeasuredPhase, PhaseRecord
from ...runs.query import n_turned_away
from ..completion import completed_enough, in_doubt
from ..disturbed import bounded
from ..disturbed import notes as disturbed_notes
from ..published.score import RELAXED, TOLERANCE, speed_up, tolerance
from ..verdict import Check, LimitOf
from .reference import kind_of


def requests_identical(label: str, run: MeasuredPhase) -> Check:
    """Require that every request of a phase that repeats a row was the same on the wire."""
    distinct, sent = run.figures.n_distinct_requests, run.figures.n_issued
    found = f"all {sent} requests are the same" if distinct == 1 else f"{distinct} different requests among {sent}"
    return Check(
        name=f"requests_identical[{label}]",
        passed=distinct == 1,
        observed=distinct,
        limit=1,
        reason=f"{found} on the wire, by hash of the bytes sent",
    )


def point_ratio(
    name: str, reference: MeasuredPhase, run: MeasuredPhase, threshold: float, min_completion: float
) -> Check:
    """Return MLPerf's comparison of the two phases: queries per second, below 1 + `threshold`.

    Undecided where queries were turned away that could change it.
    """
    return _unless_refused(_measured(name, reference, run, threshold), reference, run, threshold, min_completion)


def _unless_refused(
    check: Check, reference: MeasuredPhase, run: MeasuredPhase, threshold: float, min_completion: float
) -> Check:
    """Return the check as it was measured, or as undecided.

    Undecided where queries were turned away, and either too many for `min_completion` (0 to 1), or so many that the
    ratio could lie on the other side of the limit, had they completed in their phase.
    """
    refused = (n_turned_away(reference.figures.failures), n_turned_away(run.figures.failures))
    if not any(refused):
        return check
    ratio, enough = check.observed, all(completed_enough(phase, min_completion) for phase in (reference, run))
    if not (enough and isinstance(ratio, float)):
        return in_doubt(check, sum(refused))
    least = ratio / (1 + refused[0] / reference.figures.n_completed)
    most = ratio * (1 + refused[1] / run.figures.n_completed)
    limit = 1 + threshold
    return check if (least < limit) == (most < limit) else in_doubt(check, sum(refused))


def _measured(name: str, reference: MeasuredPhase, run: MeasuredPhase, threshold: float) -> Check:
    before, after = reference.figures.qps, run.figures.qps
    if before is None or after is None:
        silent = reference.label if before is None else run.label
        return Check(
            name=name,
            passed=False,
            observed=None,
            limit=1 + threshold,
            reason=f"no throughput: the {silent} phase completed no query",
        )
    over = "distinct samples" if kind_of(reference.spec) == "rows" else "fresh twins of it"
    return speed_up(before, after, threshold, name=name, over=over)


def _single_stream(run: PhaseRecord) -> bool:
    """Whether the phase is MLPerf's SingleStream, whose score is a latency."""
    return run.spec.load.scenario == "SingleStream"


def score(run: PhaseRecord) -> float | None:
    """Return LoadGen's score in queries per second, None where the phase is too short for one."""
    if not _single_stream(run):
        return run.figures.qps
    p90_s = run.figures.early_stopping_p90_s
    return 1e9 / round(p90_s * 1e9) if p90_s else None  # as the script does with the whole nanoseconds in the log


def limit_ratio(reference: PhaseRecord) -> float:
    """Return the ratio of scores from which on the script fails an audit."""
    return 1 + tolerance(reference.spec.load.scenario, score(reference) or 0.0)


def limit_of(reference: PhaseRecord, threshold: float) -> LimitOf:
    """Return whose tolerance `threshold` is: MLPerf's, the one that it has for SingleStream, or the YAML's own."""
    if isclose(threshold, TOLERANCE, abs_tol=1e-9):
        return "MLPerf"
    relaxed = _single_stream(reference) and isclose(threshold, RELAXED, abs_tol=1e-9)
    return "SingleStream" if relaxed else "configuration"


def script_passes(reference: PhaseRecord, run: PhaseRecord) -> bool | None:
    """Return whether the script passes these phases by their scores, None where either has no score."""
    before, after = score(reference), score(run)
    return None if before is None or after is None else after < before * limit_ratio(reference)


def notes(reference: MeasuredPhase, repeats: Mapping[str, MeasuredPhase], threshold: float) -> tuple[str, ...]:
    """Return where the script would say something else than `throughput_ratio` does, and why."""
    told = (_difference(reference.record, label, run.record, threshold) for label, run in repeats.items())
    return tuple(note for note in told if note)


def bounded_notes(reference: MeasuredPhase, repeats: Mapping[str, MeasuredPhase], *, probed: bool) -> tuple[str, ...]:
    """Return which phases the client bounded, and what a pass then rests on."""
    rests = (
        f"{label}: no faster system could have shown in it, so the cache probe alone tells whether there is a cache"
        for label, run in repeats.items()
        if probed and bounded(run)
    )
    return (*disturbed_notes(reference, *repeats.values()), *rests)


def _difference(reference: PhaseRecord, label: str, run: PhaseRecord, threshold: float) -> str | None:
    theirs = script_passes(reference, run)
    before, after = reference.figures.qps, run.figures.qps
    if theirs is None or before is None or after is None or theirs == (after / before < 1 + threshold):
        return None
    compared = "1 / early-stopping 90th percentile latency" if _single_stream(reference) else "throughput"
    ratio = (score(run) or 0.0) / (score(reference) or 1.0)
    return (
        f"{label}: MLPerf's own script says TEST {'PASS' if theirs else 'FAIL'}: it compares {compared}, ratio "
        f"{ratio:.4g}, with its fixed limit {limit_ratio(reference):.4g}; the check throughput_ratio compares "
        f"throughput, ratio {after / before:.4g}, with {1 + threshold:.4g}"
    )
