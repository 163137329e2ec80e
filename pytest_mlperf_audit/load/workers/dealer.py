"""Positions of a phase's order for several workers: chunks on demand, or each its arrivals of one schedule.

Whoever is slow, the positions sent are a prefix of the order. When a floor or the ceiling is reached, workers are told
to hold: they give back what they have not sent. What lies below the highest position sent is dealt again, the rest is
dropped.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter_ns
from typing import NamedTuple

from ...runs.order import Scripted, order_length
from ...runs.phase import StoppedBy
from ...runs.spec import Poisson, RunSpec
from ...runs.trajectories import Trajectories
from ..pattern import arrivals

#: A worker holds what it sends in this time, and in two round trips to the controller.
_RESERVE_S = 0.02
#: The most positions dealt at once.
_MOST = 4096


class Chunk(NamedTuple):
    """Positions from `start` up to, and not including, `end`."""

    start: int
    end: int


class Dealer:
    """The controller's side: counts what was dealt, and knows when it is enough.

    The floor of duration is reached when a query of any worker has completed so late. `over`: no position will be added
    to what is dealt or is to be dealt again; `stopped_by` is why.
    """

    def __init__(self, spec: RunSpec, n_rows: int, n_workers: int) -> None:
        self.stopped_by: StoppedBy = "count"
        self.over = False
        self.end = 0
        self._n_workers = n_workers
        self._count = spec.n_samples
        self._multiple = 1 if isinstance(spec.load, Poisson) else spec.multiple_of
        order = spec.order
        self._length = None if isinstance(order, Scripted | Trajectories) else order_length(order, n_rows)
        self._floor_ns = spec.min_duration_ms * 1_000_000
        self._reached_ns = 0
        self._again: deque[Chunk] = deque()
        self._holding: set[int] = set()
        self._returned: list[Chunk] = []
        self._highest = -1
        self.is_holding = False

    @property
    def until(self) -> int | None:
        """The first position that is not sent, None while nobody knows."""
        least = self._count if self._multiple == 1 else max(self._count, self.end)
        count = least + -least % self._multiple if self._reached_ns >= self._floor_ns else None
        known = [end for end in (count, self._length) if end is not None]
        return min(known) if known else None

    @property
    def most(self) -> int:
        """What a worker may hold: less and less towards the end, so that all end together."""
        return _MOST if self.until is None else max(1, min(_MOST, (self.until - self.end) // (2 * self._n_workers)))

    @property
    def is_dealt(self) -> bool:
        """Whether all is dealt, for ever."""
        return self.over and not self._again

    @property
    def is_too_much(self) -> bool:
        """Whether the floor of duration has just been reached, and workers may hold more than is needed.

        Where it goes on to a multiple they do not.
        """
        if self._multiple > 1:
            return False
        reached = 0 < self._floor_ns <= self._reached_ns
        return reached and self.end >= self._count and not (self.is_holding or self.over)

    def note_reached(self, at_ns: int, position: int = 0) -> None:
        """Note that a query ended at `at_ns` since the start, and that positions below `position` are taken."""
        self._reached_ns = max(self._reached_ns, at_ns)
        self.end = max(self.end, position)

    def deal(self, wanted: int) -> Chunk | None:
        """Return positions for a worker that wants so many; None where there are none, be it only for now."""
        if self._again:
            return self._some_again(wanted)
        if self.is_holding or self.over:
            return None
        end = self.end + max(1, min(wanted, _MOST))
        if self.until is not None:
            end = min(end, self.until)
        if end <= self.end:
            self._note_end()
            return None
        start, self.end = self.end, end
        if end == self.until:
            self._note_end()
        return Chunk(start, end)

    def _some_again(self, wanted: int) -> Chunk:
        start, end = self._again.popleft()
        middle = start + max(1, min(wanted, (end - start) // self._n_workers))
        if middle < end:
            self._again.appendleft(Chunk(middle, end))
        return Chunk(start, middle)

    def conclude(self) -> int:
        """Return how many queries there are in all, when all workers are done."""
        if not self.over and self.until is not None:  # of a schedule, which nobody is dealt
            self.end = self.until
            self._note_end()
        return self.end

    def _note_end(self) -> None:
        self.over = True
        if self.end < self._count or self._reached_ns < self._floor_ns:
            self.stopped_by = "samples_exhausted"

    def hold(self, stopped_by: StoppedBy, workers: Iterable[int]) -> None:
        """Deal nothing until these workers, who are told to hold, have given back what they have not sent."""
        if not self.is_holding:
            self.is_holding, self.over, self.stopped_by = True, False, stopped_by
            self._holding = set(workers)
            self._share_out()

    def take_back(self, worker: int, chunks: Iterable[Chunk], highest: int) -> None:
        """Take what a worker gave back, and the highest position that it has sent (-1: none)."""
        self._returned += chunks
        self._highest = max(self._highest, highest)
        self._holding.discard(worker)
        self._share_out()

    def _share_out(self) -> None:
        """When all hold, have what lies below the highest position sent, or below a count that counts, dealt again."""
        if self.is_holding and not (self._holding or self.over):
            least = 0 if self.stopped_by != "count" else self.until or 0
            self.over, self.end = True, max(self._highest + 1, least)
            self._again += [
                Chunk(one.start, min(one.end, self.end)) for one in sorted(self._returned) if one.start < self.end
            ]


class Hand:
    """A worker's side: the positions it holds. `ask(n)` is called, and never waited for, when they run low.

    What it keeps in reserve is what it sends in a round trip and some time: the trip is the last one, the rate the
    highest lately, since a starved worker's own rate says nothing of what it could do. `kick` is called when positions
    came, or none will. See `load.dealer.Dealer` for the rest.
    """

    def __init__(
        self,
        ask: Callable[[int], None],
        n_connections: int,
        kick: Callable[[], None],
        is_enough: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.over = False
        self.stopped_by: StoppedBy = "count"
        self.highest = -1
        self.starved = 0
        self._ask = ask
        self._kick = kick
        self._is_enough = is_enough
        self._chunks: deque[Chunk] = deque()
        self._left = 0
        self._asked_ns = 0
        self._trip_s = 0.0
        self._rate = 0.0
        self._n_taken = 0
        self._most = _MOST
        self._reserve = max(1, n_connections)
        self._is_last = False

    def take(self) -> int | None:
        """Return the next position; None where none is held, for ever if `over`."""
        if not self._left:
            self.starved += not self._is_last
            self.top_up()
            return None
        if not self._n_taken:  # what is held outlives a floor, so at first it is little
            self._reserve = 1
        chunk = self._chunks[0]
        if chunk.start + 1 < chunk.end:
            self._chunks[0] = Chunk(chunk.start + 1, chunk.end)
        else:
            self._chunks.popleft()
        self._n_taken += 1
        self._left -= 1
        self.highest = max(self.highest, chunk.start)
        if self._left < self._reserve:
            self.top_up()
        self.over = self._is_last and not self._left
        return chunk.start

    def top_up(self) -> None:
        """Ask for positions, if too few are held and nothing has been asked for yet."""
        wanted = self._reserve if not self._n_taken else min(self._reserve, self._most)
        if not (self._asked_ns or self._is_last) and self._left < wanted:
            self._asked_ns = perf_counter_ns()
            self._ask(wanted)

    def add(self, chunk: Chunk, most: int) -> None:
        """Take a chunk; from now on no more than `most` positions are to be held."""
        if self._asked_ns:
            self._trip_s = max((perf_counter_ns() - self._asked_ns) / 1e9, 0.8 * self._trip_s)
        self._asked_ns, self._most = 0, most
        if not self._left and self._n_taken:  # it came too late, so the reserve is too small
            self._reserve = min(2 * self._reserve, max(1, most))
        self._chunks.append(chunk)
        self._left += chunk.end - chunk.start
        self.top_up()
        self._kick()

    def end(self, stopped_by: StoppedBy) -> None:
        """Note that none will come any more."""
        self._is_last, self.stopped_by = True, stopped_by
        self.over = not self._left
        self._kick()

    def give_up(self, stopped_by: StoppedBy) -> None:
        """Send no more, whatever is held."""
        self.give_back()
        self.over, self._is_last, self.stopped_by = True, True, stopped_by

    def give_back(self) -> list[Chunk]:
        """Return what is held, which is then held no more; the controller says what comes next."""
        chunks, self._left = list(self._chunks), 0
        self._chunks.clear()
        self.over = self._is_last = False
        return chunks

    def pace(self, seconds: float, n_before: int) -> int:
        """Note the rate of the last so many seconds, before which `n_before` had been taken; return how many now."""
        self._rate = max((self._n_taken - n_before) / seconds, 0.9 * self._rate)
        self._reserve = max(1, int(self._rate * (_RESERVE_S + 2 * self._trip_s)))
        return self._n_taken

    def is_due_to_end(self) -> bool:
        """Whether time or count end it by now, whatever the replies."""
        return self.over or self._is_enough(self.highest)

    def ceiling_reached(self) -> bool:
        """Whether the phase has lasted as long as it may; the controller sees to that, and ends the dealing."""
        return self.over and self.stopped_by == "ceiling"


class Arrivals:
    """A worker's side of a schedule: of the arrivals of all, worker w of n has those at positions w, w + n, ...

    Every worker draws the whole schedule, so that the union is the same one for any n. Positions from `until` on are
    not sent; None while nobody knows. See `load.dealer.Dealer` for what it answers.
    """

    def __init__(self, spec: RunSpec, load: Poisson, place: tuple[int, int], start_ns: int, until: int | None) -> None:
        worker, n_workers = place
        self.stopped_by: StoppedBy = "count"
        self.highest = -1
        self._until = until
        self._is_enough = enough(spec, start_ns)
        every = enumerate(arrivals(load, start_ns))
        self._own: Iterator[tuple[int, int]] = itertools.islice(every, worker, None, n_workers)
        self._position, self.due_ns = next(self._own)
        self.over = until is not None and self._position >= until

    def take(self) -> int | None:
        """Return the position of the arrival that is due at `due_ns`, which then is that of the next one."""
        if self.over:
            return None
        self.highest = self._position
        self._position, self.due_ns = next(self._own)
        self.over = self._until is not None and self._position >= self._until
        return self.highest

    def give_up(self, stopped_by: StoppedBy) -> None:
        """Send no more."""
        self.end(stopped_by, 0)

    def end(self, stopped_by: StoppedBy, until: int) -> None:
        """Note which arrival is the first that is not sent, and why."""
        self.stopped_by, self._until = stopped_by, until
        self.over = self._position >= until

    def is_due_to_end(self) -> bool:
        """Whether time or count end it by now, whatever the replies."""
        return self.over or self._is_enough(self.highest)

    def ceiling_reached(self) -> bool:
        """Whether the phase has lasted as long as it may; the controller sees to that, and ends the arrivals."""
        return self.over and self.stopped_by == "ceiling"


def enough(spec: RunSpec, start_ns: int) -> Callable[[int], bool]:
    """Return what says of the highest position sent whether count and floor of duration are over by now."""
    if spec.multiple_of > 1:  # only the controller knows where the last pass ends
        return lambda _highest: False
    floor_ns = start_ns + spec.min_duration_ms * 1_000_000
    return lambda highest: highest + 1 >= spec.n_samples and perf_counter_ns() >= floor_ns
