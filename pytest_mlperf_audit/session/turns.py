"""Do the records of a phase that played conversations hold together? Turns in their order, one at a time; the tail."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from ..runs.query import QueryRecord
from ..runs.trajectories import Trajectories

#: A reply is taken in, and the next turn issued, so long after its last byte at most, as far as anyone can say.
_SLACK_NS: Final = 100_000_000


@dataclass
class _Played:
    """What was seen of a trajectory: its first issue, row and end of its latest turn, and whether it is over."""

    began_ns: int
    row: int
    ended_ns: int
    over: bool


class Turns:
    """Takes the records of a phase in the order in which they completed."""

    def __init__(self, order: Trajectories) -> None:
        self._order = order
        self._ends = list(itertools.accumulate(order.turns))
        self._played: dict[str, _Played] = {}
        self._late_from_ns: int | None = None
        self._timed_until_ns = 0

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
        began_ns = record.issued_ns if played is None else played.began_ns
        self._played[record.conversation] = _Played(began_ns, record.sample, record.completed_ns, over)
        if len(self._played) > self._order.count:
            return f"{what} is of one more conversation than the {self._order.count} that were to be played"
        if not record.late:
            self._timed_until_ns = max(self._timed_until_ns, record.issued_ns)
        elif self._late_from_ns is None or record.issued_ns < self._late_from_ns:
            self._late_from_ns = record.issued_ns
        return ""

    def wrong_at_end(self) -> str:
        """Return what is wrong with which turns are late, "" for nothing, once all records were taken."""
        window_end_ns = self._window_end_ns()
        if self._late_from_ns is not None and (window_end_ns is None or self._late_from_ns < window_end_ns):
            return "turns are said to be late that were issued while every slot had a conversation to play"
        if window_end_ns is not None and self._timed_until_ns > window_end_ns + _SLACK_NS:
            return "turns are not said to be late that were issued when a slot had no next conversation"
        return ""

    def _window_end_ns(self) -> int | None:
        """Return when the first slot had no next conversation: as one ended, with all begun; None before that."""
        if len(self._played) < self._order.count:
            return None
        all_begun_ns = max(played.began_ns for played in self._played.values())
        return min(
            (one.ended_ns for one in self._played.values() if one.over and one.ended_ns >= all_begun_ns), default=None
        )
