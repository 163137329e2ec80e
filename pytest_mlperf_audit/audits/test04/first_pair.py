"""Whether MLPerf's two phases settle the ratio. They settle a pass, never a fail: they are one pair in a fixed order.

A cold start makes any ratio of them, and noise often one above the limit. Where they do not settle it, the audit goes
on with blocks (`confirm`).
"""

from __future__ import annotations

from typing import NamedTuple

from ...runs.phase import MeasuredPhase
from ...stats.blocks import pace_s
from ..disturbed import always_in_flight, bounded, bounded_words, unsteady, unsteady_words


class FirstPair(NamedTuple):
    """MLPerf's point ratio of queries per second, the ratio of paces, and what speaks against a pass, a phrase each.

    `pace` is None where the phases' paces cannot be compared.
    """

    point: float
    pace: float | None
    doubts: tuple[str, ...]

    @property
    def settled(self) -> bool:
        """Whether it is a pass."""
        return not self.doubts


def first_pair(reference: MeasuredPhase, run: MeasuredPhase, limit: float, whole: MeasuredPhase) -> FirstPair | None:
    """Return what the two phases say of the ratio; None where either completed no query.

    `whole` is the reference phase, of which `reference` may be a part. A warm-up or a stall in it can only raise the
    ratio; but where it became slower, that may be how fast the system is without what served its beginning.
    """
    if not (reference.figures.qps and run.figures.qps):
        return None
    point, pace = run.figures.qps / reference.figures.qps, pace_ratio(reference, run)
    doubts = []
    if point >= limit:
        doubts.append(f"the {run.label} phase ran {point:.3g} times as fast as the {reference.label} phase")
    elif pace is not None and pace >= limit:
        doubts.append(f"by the sum of its latencies the {run.label} phase was {pace:.3g} times as fast")
    if bounded(run) or (doubts and bounded(whole)):
        doubts += [f"in the {one.label} phase {bounded_words(one)}" for one in (whole, run) if bounded(one)]
    part = unsteady(whole)
    became_slower = part is not None and part.end == part.n and point * part.factor * part.rest >= limit
    if part is not None and (doubts or became_slower):
        doubts.append(f"in the {reference.label} phase {unsteady_words(part)}")
    return FirstPair(point, pace, tuple(doubts))


def pace_ratio(reference: MeasuredPhase, run: MeasuredPhase) -> float | None:
    """Return how many times shorter the latencies of `run` are, which also sees what the slowest query hides.

    None where nothing completed, or where all is sent at once and one phase is longer: its queries wait for longer.
    """
    if always_in_flight(reference) is None and reference.figures.n_issued != run.figures.n_issued:
        return None
    if not (reference.figures.n_completed and run.figures.n_completed):
        return None
    before, after = (pace_s(one.queries.latencies_s()) for one in (reference, run))
    return before / after if after > 0 else None
