"""A phase that several workers send, as a group of phases sees one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import msgspec

from ...endpoints.source import RequestSource
from ...runs.phase import ClientState, Status, StoppedBy, WorkerPart
from ...runs.query import QueryRecord
from ...runs.spec import Poisson, RunSpec
from ...text import printable
from ..hope import FIRST_QUERIES, Hope, HopelessError
from ..phase import unmatched
from ..progress import Progress
from .clocks import Mapping, Reading
from .dealer import Dealer
from .joint_log import JointLog
from .member import LostError, Member
from .messages import Deal, End, Held, Hold, Over, Prepare, Reached, Records, Report, Start, Want
from .shares import shares, together
from .team import Team

if TYPE_CHECKING:
    from .crew import Crew

#: From the go-ahead to the start: more than a message takes.
_LEAD_NS = 100_000_000

_decode_lines = msgspec.json.Decoder(QueryRecord).decode_lines


class _PartEndedError(Exception):
    """A worker's part has ended, and with it the phase."""


class JointPhase:
    """Drives one RunSpec over all workers that get a connection of it; `connect` and `run` are called once.

    `status`, `reason`, `stopped_by`, `unmatched`, `log`, `progress` and `distrust` are as Phase has them.
    """

    def __init__(self, spec: RunSpec, source: RequestSource, crew: Crew, log: JointLog) -> None:
        self.spec = spec
        self.status: Status = "crashed"
        self.reason: str | None = None
        self.unmatched = False
        self.log = log
        self.parts: tuple[WorkerPart, ...] = ()
        self.starved = 0
        self.taken: int | None = None
        self.client: ClientState | None = None
        self._crew = crew
        self._source = source
        self._shares = shares(spec, len(crew.members))
        self._members = crew.members[: len(self._shares)]
        self._team = Team(self._members, log)
        self._dealer = Dealer(spec, len(source), len(self._members))
        self._is_dealt_to = not isinstance(spec.load, Poisson)
        self._hope: Hope | None = Hope(spec, "", source.adapter.api_type)
        self._wants: dict[int, int] = {}
        self._told_end = False
        self._n_first = 0
        self._start_ns = 0
        self._ahead: list[Reading] = []
        self._abort: StoppedBy | None = None

    @property
    def stopped_by(self) -> StoppedBy:
        """What ended the issuing of queries."""
        return self._abort or self._dealer.stopped_by

    async def connect(self) -> None:
        """Have every worker open its connections, and ask for its first positions."""
        try:
            self._ahead = await self._crew.read_clocks(self._members)
            self._team.bind()
            number, n_workers = self._crew.number_of(self._source), len(self._members)
            until = None if self._is_dealt_to else self._dealer.until
            for at, (member, share) in enumerate(zip(self._members, self._shares, strict=True)):
                spec = msgspec.structs.replace(self.spec, load=share)
                member.send(Prepare(spec, number, (at, n_workers), until))
            for member, message in await self._team.prepared():
                self._take(member, message)
        except (LostError, OSError) as error:
            self.reason = str(error)
        except asyncio.CancelledError:
            await self._stop()
            self.status, self.reason = "interrupted", "interrupted before its first query"
            raise

    async def run(self) -> None:
        """Start all workers at one time, deal to them, and set `status`; every record that came is in the log."""
        if self.reason is not None:  # they could not be prepared
            await self._stop()
            return
        try:
            await self._drive()
            self.status, self.reason = await self._judge()
        except asyncio.CancelledError:
            await self._stop()
            self.status, self.reason = "interrupted", f"interrupted after {self._team.n_lines} queries"
            raise
        except _PartEndedError:
            await self._stop()
            self.status, self.reason = self._worst()
        except LostError as error:
            await self._stop()
            self.status, self.reason = "crashed", str(error)
        except HopelessError as error:
            await self._stop()
            self.status, self.reason = "refused", str(error)
        except Exception as error:  # noqa: BLE001 - an adapter's or our own defect: recorded, and never a verdict
            await self._stop()
            what = printable(f"{type(error).__name__}: {error}")
            self.status, self.reason = "crashed", f"the load generator failed: {what}"

    async def _stop(self) -> None:
        """End the phase before its time; what workers still do then is not known, so that they are not used again."""
        self._crew.is_whole = False
        await self._team.stop()
        self._close()

    def distrust(self, why: str) -> None:
        """End the phase as one whose replies cannot be matched to its queries, so that none of these completed."""
        self.status, self.unmatched = "refused", True
        self.reason = unmatched(why)

    def progress(self) -> Progress:
        """Return how far the phase is, as of the last beat."""
        told = [member.progress for member in self._members]
        elapsed_ns = max(0, perf_counter_ns() - self._start_ns) if self._start_ns else 0
        return Progress(
            phase=self.spec.label,
            title=self.spec.label,
            requested=self.spec.n_samples,
            issued=sum(one.issued for one in told),
            completed=sum(one.completed for one in told),
            failed=sum(one.failed for one in told),
            elapsed_s=elapsed_ns / 1e9,
            target_s=self.spec.min_duration_ms / 1000,
            idle_s=(elapsed_ns - max(one.latest_ns for one in told)) / 1e9 if self._start_ns else 0.0,
        )

    async def _drive(self) -> None:
        self._share()
        self._start_ns = perf_counter_ns() + _LEAD_NS
        for member, ahead in zip(self._members, self._ahead, strict=True):
            same = Mapping(ahead, ahead, one_machine=member.gateway.one_machine).is_shared
            member.send(Start(self._start_ns + (0 if same else ahead.offset)))
        tasks: list[Coroutine[Any, Any, None]] = [self._team.beat(), self._deal()]
        if self.spec.max_duration_ms:
            tasks.append(self._end_at_ceiling())
        running = [asyncio.ensure_future(task) for task in tasks]
        try:
            while True:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                    running.remove(task)
                if not self._team.waiting:
                    return
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _deal(self) -> None:
        """Take what workers say until all are done."""
        while self._team.waiting:
            self._take(*await self._team.hear())
            if self._dealer.is_too_much:
                self._hold("count")
            self._share()

    def _take(self, member: Member, message: Report) -> None:
        if isinstance(message, Want):
            self._wants[member.number] = message.wanted
        elif isinstance(message, Reached):
            self._dealer.note_reached(message.at_ns, message.position)
        elif isinstance(message, Held):
            self._dealer.take_back(member.number, message.chunks, message.highest)
        elif isinstance(message, Records):
            self._look(message.lines)
        elif isinstance(message, Over):
            self._note_over(member, message)

    def _note_over(self, member: Member, over: Over) -> None:
        self._wants.pop(member.number, None)
        self._dealer.take_back(member.number, (), over.highest)
        if over.status != "complete":
            raise _PartEndedError
        if over.stopped_by == "abort":
            self._abort = "abort"
            self._hold("abort")

    def _look(self, lines: bytes) -> None:
        """Look whether the first queries of all, whoever sent them, are refused in one way. Raises HopelessError."""
        if self._hope is not None:
            records = _decode_lines(lines)
            self._n_first += sum(record.query < FIRST_QUERIES for record in records)
            for record in records:
                self._hope.require(record, self.spec.n_samples)
            if self._n_first >= FIRST_QUERIES or any(record.ok for record in records):
                self._hope = None
                self._team.look_no_more()

    def _hold(self, stopped_by: StoppedBy) -> None:
        """Have workers give back what they have not sent; once is enough."""
        if not self._dealer.is_holding:
            self._dealer.hold(stopped_by, self._team.waiting)
            self._told_end = False
            self._team.tell(Hold())

    def _share(self) -> None:
        """Deal to those who want positions; at the end, tell all that there are no more."""
        if self._is_dealt_to:
            for number, wanted in tuple(self._wants.items()):
                if chunk := self._dealer.deal(wanted):
                    del self._wants[number]
                    self._crew.members[number].send(Deal(chunk, self._dealer.most))
        is_over = self._dealer.is_dealt if self._is_dealt_to else self._dealer.over
        if is_over and not self._told_end:
            self._told_end = True
            self._team.tell(End(self.stopped_by, self._dealer.end))

    async def _end_at_ceiling(self) -> None:
        ceiling_ns = self._start_ns + self.spec.max_duration_ms * 1_000_000
        await asyncio.sleep(max(0, ceiling_ns - perf_counter_ns()) / 1e9)
        self._hold("ceiling")
        self._share()

    async def _judge(self) -> tuple[Status, str | None]:
        """Return the status of a phase that all have sent their parts of."""
        took_ns = perf_counter_ns() - self._start_ns
        self._close()
        if missing := self._team.missing():
            return "crashed", missing
        n_lines = self._team.n_lines
        if self._abort is None and (n_due := self._dealer.conclude()) != n_lines:
            return "crashed", f"the workers sent {n_lines} queries, and were dealt {n_due}"
        trips = [tuple(member.trips) for member in self._members]
        behind = await self._crew.read_clocks(self._members)
        for member, before, after, own in zip(self._members, self._ahead, behind, trips, strict=True):
            clock = Mapping(before, after, one_machine=member.gateway.one_machine)
            self._note_part(member, clock)
            if problem := clock.problem(took_ns, own):
                return "crashed", f"{member.name}: {problem}"
        return "complete", None

    def _note_part(self, member: Member, clock: Mapping) -> None:
        over = self._team.overs[member.number]
        self.parts += (
            WorkerPart(
                host=member.gateway.spec,
                n_queries=over.n_records,
                clock_offset_ns=clock.offset,
                clock_drift=clock.drift,
                clock_error_ns=clock.error,
                waited_for_positions=over.dry,
                cpu_s=over.cpu_s,
            ),
        )
        if not clock.is_shared:
            start_ns = self._start_ns
            theirs_ns = start_ns + self._ahead[self._members.index(member)].offset
            self.log.on_our_clock(member.number, lambda at_ns: clock.ours(theirs_ns + at_ns) - start_ns)

    def _worst(self) -> tuple[Status, str | None]:
        """Return the status of a phase of which a part has ended badly: that of the first such part."""
        number, over = next((at, over) for at, over in self._team.overs.items() if over.status != "complete")
        self.unmatched = any(one.unmatched for one in self._team.overs.values())
        return over.status, f"{self._crew.members[number].name}: {over.reason or over.status}"

    def _close(self) -> None:
        """Take no more records, and sum up what the parts found."""
        self._team.close()
        overs = self._team.overs.values()
        self.starved = sum(over.starved for over in overs)
        self.taken = sum(over.taken for over in overs if over.taken is not None) or None
        self.client = together(over.client for over in overs)
