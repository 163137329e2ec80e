"""TEST04's one number: the throughput of repeating one sample over that of distinct samples."""

from __future__ import annotations

from ...runs.phase import MeasuredPhase
from ...runs.query import n_turned_away
from ..completion import completed_enough, in_doubt
from ..published.score import speed_up
from ..verdict import Check


def throughput_ratio(
    name: str, reference: MeasuredPhase, run: MeasuredPhase, threshold: float, min_completion: float
) -> Check:
    """Require that the ratio lies below 1 + `threshold`.

    Undecided where queries were turned away, and either too many for `min_completion` (0 to 1), or so many that the
    ratio could lie on the other side of the limit, had they completed in their phase.
    """
    check = _measured(name, reference, run, threshold)
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
    return speed_up(before, after, threshold, name=name)
