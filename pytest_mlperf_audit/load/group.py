"""Phases back to back on one client: what must hold whatever happens is arranged here.

Connections are open before a clock starts; between two phases lie only the next one's connections and, where asked
for, the servers' metrics pages; figures and fsyncs wait until the last phase is over; a signal stops the load, not the
records.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from ..endpoints.source import RequestSource
from ..errors import NoVerdictError
from ..records.log import QueryLog, fail_completed
from ..records.store import QUERIES_FILE, set_aside, write_phase
from ..runs.clock import Clock
from ..runs.phase import ClientState, PhaseFigures, PhaseRecord, figures
from ..runs.script import Script
from ..runs.spec import RunSpec
from ..runs.trajectories import Trajectories
from .client_state import ClientWatch
from .http import HttpTransport
from .loop import run_until_done
from .metrics import MetricsReader, Snapshot, server_counters
from .patience import ENDLESS, Patience
from .pattern import in_flight, limit_given_back
from .phase import Phase
from .progress import Progress
from .scripted import ScriptedPhase
from .target import Target
from .trajectory_phase import TrajectoryPhase
from .transport import Transport

if TYPE_CHECKING:
    from .workers.crew import Crew
    from .workers.joint import JointPhase

_PROGRESS_EVERY_S = 0.25

#: A reply that is due when the last phase is over gets this time more than the slowest of that phase took.
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class PlannedPhase:
    """A RunSpec, the directory of its records, and, for the order `Scripted`, what begins its script.

    `source` are the rows that it sends, None for those that its group is run with.
    """

    spec: RunSpec
    directory: Path
    script: Callable[[], Script] | None = None
    source: RequestSource | None = None


@dataclass
class _Ended:
    phase: Phase | JointPhase
    planned: PlannedPhase
    attempt: int
    started_at: str
    began_s: float = field(default_factory=perf_counter)
    ended_s: float = 0.0
    before: Snapshot = ()
    after: Snapshot = ()
    taken: int | None = None
    starved: int = 0
    watch: ClientWatch | None = None
    joint: JointPhase | None = None


def run_group(
    phases: Sequence[PlannedPhase],
    source: RequestSource,
    target: Target,
    *,
    title: str = "",
    clock: Clock | None = None,
    report: Callable[[Progress], None] = lambda _: None,
    crew: Crew | None = None,
    patience: Patience = ENDLESS,
) -> list[PhaseRecord]:
    """Run phases back to back and return their records, each also on disk; stops at the first that is not complete.

    What an earlier attempt left in a directory is set aside first. `report` gets a snapshot four times a second;
    `clock` is what the run's other processes tell the time by. A `crew` sends all phases that have no script. A phase
    for which the `patience` is too short is not complete.
    Raises KeyboardInterrupt after SIGINT or SIGTERM, once all records are written; OSError when they cannot be;
    NoVerdictError when the crew cannot begin.
    """
    attempt = max(set_aside(planned.directory) for planned in phases)
    clock = clock or Clock.read()
    ended: list[_Ended] = []

    def snapshot(phase: Phase | JointPhase, *, over: bool = False) -> None:
        progress = phase.progress()
        progress.title, progress.over = title, over
        report(progress)

    async def run() -> None:
        transport, metrics = _transport(source, target), MetricsReader(target)
        try:
            if crew is not None:
                await crew.aim(source, target)
            pages = await metrics.read()
            for planned in phases:
                if joint := _joint(planned, source, crew):
                    try:
                        await joint.connect()
                    except asyncio.CancelledError:
                        ended.append(_Ended(joint, planned, attempt, clock.now("milliseconds"), before=pages))
                        raise
                phase = joint or await _alone(planned, source, target, transport)
                started_at = clock.now("milliseconds")
                ended.append(_Ended(phase, planned, attempt, started_at, before=pages))
                await _run_reporting(ended[-1], joint, transport, snapshot, patience)
                if phase.status != "complete":
                    break
                pages = ended[-1].after = await metrics.read()
            await _distrust(ended, transport, crew)
        finally:
            await metrics.close()
            await transport.close()
            if crew is not None:
                await crew.leave()

    try:
        with _undisturbed(), limit_given_back():
            run_until_done(run)
    except BaseException:
        with suppress(OSError):  # what stopped the load matters more
            _finish_all(ended, target)
        raise
    return _finish_all(ended, target)


def _transport(source: RequestSource, target: Target) -> HttpTransport:
    adapter = source.adapter
    return HttpTransport(target, adapter.path, adapter.headers, adapter.max_reply_bytes)


def _joint(planned: PlannedPhase, source: RequestSource, crew: Crew | None) -> JointPhase | None:
    """Return a phase for the crew, None for one that this process sends alone."""
    if crew is None or planned.script is not None or isinstance(planned.spec.order, Trajectories):
        return None
    return crew.phase(
        planned.spec, source if planned.source is None else planned.source, planned.directory / QUERIES_FILE
    )


async def _alone(planned: PlannedPhase, source: RequestSource, target: Target, transport: Transport) -> Phase:
    """Return a phase whose connections are open."""
    await transport.connect(in_flight(planned.spec))
    source = source if planned.source is None else planned.source
    log = QueryLog(planned.directory / QUERIES_FILE)
    if isinstance(planned.spec.order, Trajectories):
        return TrajectoryPhase(planned.spec, source, target, transport, log)
    if planned.script is None:
        return Phase(planned.spec, source, target, transport, log)
    return ScriptedPhase(planned.spec, planned.script, source, target, transport, log)


async def _run_reporting(
    one: _Ended,
    joint: JointPhase | None,
    transport: HttpTransport,
    snapshot: Callable[..., None],
    patience: Patience,
) -> None:
    """Run a phase, and note what its transport found, or those of the workers that send it."""

    async def tick() -> None:
        while True:
            snapshot(one.phase)
            transport.relieve()
            await asyncio.sleep(_PROGRESS_EVERY_S)

    starved, watch = transport.starved(), ClientWatch(transport.connections())
    ticker = asyncio.ensure_future(tick())
    try:
        await patience.run(one.phase)
    finally:
        ticker.cancel()
        watch.stop(transport.connections())
        one.starved, one.taken, one.watch = transport.starved() - starved, transport.taken(), watch
        if joint is not None:
            one.starved, one.taken, one.joint = joint.starved, joint.taken, joint
        snapshot(one.phase, over=True)
    one.ended_s = perf_counter()


async def _distrust(ended: Sequence[_Ended], transport: Transport, crew: Crew | None) -> None:
    """Ask each connection a last question; where one owes a reply, no phase of the group has the replies it recorded.

    Only where all is well so far: a server that is late or ill owes replies to queries that were given up.
    """
    if any(one.phase.status != "complete" or one.phase.log.columns.failures() for one in ended):
        return
    longest_s = max(one.phase.log.columns.latencies_s().max(initial=0.0) for one in ended)
    owed = await transport.owed(_PATIENCE_S + longest_s) or transport.unasked()
    if crew is not None and not owed:
        try:
            owed = await crew.owed(_PATIENCE_S + longest_s)
        except NoVerdictError as error:
            ended[-1].phase.status, ended[-1].phase.reason = "crashed", str(error)
            return
    if owed:
        for one in ended:
            one.phase.distrust(owed)


def _finish_all(ended: Sequence[_Ended], target: Target) -> list[PhaseRecord]:
    """Finish every phase, even if one's record cannot be written. Raises OSError, the first there was, at the end."""
    records: list[PhaseRecord] = []
    errors: list[OSError] = []
    for one in ended:
        record = _record(one, target)
        records.append(record)
        try:
            write_phase(one.planned.directory, record)
        except OSError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return records


