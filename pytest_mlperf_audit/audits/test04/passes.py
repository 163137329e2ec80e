"""A reference of the data set's own rows: each once, and again from the start where a duration floor lasts longer."""

from __future__ import annotations

from itertools import islice
from typing import Final

from ...errors import PlanError
from ...runs.order import WithoutReplacement
from ...runs.phase import MeasuredPhase
from ...runs.spec import Parameter, RunSpec
from ..contract import Samples

_ROWS: Final = "rows"


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


def parameters(n_rows: int) -> dict[str, Parameter]:
    """Return what a phase is planned with that goes through so many rows again when they are used up."""
    return {_ROWS: n_rows}


def rows_of(spec: RunSpec) -> int | None:
    """Return how many rows a phase goes through again when they are used up, None for one that does not."""
    n_rows = spec.parameters.get(_ROWS)
    return n_rows if isinstance(n_rows, int) and n_rows > 0 else None


def n_passes(run: MeasuredPhase) -> float:
    """Return how often a phase went through its rows; 1 where they were not used up."""
    n_rows = rows_of(run.spec)
    return max(1.0, run.figures.n_issued / n_rows) if n_rows else 1.0


def warning(spec: RunSpec, *, probed: bool) -> str:
    """Return from which rate on the rows of a phase are used up before its floor, "" where they cannot be."""
    n_rows = rows_of(spec)
    if not (n_rows and spec.min_duration_ms):
        return ""
    floor_s = spec.min_duration_ms / 1000
    decides = "the cache probe decides" if probed else "blocks of fresh twins decide"
    return (
        f"phase {spec.label}: from {n_rows / floor_s:.3g} queries a second on, its {n_rows} rows are used up before "
        f"the {floor_s:g} s of min_duration_ms, and are sent again, as MLPerf's LoadGen does; a cache may serve these, "
        f"so that the ratio says less: {decides}"
    )


def sent_again(run: MeasuredPhase) -> str:
    """Return what rows that were sent again mean for the ratio, "" where none were."""
    if (passes := n_passes(run)) <= 1:
        return ""
    return (
        f"the {rows_of(run.spec)} rows of the {run.label} phase were gone through {passes:.3g} times, since "
        "min_duration_ms lasts longer than they do, so that a cache may have served all passes but the first"
    )
