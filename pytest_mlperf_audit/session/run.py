"""AuditRun: one YAML in this process. Its phases run when first asked for, once in all processes, in plan order."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..audits.verdict import Verdict
from ..config.benchmark import Benchmark
from ..config.load import LoadedConfig
from ..endpoints.source import RequestSource
from ..errors import NoVerdictError
from ..load.group import PlannedPhase, run_group
from ..load.pattern import NoFilesError, out_of_files
from ..load.progress import Progress, ProgressFile
from ..load.target import Target
from ..loadgen.accuracy_log import write_accuracy_log
from ..records.log import read_queries
from ..records.store import QUERIES_FILE
from ..runs.clock import Clock
from ..runs.phase import PhaseRecord
from ..verdicts.comparison import Comparison
from . import third_party
from .commands import Between
from .crews import Crews
from .judge import PlannedAudit, complete_records, judge, measured_phases
from .locks import endpoint_lock, measuring, processes_measuring
from .official import count_phase
from .scorer import run_command
from .sending import groups, is_owed, patience_of, record_of, redrawn, to_be_counted, to_be_scored

if TYPE_CHECKING:
    from .compare import PlannedComparison

#: LoadGen's name of the log of outputs, which external scorers are given.
ACCURACY_LOG = "mlperf_log_accuracy.json"


@dataclass
class AuditRun:
    """One YAML, planned. `selected` are the ids of audits that this session's tests need, set after collection.

    `left_out` says, a sentence each, what of the YAML cannot be run; `oddities`, what is odd about the first answer.
    `raise_if_stopped` raises KeyboardInterrupt where this thread is to end the run, and no signal can tell it.
    `without_limit` is entered while phases run, and holds off a time limit that somebody has set on the test that asked
    for them. `reported_by` are the tests that have said why there is no verdict. `crews` has the processes that send,
    where these are several. `comparison` is with an earlier run, where one is asked for.
    """

    path: Path
    loaded: LoadedConfig
    node_id: str
    plans: tuple[PlannedAudit, ...]
    source: RequestSource
    target: Target | None
    report_dir: Path
    session_dir: Path | None = None
    clock: Clock | None = None
    controller: int | None = None
    selected: set[str] = field(default_factory=set)
    between: Between | None = None
    left_out: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()
    reported_by: dict[str, str] = field(default_factory=dict)
    raise_if_stopped: Callable[[], None] = lambda: None
    without_limit: Callable[[], AbstractContextManager[None]] = nullcontext
    crews: Crews = field(default_factory=Crews)
    comparison: PlannedComparison | None = None
    _verdicts: dict[str, Verdict] = field(default_factory=dict)
    _compared: Comparison | None = None

    @property
    def benchmark(self) -> Benchmark:
        """The configuration."""
        return self.loaded.benchmark

    @property
    def markers(self) -> frozenset[str]:
        """The markers of all its checks."""
        return frozenset(("mlperf", *(marker for planned in self.plans for marker in planned.markers)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of the configuration, though it can be run."""
        return (*self.loaded.warnings, *self.left_out, *self.oddities)

    @property
    def query_timeout_s(self) -> float | None:
        """How long a query may take."""
        return (
            max((spec.query_timeout_s or 0.0 for planned in self.plans for spec in planned.specs), default=0.0) or None
        )

    @property
    def simulated(self) -> bool:
        """Whether the embedded simulated endpoint serves."""
        return self.target is None

    @property
    def key(self) -> str:
        """A short name for this run's files in the session directory."""
        return hashlib.sha256(str(self.path).encode()).hexdigest()[:12]

    def plan(self, audit_id: str) -> PlannedAudit:
        """Return one audit's plan; KeyError when the YAML does not ask for it."""
        for planned in self.plans:
            if planned.id == audit_id:
                return planned
        raise KeyError(f"{self.path.name} asks for no audit {audit_id!r}; it has {[plan.id for plan in self.plans]}")

    def line_of(self, planned: PlannedAudit) -> int:
        """Return the line of the YAML that asks for an audit; a run that is no audit is asked for by the file."""
        at = next((at for at, block in enumerate(self.benchmark.audit) if block is planned.cfg), None)
        return self.loaded.source.line(() if at is None else ("audit", at))

    def endpoint(self) -> Target:
        """Return the endpoint, once the session has prepared this run. Raises NoVerdictError before that."""
        ticket = self.ticket(self._prepared())
        return self.target or Target(urls=(ticket.read_text(),), secrets=self.loaded.secrets, simulated=True)

    def _prepared(self) -> Path:
        """Return the session's directory, once the session has prepared this run."""
        if self.session_dir is None or not self.ticket(self.session_dir).exists():
            raise NoVerdictError(
                f"{self.path.name} was not prepared, since no selected test names one of its fixtures; "
                "name mlperf_phases, mlperf_verdict or mlperf_endpoint among the test's arguments"
            )
        return self.session_dir

    def ticket(self, session_dir: Path) -> Path:
        """Return the file by which the session says that this run may start; it holds a simulated endpoint's URL."""
        return session_dir / f"prepared-{self.key}"

    def verdict(self, audit_id: str) -> Verdict:
        """Return an audit's verdict, running its phases if no process has. Raises NoVerdictError or RecordError."""
        if audit_id not in self._verdicts:
            self.ensure(audit_id)
            self._verdicts[audit_id] = self.judge(audit_id)
        return self._verdicts[audit_id]

    def compared(self) -> Comparison:
        """Return how this run compares with an earlier one, running what that needs if no process has.

        Raises NoVerdictError or RecordError.
        """
        assert self.comparison is not None
        if self._compared is None:
            self.ensure(self.comparison.audit_id)
            self._compared = self.comparison.judge()
        return self._compared

    def judge(self, audit_id: str) -> Verdict:
        """Return the verdict on what is on disk, sending nothing. Raises NoVerdictError or RecordError."""
        return judge(self.plan(audit_id))

    def phases(self, audit_id: str) -> Mapping[str, PhaseRecord]:
        """Return an audit's phase records by label, running its phases if no process has.

        Raises NoVerdictError or RecordError.
        """
        self.ensure(audit_id)
        return complete_records(self.plan(audit_id))

    def ensure(self, audit_id: str) -> None:
        """Run what is selected up to and including this audit, unless its records are there.

        Plan order holds whatever order the tests are in. Another process that is at it is waited for.
        """
        with self.without_limit():
            for planned in self.plans:
                if planned.id == audit_id or planned.id in self.selected:
                    self._run_once(planned)
                if planned.id == audit_id:
                    return

    def _run_once(self, planned: PlannedAudit) -> None:
        self.raise_if_stopped()
        session_dir, target = self._prepared(), self.endpoint()
        given_up = session_dir / f"given-up-{self.key}-{planned.id}"
        report = self._reporter(session_dir)
        if self._settled(planned, given_up):
            return

        def waiting(holder: str) -> None:
            if not any(processes_measuring(session_dir)):  # another worker of this session has its own progress to show
                report(Progress(phase=holder, title=planned.id, requested=0, note=True))

        with endpoint_lock(target, waiting, self.raise_if_stopped), measuring(session_dir):
            if self._settled(planned, given_up):
                return
            try:
                self._send(planned, target, report)
            except OSError as error:
                with suppress(OSError):
                    given_up.touch()
                raise NoVerdictError(self._unwritten(planned, error)) from error
            except NoVerdictError as error:
                given_up.write_text(str(error))
                raise

    def _unwritten(self, planned: PlannedAudit, error: OSError) -> str:
        if out_of_files(error):
            return f"the phases of {planned.id} were not sent to their end: {NoFilesError(error.errno or 0)}"
        return (
            f"the records of {planned.id} could not be written to {self.report_dir} "
            f"({error.strerror or error}); free some space, or set --mlperf-report-dir"
        )

    def _send(self, planned: PlannedAudit, target: Target, report: Callable[[Progress], None]) -> None:
        """Send an audit's phases back to back, or with what the user has done between two of them."""
        if all(map(self._is_sent, planned.phases)):  # sent by a process that was ended before they were scored
            self._score(planned, target, report)
            return
        try:
            complete = self._send_groups(planned, target, report)
        finally:
            if not self.crews.keeps:
                self.crews.dismiss()
        if complete:
            self._score(planned, target, report)

    def _send_groups(self, planned: PlannedAudit, target: Target, report: Callable[[Progress], None]) -> bool:
        """Send groups of phases until one is not complete; return whether all are."""
        crew = self.crews.ready(self, target)
        before = self._sent_last()
        sent_before = all(self._is_sent(phase) for phase in planned.phases if not phase.spec.conditional)
        for group in groups(planned.all_phases, apart=bool(self.between)):
            if sent_before and not group[0].spec.conditional:
                continue
            if group[0].spec.conditional and not self._wants(planned, group[0]):
                continue
            if self.between and before:
                self.between(before, group[0].spec.label, target.urls)
            sent = [redrawn(planned, phase) for phase in group]
            patience = patience_of(self.benchmark.settings.timeouts, self._prepared() / f"began-{self.key}")
            if why := patience.over():
                raise NoVerdictError(why)
            records = run_group(
                sent,
                self.source,
                target,
                title=planned.id,
                clock=self.clock,
                report=report,
                crew=crew,
                patience=patience,
            )
            if not all(record.complete for record in records):
                return False
            before = group[-1].spec.label
        return True

    def _wants(self, planned: PlannedAudit, phase: PlannedPhase) -> bool:
        """Whether a conditional phase is to be sent; where not, every process of the session is told.

        It is not where a phase before it was sent again: the verdict then is undecided, whatever further queries show.
        """
        records = complete_records(planned)
        wants = all(record.attempt == 1 for record in records.values()) and third_party.wanted(
            planned.audit, planned.cfg, phase.spec, measured_phases(planned, records)
        )
        if not wants:
            self._not_wanted(phase).touch()
        return wants

    def _not_wanted(self, phase: PlannedPhase) -> Path:
        """Return the file by which the session knows that a conditional phase is not to be sent."""
        name = hashlib.sha256(str(phase.directory).encode()).hexdigest()[:12]
        return self._prepared() / f"not-wanted-{self.key}-{name}"

    def _is_sent(self, phase: PlannedPhase) -> bool:
        """Whether nothing of a phase is left to be sent."""
        return bool(record_of(phase)) or (phase.spec.conditional and self._not_wanted(phase).exists())

    def _settled(self, planned: PlannedAudit, given_up: Path) -> bool:
        """Whether nothing is left to be run. Raises NoVerdictError where it was tried in this session, in vain."""
        if any(record and not record.complete for record in map(record_of, planned.all_phases)):
            return True
        over = all(map(self._is_sent, planned.phases)) and not any(map(is_owed, planned.phases))
        if not over and given_up.exists():
            raise NoVerdictError(given_up.read_text() or "its phases could not be run; see the first failure")
        return over

    def _score(self, planned: PlannedAudit, target: Target, report: Callable[[Progress], None]) -> None:
        """Have external scorers judge what was kept of the replies, and count their tokens."""
        for phase in planned.phases:
            if to_be_counted(phase):
                at_it = Progress(phase=f"counting the tokens of {phase.spec.label}", title=planned.id, requested=0)
                count_phase(phase, self.source.search, partial(self._tick, report, at_it))
            scoring = phase.spec.scoring
            if scoring and to_be_scored(phase):
                log = phase.directory / ACCURACY_LOG
                write_accuracy_log(log, read_queries(phase.directory / QUERIES_FILE))
                at_it = Progress(phase=f"scoring {phase.spec.label}", title=planned.id, requested=0)
                tick = partial(self._tick, report, at_it)
                run_command(scoring, phase.directory, log, cwd=self.path.parent, redact=target.redact, tick=tick)

    def _tick(self, report: Callable[[Progress], None], progress: Progress) -> None:
        self.raise_if_stopped()
        report(progress)

    def _sent_last(self) -> str:
        """Return the label of the phase that was sent last, "" where none was."""
        sent = [phase.spec.label for planned in self.plans for phase in planned.all_phases if record_of(phase)]
        return sent[-1] if sent else ""

    def _reporter(self, session_dir: Path) -> Callable[[Progress], None]:
        write = ProgressFile(session_dir / "progress.json").write

        def report(progress: Progress) -> None:
            write(progress)
            if self.controller is not None and os.getppid() != self.controller:
                signal.raise_signal(signal.SIGTERM)  # killed: without it nobody waits for the rest of this phase

        return report