def _record(one: _Ended, target: Target) -> PhaseRecord:
    """Close the log and compute the figures."""
    phase = one.phase
    status, reason = phase.status, phase.reason
    try:
        phase.log.close()
        if phase.unmatched:
            columns = fail_completed(
                one.planned.directory / QUERIES_FILE, "protocol", "no reply is surely this query's"
            )
        else:
            columns = phase.log.columns
    except OSError as error:
        status, reason = "crashed", f"the records could not be written: {error.strerror or error}"
        columns = phase.log.columns
    measured = figures(columns, one.planned.spec.load, one.planned.spec.limits)
    return PhaseRecord(
        label=one.planned.spec.label,
        spec=one.planned.spec,
        status=status,
        reason=reason,
        figures=measured,
        stopped_by=phase.stopped_by,
        attempt=one.attempt,
        started_at=one.started_at,
        duration_s=(one.ended_s or perf_counter()) - one.began_s,
        endpoint=target.label,
        simulated=target.simulated,
        counters=server_counters(one.before, one.after, target),
        connections_taken=one.taken,
        starved=one.starved,
        client=one.joint.client if one.joint else _client_state(one.watch, measured),
        workers=one.joint.parts if one.joint else (),
    )


def _client_state(watch: ClientWatch | None, measured: PhaseFigures) -> ClientState | None:
    return watch.state(measured.latency.mean_s if measured.latency else None) if watch else None


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep what the process already holds out of the garbage collector's way while latencies are measured.

    A process that had frozen objects of its own before keeps them frozen.
    """
    was_frozen = gc.get_freeze_count() > 0
    gc.freeze()
    try:
        yield
    finally:
        if not was_frozen:
            gc.unfreeze()
