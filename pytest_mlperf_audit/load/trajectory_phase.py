"""A phase of trajectories: so many slots, each of which plays one conversation after another, turn by turn.

The reply to a turn sends the next one, after its delay where that is asked for. A turn that has failed ends its
trajectory, since what comes behind it rests on the reply. The first slot that has no next trajectory ends what is
measured; turns that the others issue from then on are late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from time import perf_counter_ns

from typing_extensions import override

from ..endpoints.source import RequestSource
from ..records.log import QueryLog
from ..runs.script import Step
from ..runs.spec import RunSpec
from ..runs.trajectories import Salt, Trajectories, Trajectory
from .dealer import ended_early
from .exchange import Exchange
from .pattern import in_flight
from .phase import Phase
from .requests import Request
from .target import Target
from .transport import Transport


class _Player:
    """A slot's trajectory: its id, the row that is played next, and that turn as a request where it is ready."""

    __slots__ = ("conversation", "delay", "headers", "last", "ready", "row", "salt")

    def __init__(self, trajectory: Trajectory, source: RequestSource, order: Trajectories) -> None:
        named = source.value(trajectory.first, "conversation_id") or ""
        self.conversation = trajectory.name(named)
        self.row = trajectory.first
        self.last = trajectory.first + trajectory.n_turns - 1
        seed = order.salt_seed
        self.salt = None if seed is None else Salt.of(seed, trajectory.repeat, named)
        self.headers = "".join(f"{name}: {self.conversation}\r\n" for name in order.headers).encode()
        self.ready: Request | None = None
        self.delay: asyncio.TimerHandle | None = None

    @property
    def n_left(self) -> int:
        """How many turns are to be issued."""
        return self.last + 1 - self.row


class TrajectoryPhase(Phase):
    """Plays the conversations of a data set; `run` is called once."""

    def __init__(
        self, spec: RunSpec, source: RequestSource, target: Target, transport: Transport, log: QueryLog
    ) -> None:
        super().__init__(spec, source, target, transport, log)
        assert isinstance(spec.order, Trajectories), "no other order has trajectories"
        self._order = spec.order
        self._upcoming: Iterator[Trajectory] = spec.order.all()
        self._players: set[_Player] = set()
        self._n_left = spec.order.n_turns
        self._window_over = False

    @override
    async def _issue_all(self) -> None:
        for _ in range(min(in_flight(self.spec), self._order.count)):
            self._begin_next()
            await asyncio.sleep(0)  # see Phase

    @override
    def _nothing_left(self) -> bool:
        return not self._players

    @override
    def _give_up(self) -> None:
        self._leave_out_rest()
        super()._give_up()

    def _begin_next(self) -> None:
        """Begin the next trajectory in a free slot. Where there is none, what is measured ends."""
        if self._is_stopped():
            return
        if (trajectory := next(self._upcoming, None)) is not None:
            player = _Player(trajectory, self._source, self._order)
            self._players.add(player)
            self._go_on(player)
            return
        self._window_over = True
        if self._order.stop_at_end and self._players:
            self._dealer.stopped_by = "window"
            self._leave_out_rest()

    def _go_on(self, player: _Player) -> None:
        """Issue a trajectory's next turn, after its delay."""
        delay_s = self._delay_s(player.row)
        if delay_s > 0:
            player.delay = self._loop.call_later(delay_s, self._wake, player, perf_counter_ns() + int(delay_s * 1e9))
        else:
            self._play(player)

    def _delay_s(self, row: int) -> float:
        """Return how long a turn waits, no longer than until the phase may last no more."""
        if not self._order.tool_delays:
            return 0.0
        delay_s = float(self._source.dataset.column(row, "delay_seconds"))
        if self.spec.max_duration_ms:
            since_ns = perf_counter_ns() - (self._tally.zero_ns or perf_counter_ns())
            delay_s = min(delay_s, max(0.0, self.spec.max_duration_ms / 1000 - since_ns / 1e9))
        return delay_s

    def _wake(self, player: _Player, due_ns: int) -> None:
        """Issue a turn whose delay is over; the loop's clock may come a little early."""
        try:
            left_s = (due_ns - perf_counter_ns()) / 1e9
            if left_s > 0:
                player.delay = self._loop.call_later(left_s, self._wake, player, due_ns)
                return
            player.delay = None
            if not self._is_stopped():
                self._play(player)
            self._end_if_over()
        except BaseException as error:  # noqa: BLE001 - it ends the phase, which says so
            self._stop(error)

    def _play(self, player: _Player) -> None:
        row, request = player.row, player.ready or self._request_of(player)
        player.row, player.ready = row + 1, None
        self._n_left -= 1
        self._dealer.over = self._dealer.over or not self._n_left
        step, number = Step("", row), self._tally.n_issued
        record = self._issue(number, step, partial(self._note_turn, player), request=request)
        record.conversation = player.conversation
        record.turn = self._source.dataset.column(row, "turn")
        record.late = self._window_over
        if player.n_left:
            self._loop.call_soon(self._prepare, player)

    def _prepare(self, player: _Player) -> None:
        """Build the next turn while its predecessor is on its way, so that it takes none of its time."""
        if player in self._players and player.ready is None and player.n_left:
            try:
                player.ready = self._request_of(player)
            except BaseException as error:  # noqa: BLE001 - it ends the phase, which says so
                self._stop(error)

    def _request_of(self, player: _Player) -> Request:
        source, row = self._source, player.row
        body = source.body(row) if player.salt is None else source.salted(row, player.salt)
        return Request(body, source.digest(body, headers=player.headers), player.headers)

    def _note_turn(self, player: _Player, exchange: Exchange, defect: BaseException | None) -> None:
        """Take in a turn that has ended, and issue what follows it."""
        try:
            self._note(exchange, defect)
            if self._over.done():
                return
            if player in self._players:
                self._follow(player, ok=exchange.record.ok)
            self._end_if_over()
        except BaseException as error:  # noqa: BLE001 - it ends the phase, which says so
            self._stop(error)

    def _follow(self, player: _Player, *, ok: bool) -> None:
        if ok and player.n_left:
            if not self._is_stopped():
                self._go_on(player)
            return
        self._players.discard(player)
        if player.n_left:
            self._n_left -= player.n_left
            self._dealer.over = self._dealer.over or not self._n_left
            self._dealer.stopped_by = "failed_turns"
        self._begin_next()

    def _is_stopped(self) -> bool:
        """Whether nothing may be issued any more; then what is left of all trajectories is left out."""
        if not ended_early(self._dealer, self._tally):
            return self._dealer.over and not self._n_left
        self._leave_out_rest()
        return True

    def _leave_out_rest(self) -> None:
        self._dealer.over, self._n_left, self._upcoming = True, 0, iter(())
        for player in self._players:
            if player.delay is not None:
                player.delay.cancel()
        self._players.clear()
