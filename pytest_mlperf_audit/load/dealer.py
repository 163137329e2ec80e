"""Who says which position of a phase's order is sent next, and when it is over.

A position is the number of a query: that of its row in the order, and of its record. Where one process sends a whole
phase, LocalDealer deals it.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Protocol

from ..runs.order import Scripted, order_length
from ..runs.phase import StoppedBy
from ..runs.spec import RunSpec
from ..runs.trajectories import Trajectories
from .tally import Tally


class Dealer(Protocol):
    """Deals positions, each greater than those before it, to whoever sends their queries.

    `over`: there is none left, and never will be; `stopped_by` is why.
    """

    over: bool
    stopped_by: StoppedBy

    def take(self) -> int | None:
        """Return the next position; None where there is none, be it only for now."""

    def is_due_to_end(self) -> bool:
        """Whether no more will be dealt even if nobody asks, so that the time to wait for replies has begun."""

    def ceiling_reached(self) -> bool:
        """Whether the phase has lasted as long as it may."""


def ended_early(dealer: Dealer, tally: Tally) -> bool:
    """Whether a phase ends before all is sent, since the endpoint is gone or its time is up; the dealer says which."""
    if tally.seems_gone():
        dealer.stopped_by = "abort"
    elif dealer.ceiling_reached():
        dealer.stopped_by = "ceiling"
    else:
        return False
    return True


class LocalDealer:
    """Deals the whole order: until the count and the duration floor are reached, the ceiling, or the order's end."""

    def __init__(self, spec: RunSpec, n_rows: int, tally: Tally) -> None:
        self.over = False
        self.stopped_by: StoppedBy = "count"
        self._tally = tally
        self._least, self._multiple = spec.n_samples, spec.multiple_of
        order = spec.order
        self._most = None if isinstance(order, Scripted | Trajectories) else order_length(order, n_rows)
        self._floor_ns = spec.min_duration_ms * 1_000_000
        self._ceiling_ns = spec.max_duration_ms * 1_000_000
        self._next = 0

    def take(self) -> int | None:
        """Return the next position, or None, noting once what ended the dealing."""
        if self.over:
            return None
        position = self._next
        if self._is_enough(position) and self._tally.reached(self._floor_ns):
            self.stopped_by = "count"
        elif ended_early(self, self._tally):
            pass  # which says by what
        elif position == self._most:
            self.stopped_by = "samples_exhausted"
        else:
            self._next += 1
            return position
        self.over = True
        return None

    def is_due_to_end(self) -> bool:
        """Whether time or count end it by now, whatever the replies."""
        elapsed_ns = perf_counter_ns() - self._tally.zero_ns
        enough = self._is_enough(self._tally.n_issued) and elapsed_ns >= self._floor_ns
        return self.over or enough or self.ceiling_reached()

    def _is_enough(self, n_queries: int) -> bool:
        return n_queries >= self._least and n_queries % self._multiple == 0

    def ceiling_reached(self) -> bool:
        """Whether the phase has lasted as long as it may."""
        zero_ns = self._tally.zero_ns
        return zero_ns > 0 and 0 < self._ceiling_ns <= perf_counter_ns() - zero_ns
