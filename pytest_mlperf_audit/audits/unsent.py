"""Turns of conversations that were never sent: behind a turn that failed, or since the user wants none of the tail."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from typing import NamedTuple

from ..runs.phase import MeasuredPhase
from ..runs.query import is_turned_away
from ..runs.trajectories import Trajectories


class Unsent(NamedTuple):
    """How many turns were not sent: `behind` one that failed, of these `refused` behind one that was turned away.

    `unwanted` are those that `stop_issuing_on_first_user_complete` leaves out, which the phase does not owe.
    """

    behind: int = 0
    refused: int = 0
    unwanted: int = 0


def unsent(run: MeasuredPhase) -> Unsent:
    """Return which turns a phase of trajectories never sent; of any other phase none."""
    order = run.spec.order
    missing = run.spec.n_samples - run.figures.n_issued
    if not isinstance(order, Trajectories) or missing <= 0:
        return Unsent()
    ends = list(itertools.accumulate(order.turns))
    behind = refused = 0
    for query in run.read() if run.figures.failures else ():
        if not query.ok and 0 <= query.sample < ends[-1]:
            left = ends[bisect_right(ends, query.sample)] - query.sample - 1
            behind += left
            refused += left if is_turned_away(query.outcome) else 0
    wanted_all = not (order.stop_at_end and run.record.stopped_by == "window")
    return Unsent(behind, refused, 0 if wanted_all else max(0, missing - behind))
