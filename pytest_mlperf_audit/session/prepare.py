"""What exists once a run, where the terminal is: report directories, simulated endpoints, the display."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.redact import resolved_yaml
from ..endpoints.simulated.process import SimulatedProcess, start
from ..load.first_query import ask_first, check_endpoint
from ..load.metadata import check_metadata
from ..load.pattern import check_files
from ..load.progress import ProgressFile
from ..records.files import write_atomic
from ..runs.clock import Clock
from .crews import each_share
from .display import Display
from .locks import endpoint_lock, interrupt, on_sigterm, processes_measuring
from .places import claim, kept_as
from .plan_view import estimate
from .run import AuditRun
from .schedule import Schedule, Step

if TYPE_CHECKING:
    from .locks import Lock

_NEEDED = "needed"


class AuditSession:
    """Prepares each run when it is known that a selected test needs it, and cleans up at the end."""

    def __init__(
        self,
        runs: list[AuditRun],
        tell: Callable[[str], None] = lambda _: None,
        fresh: Callable[[], str] = lambda: "\n",
    ) -> None:
        self.runs = runs
        self._tell = tell
        for run in runs:
            kept_as(run.report_dir)  # raises for what can be no report directory
        self.clock = Clock.read()
        self.started_at = self.clock.now()
        self.directory = Path(tempfile.mkdtemp(prefix="mlperf-audit-"))
        self.prepared: list[AuditRun] = []
        self.heard: list[str] = []  # what endpoints answered that were asked before the header
        self._asked: list[AuditRun] = []
        self._locks: list[Lock] = []
        self._simulated: list[SimulatedProcess] = []
        self._first_s: float | None = None
        schedule = Schedule(self._steps, lambda: self._first_s)
        self._display = Display(ProgressFile(self.directory / "progress.json"), schedule, fresh)
        self._sigterm = on_sigterm(interrupt)
        for run in runs:
            run.session_dir = self.directory
            run.clock = self.clock

    def ask_before(self, runs: Iterable[AuditRun], *, sends_here: bool) -> None:
        """Make sure of endpoints before anything is shown; `heard` is then for the header. Raises UserError."""
        for run in runs:
            self.heard += self._ask(run, sends_here=sends_here)

    def prepare(self, node_ids: Iterable[str], *, sends_here: bool = True) -> None:
        """Claim directories and make sure of endpoints for the runs named, before anything is sent.

        Their phases are sent by this process, or else by others. Raises UserError for what the user can put right.
        """
        wanted = set(node_ids)
        runs = [run for run in self.runs if run.node_id in wanted and run not in self.prepared]
        for run in runs:
            if run not in self._asked:
                for line in self._ask(run, sends_here=sends_here):
                    self._tell(line)
                for warning in run.oddities:
                    self._tell(f"warning: {warning}")
        for run in runs:
            self._prepare(run)
        if self.prepared:
            self._display.start()

    def _ask(self, run: AuditRun, *, sends_here: bool) -> list[str]:
        """See that an endpoint that is not ours is there, and that all can send who are to; then send it one query.

        What is odd about its answer is a warning of the run's. Returns a line on how long it took, if it did.
        """
        check_files(each_share(run.benchmark, [one for planned in run.plans for one in planned.phases]), run.target)
        self._asked.append(run)
        if run.target is not None:
            check_endpoint(run.source.adapter, run.target)
            check_metadata(run.source.adapter, run.target)
        run.crews.open(run, run.target)
        run.crews.keeps = sends_here
        if not sends_here:
            run.crews.dismiss()
        if run.target is None:
            return []
        with endpoint_lock(run.target, self._tell, run.raise_if_stopped):
            first = ask_first(
                run.source,
                run.target,
                timeout_s=run.query_timeout_s,
                ready_timeout_s=run.benchmark.settings.timeouts.service_ready_timeout_s,
                tell=self._tell,
            )
        run.oddities = first.warnings
        if first.latency_s is None:
            return []
        self._first_s = max(first.latency_s, self._first_s or 0.0)
        specs = [spec for planned in run.plans for spec in planned.surely]
        return [f"{run.node_id}: the first query took {first.latency_s:.3g} s{estimate(specs, first.latency_s)}"]

    def _steps(self) -> Iterator[Step]:
        """Yield the phases that will surely be sent."""
        for run in self.prepared:
            for planned in run.plans:
                if not run.selected or planned.id in run.selected:
                    for phase in planned.all_phases:
                        if not phase.spec.conditional:
                            label = phase.spec.label
                            yield Step(label if label == planned.id else f"{planned.id} {label}", phase.spec)

    def stop_measuring(self) -> None:
        """Have a worker that is in mid-phase end it in good order: the session is over, and xdist would only wait."""
        for pid in processes_measuring(self.directory):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def close(self) -> None:
        """Stop what was started, and give up the locks."""
        self._display.stop()
        for run in self.runs:
            run.crews.dismiss()
        for process in self._simulated:
            process.stop()
        for lock in self._locks:
            lock.release()
        self._locks.clear()
        self._simulated.clear()
        shutil.rmtree(self.directory, ignore_errors=True)
        on_sigterm(self._sigterm)

    def _prepare(self, run: AuditRun) -> None:
        n_queries = sum(spec.n_samples for planned in run.plans for spec in planned.surely)
        self._locks.append(claim(run.report_dir, n_queries, partial(self._tell_of_earlier, run)))
        config = resolved_yaml(run.benchmark, run.loaded.written, run.loaded.secrets)
        write_atomic(run.report_dir / "config.yaml", config.encode())
        url = "" if run.target else self._simulate(run).url
        write_atomic(run.ticket(self.directory), url.encode())
        self.prepared.append(run)

    def _tell_of_earlier(self, run: AuditRun, kept: Path) -> None:
        self._tell(f"{run.node_id}: the earlier run is kept as {kept.name}")

    def _simulate(self, run: AuditRun) -> SimulatedProcess:
        config = run.benchmark.endpoint_config.simulated
        process = start(config, watch_pid=os.getpid(), log_file=self.directory / f"simulated-{run.key}.log")
        self._simulated.append(process)
        return process


def note_needed(session_dir: Path, node_ids: Iterable[str]) -> None:
    """Tell the controller, from a worker, which runs the selected tests need."""
    for index, name in enumerate(sorted(node_ids)):
        write_atomic(session_dir / f"{_NEEDED}-{os.getpid()}-{index}", name.encode())


def noted_as_needed(session_dir: Path) -> set[str]:
    """Return the runs that workers said they need."""
    return {path.read_text() for path in session_dir.glob(f"{_NEEDED}-*")}
