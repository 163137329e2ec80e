"""A worker's part of a phase: the engine's Phase with a dealer whose positions come from the controller."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter_ns
from typing import cast

import msgspec
from typing_extensions import override

from ...endpoints.source import RequestSource
from ...records.log import QueryLog
from ...runs.phase import ClientState
from ...runs.query import COMPLETED, QueryRecord
from ...runs.spec import Poisson
from ..client_state import ClientWatch
from ..exchange import Exchange
from ..http import HttpTransport
from ..pattern import in_flight, until
from ..phase import Phase
from ..tally import Tally
from ..target import Target
from .dealer import Arrivals, Hand, enough
from .messages import Deal, End, Held, Prepare, Reached, Report, Want

_encode_lines = msgspec.json.Encoder().encode_lines
#: Records wait so long to be sent together.
_EVERY_S = 0.05
#: The last of a wait for the start is spent in turns of the loop, which wakes up on whole milliseconds only.
_SPIN_NS = 3_000_000
#: A longer wait for an arrival ends when the controller says that it is not sent.
_LONG_S = 0.1
_COUNT = (int, type(None))


class ShippedLog:
    """A log whose lines go to the controller, as a phase sees one: what it may ask of the columns is counted."""

    def __init__(self, worker: int, ship: Callable[[bytes], None]) -> None:
        self.columns = self
        self.n_records = 0
        self._longest_ns = 0
        self._latencies_ns = 0
        self._worker = worker
        self._ship = ship
        self._outcomes: Counter[str] = Counter()
        self._lines: list[bytes] = []

    def extend(self, records: Sequence[QueryRecord]) -> None:
        """Add records, all of them, or none where one has what no column can hold (TypeError); see QueryLog."""
        for one in records:
            one.worker = self._worker
            counts = (one.tokens, one.prompt_tokens, one.cached_tokens)
            if not all(isinstance(count, _COUNT) for count in counts):
                raise TypeError(f"a count of tokens that is one of {counts!r:.120}")
        lines = _encode_lines(records)
        for one in records:
            if one.outcome != COMPLETED:
                self._outcomes[one.outcome] += 1
            else:
                took_ns = one.completed_ns - one.issued_ns
                self._latencies_ns += took_ns
                self._longest_ns = max(self._longest_ns, took_ns)
        self.n_records += len(records)
        self._lines.append(lines)

    @property
    def longest_s(self) -> float:
        """The longest latency of a completed query, in seconds."""
        return self._longest_ns / 1e9

    @property
    def mean_s(self) -> float | None:
        """The mean latency of completed queries, in seconds, None where none completed."""
        n_completed = self.n_records - self._outcomes.total()
        return self._latencies_ns / n_completed / 1e9 if n_completed else None

    def ship(self) -> None:
        """Hand over what has gathered."""
        if self._lines:
            lines, self._lines = b"".join(self._lines), []
            self._ship(lines)

    def __len__(self) -> int:
        return self.n_records

    def failures(self) -> dict[str, int]:
        """Return failed queries by reason class."""
        return dict(self._outcomes)


class Part(Phase):
    """One worker's queries of a phase. `begin` is called once; `tell` takes what is to be told to the controller."""

    def __init__(
        self,
        plan: Prepare,
        source: RequestSource,
        target: Target,
        transport: HttpTransport,
        log: ShippedLog,
        tell: Callable[[Report], None],
    ) -> None:
        super().__init__(plan.spec, source, target, transport, cast("QueryLog", log))
        self._transport = transport
        self.shipped = log
        self.client: ClientState | None = None
        self._plan = plan
        self._tell = tell
        self._width = in_flight(plan.spec)
        self._floor_ns = plan.spec.min_duration_ms * 1_000_000
        self._told_reached = not self._floor_ns
        self._changed = asyncio.Event()
        self._start_ns = 0
        self._is_final = plan.until is not None
        self._arrivals: Arrivals
        self._hand: Hand | None = None
        if not isinstance(plan.spec.load, Poisson):
            self._dealer = self._hand = Hand(self._ask, self._width, self.kick, self._is_enough)

    def prepare(self) -> None:
        """Ask for the first positions, one for each connection, before the start."""
        if self._hand:
            self._hand.top_up()

    def _how_far(self) -> str:
        return f"{self._tally.n_completed} of this worker's queries"

    def _ask(self, wanted: int) -> None:
        self._tell(Want(wanted))

    def _is_enough(self, highest: int) -> bool:
        return enough(self.spec, self._start_ns)(highest)

    async def begin(self, start_ns: int) -> None:
        """Wait for the start, and do the worker's part; see Phase.run."""
        self._start_ns = start_ns
        self._tally.zero_ns = self._recorder.zero_ns = start_ns
        if isinstance(self.spec.load, Poisson):
            self._arrivals = Arrivals(self.spec, self.spec.load, self._plan.place, start_ns, self._plan.until)
            self._dealer = self._arrivals
        self.status, self.reason = "interrupted", "interrupted before it began"
        await asyncio.sleep(max(0, start_ns - _SPIN_NS - perf_counter_ns()) / 1e9)
        await until(start_ns)
        self.status, self.reason = "crashed", None
        watch = ClientWatch(self._transport.connections())
        keeping = asyncio.ensure_future(self._keep_up())
        try:
            await self.run()
        finally:
            keeping.cancel()
            watch.stop(self._transport.connections())
            self.client = watch.state(self.shipped.mean_s)
            try:
                self.shipped.ship()
            except OSError as error:
                self.status, self.reason = "crashed", str(error)

    @property
    def highest(self) -> int:
        """The highest position that was sent, -1 for none."""
        return self._hand.highest if self._hand else self._arrivals.highest

    @property
    def dry(self) -> int:
        """How often a connection had no position to send."""
        return self._hand.starved if self._hand else 0

    @property
    def tally(self) -> Tally:
        """How far the part is."""
        return self._tally

    def deal(self, message: Deal) -> None:
        """Take positions."""
        if self._hand:
            self._hand.add(message.chunk, message.most)

    def hold(self) -> None:
        """Give back what has not been sent; a part that is over says so by its end."""
        if self._is_over():
            return
        if self._hand:
            self._tell(Held(tuple(self._hand.give_back()), self._hand.highest))
            self._hand.top_up()
        else:
            self._is_final = False
            self._arrivals.end("count", self._arrivals.highest + 1)
            self._tell(Held((), self._arrivals.highest))

    def _is_over(self) -> bool:
        over: asyncio.Future[None] | None = getattr(self, "_over", None)  # there since the start
        return over is not None and over.done()

    def end(self, message: End) -> None:
        """No more positions come."""
        if self._hand:
            self._hand.end(message.stopped_by)
        else:
            self._is_final = True
            self._arrivals.end(message.stopped_by, message.until)
            self._changed.set()

    def kick(self) -> None:
        """Use every idle sender."""
        if not self._all_issued:
            self._changed.set()
        elif not self._is_over():
            try:
                while len(self._in_flight) < self._width and self._issue_next():
                    pass
                self._end_if_over()
            except BaseException as error:  # noqa: BLE001 - it ends the phase, which says so
                self._stop(error)

    @override
    async def _issue_all(self) -> None:
        if not self._hand:
            await self._issue_arrivals(self._arrivals)
            return
        for _ in range(self._width):
            if not self._issue_next():
                break
            await asyncio.sleep(0)  # as in Phase: else the first query waits until the last one is built

    async def _issue_arrivals(self, arrivals: Arrivals) -> None:
        while not (arrivals.over and self._is_final):
            if arrivals.over:  # until the controller knows which is the last one
                await self._changed.wait()
            elif (left_s := (arrivals.due_ns - perf_counter_ns()) / 1e9) > _LONG_S:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), left_s - _LONG_S / 2)
            else:
                await until(arrivals.due_ns)
                self._issue_next(arrivals.due_ns)
            self._changed.clear()

    @override
    def _note_all_issued(self, task: asyncio.Task[None]) -> None:
        super()._note_all_issued(task)
        if self._hand:  # what came meanwhile
            self.kick()

    @override
    def _issue_next(self, due_ns: int | None = None) -> bool:
        if self._tally.seems_gone() and not self._dealer.over:
            self._is_final = True
            (self._hand or self._arrivals).give_up("abort")
        return super()._issue_next(due_ns)

    @override
    def _note(self, exchange: Exchange, defect: BaseException | None) -> None:
        super()._note(exchange, defect)
        if self._told_reached or not self._tally.reached(self._floor_ns):
            return
        if self._hand or self.highest + 1 >= self.spec.n_samples:
            self._told_reached = True
            self._tell(Reached(self._tally.latest_ns, self.highest + 1))

    async def _keep_up(self) -> None:
        """Ship what has gathered, and ask for positions at the rate at which they are sent."""
        n_taken, at_ns = 0, perf_counter_ns()
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                self.shipped.ship()
            except OSError as error:
                self._stop(error)
            if self._hand:
                now_ns = perf_counter_ns()
                n_taken = self._hand.pace((now_ns - at_ns) / 1e9, n_taken)
                at_ns = now_ns
