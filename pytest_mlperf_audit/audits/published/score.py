"""How far the score of an audit run may lie from that of its reference run.

Rules: mlcommons/inference `compliance/TEST04/verify_performance.py` (an audit run must not be faster by the tolerance
or more) and `compliance/TEST01/verify_performance.py` (it must lie within the tolerance, both ways).
"""

from __future__ import annotations

from math import isfinite
from typing import Final

from ..verdict import Check

TOLERANCE: Final = 0.10
RELAXED: Final = 0.20

#: Upstream relaxes the tolerance up to these scores. It means latencies in ns, and TEST01 compares such; TEST04
#: compares queries per second with them, so that in practice every SingleStream and MultiStream run of TEST04 is
#: relaxed.
_RELAXED_UP_TO: Final = {"SingleStream": 200_000, "MultiStream": 1_600_000}


def tolerance(scenario: str, score: float) -> float:
    """Return the tolerance of a reference run, by its scenario and by its score as upstream's script has it."""
    return RELAXED if score <= _RELAXED_UP_TO.get(scenario, float("-inf")) else TOLERANCE


def speed_up(
    reference: float, audit: float, tolerated: float, *, name: str = "throughput_ratio", unit: str = "queries/s"
) -> Check:
    """Return whether repeating one sample was no faster than distinct samples; exactly at the limit is too fast.

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
        reason=f"{audit:.4g} {unit} repeating one sample against {reference:.4g} with distinct samples, ratio "
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
