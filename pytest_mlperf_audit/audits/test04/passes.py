"""A reference of the data set's own rows: each once, and again from the start where a duration floor lasts longer."""

from __future__ import annotations

from itertools import islice

import msgspec

from ...errors import PlanError
from ...runs.order import WithoutReplacement
from ...runs.phase import MeasuredPhase
from ...runs.spec import RunSpec
from ..contract import Samples
from ..verdict import Check


def require_enough(count: int, samples: Samples) -> None:
    """Raise PlanError where there are fewer rows than the phase is to send."""
    if count > len(samples):
        raise PlanError(
            f"samples: {count} distinct rows are asked for, but {len(samples)} were loaded; "
            "lower `samples`, or raise the data set's own `samples`"
        )


def require_distinct(order: WithoutReplacement, count: int, samples: Samples) -> None:
    """Raise PlanError where two rows that may be sent in one pass are the same request."""
    first_seen: dict[str, int] = {}
    for row in islice(order.indices(len(samples)), len(samples) if order.wrap else count):
        twin = first_seen.setdefault(samples.fingerprint(row), row)
        if twin != row:
            raise PlanError(
                f"data set: {samples.where(twin)} and {samples.where(row)} are sent as the same request, "
                "so the reference phase would repeat itself; remove one of them"
            )


def may_wrap(spec: RunSpec) -> bool:
    """Whether a phase goes through its rows again when they are used up."""
    return isinstance(spec.order, WithoutReplacement) and spec.order.wrap


def n_passes(run: MeasuredPhase) -> float:
    """Return how often a phase went through its rows; 1 where they were not used up."""
    if not may_wrap(run.spec) or not run.figures.n_distinct_samples:
        return 1.0
    return run.figures.n_issued / run.figures.n_distinct_samples


def warning(spec: RunSpec, n_rows: int, *, probed: bool) -> str:
    """Return from which rate on the rows of a phase are used up before its floor, "" where they cannot be."""
    if not (may_wrap(spec) and spec.min_duration_ms):
        return ""
    floor_s = spec.min_duration_ms / 1000
    decides = "the cache probe decides" if probed else "a pass is then undecided, for want of the cache probe"
    return (
        f"phase {spec.label}: from {n_rows / floor_s:.3g} queries a second on, its {n_rows} rows are used up before "
        f"the {floor_s:g} s of min_duration_ms, and are sent again, as MLPerf's LoadGen does; a cache may serve these, "
        f"so that the ratio says less: {decides}"
    )


def sent_again(run: MeasuredPhase, *, probed: bool) -> str:
    """Return what rows that were sent again mean for the ratio, "" where none were."""
    if (passes := n_passes(run)) <= 1:
        return ""
    rests = "the cache probe alone tells whether there is one" if probed else "nothing tells whether there is one"
    return (
        f"{run.label}: its {run.figures.n_distinct_samples} rows were gone through {passes:.3g} times, since "
        f"min_duration_ms lasts longer than they do; a cache may have served all passes but the first, so that {rests}"
    )


def unless_sent_again(check: Check, reference: MeasuredPhase) -> Check:
    """Return a check that passed as undecided where a cache may have served most of the reference, too."""
    if check.passed is not True or n_passes(reference) <= 1:
        return check
    reason = (
        f"{check.reason}; undecided, for the rows of the {reference.label} phase were sent more than once, so that a "
        "cache may have served both phases: leave the cache probe on, or load more rows"
    )
    return msgspec.structs.replace(check, passed=None, reason=reason)
