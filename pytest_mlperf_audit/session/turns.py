"""Do the records of a phase that played conversations hold together? Turns in their order, one at a time; the tail."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass

from ..runs.query import QueryRecord
from ..runs.trajectories import Trajectories


@dataclass
class _Played:
    """What was seen of a trajectory: row and end of its latest turn, and whether it is over."""

    row: int
    ended_ns: int
    over: bool


class Turns:
    """Takes the records of a phase of so many slots in the order in which they completed."""

    def __init__(self, order: Trajectories, n_slots: int) -> None:
        self._order = order
        self._n_slots = n_slots
        self._ends = list(itertools.accumulate(order.turns))
        self._played: dict[str, _Played] = {}
        self._n_begun = Counter[int]()
        self._late_from_ns: int | None = None

    def wrong_with(self, record: QueryRecord) -> str:
        """Return what is wrong with the next record, "" for nothing."""
        what = f"query {record.query}"
        if record.conversation is None or not 0 <= record.sample < self._ends[-1]:
            return f"{what} is of no turn of a conversation"
        at = bisect_right(self._ends, record.sample)
        played = self._played.get(record.conversation)
        due = self._ends[at] - self._order.turns[at] if played is None else played.row + 1
        if record.sample != due or (played is not None and played.over):
            return f"{what} is of row {record.sample}, which is not the next turn of {record.conversation!r:.80}"
        if played is not None and record.issued_ns < played.ended_ns:
            return f"{what} was issued before the turn before it was over"
        over = record.sample + 1 == self._ends[at] or not record.ok
        self._played[record.conversation] = _Played(record.sample, record.completed_ns, over)
        if len(self._played) > self._order.count:
            return f"{what} is of one more conversation than the {self._order.count} that were to be played"
        if played is None and not self._may_begin(at):
            return f"{what} begins conversation {at} of the data set once more than it was to be played"
        if record.late and (self._late_from_ns is None or record.issued_ns < self._late_from_ns):
            self._late_from_ns = record.issued_ns
        return ""

    def _may_begin(self, at: int) -> bool:
        """Whether a conversation is due once more: each in its turn, from the first again after the last."""
        passes, rest = divmod(self._order.count, len(self._order.turns))
        self._n_begun[at] += 1
        return self._n_begun[at] <= passes + (at < rest)

    def wrong_at_end(self) -> str:
        """Return what is wrong with which turns are late, "" for nothing, once all records were taken.

        A turn is late when a slot has no next conversation, which is when all but one less than there are slots are
        over; the last ones may still wait for their first turn. That a reply is over was seen some time after its last
        byte, so that nobody can say that a turn should have been late.
        """
        if self._late_from_ns is None:
            return ""
        ends_ns = sorted(played.ended_ns for played in self._played.values() if played.over)
        due = self._order.count - min(self._n_slots, self._order.count) + 1
        if len(ends_ns) < due or ends_ns[due - 1] > self._late_from_ns:
            return "turns are said to be late that were issued while every slot had a conversation to play"
        return ""
