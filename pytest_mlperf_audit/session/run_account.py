"""What the tests of a run came to: the status of each check, then the verdict on all of them and its files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..audits.verdict import Figure
from ..report import ci_summary, text
from ..verdicts.document import CheckStatus, VerdictDocument
from .account import Report, append_to_step_summary, unwritten
from .compare import COMPARE, remember
from .outcome import run_document, write_files
from .places import shown
from .prepare import AuditSession
from .run import AuditRun

#: The attribute of a report that names its check; under xdist it travels from a worker.
CHECK = "mlperf_check"

#: The parts of a test that report; xdist's report on a killed worker is of none.
_PARTS = ("setup", "call", "teardown")
_WORST_FIRST: tuple[CheckStatus, ...] = ("error", "failed", "passed")


class RunAccount:
    """The account of a run of this session, which came to something if it was prepared.

    `told`: pytest shows each failure in full. `history` is a file to which the run is added.
    """

    def __init__(
        self,
        session: AuditSession,
        run: AuditRun,
        environment: dict[str, Figure],
        layout: str,
        *,
        told: bool = False,
        history: Path | None = None,
    ) -> None:
        self.title = f"mlperf audit: {run.path.name}"
        self.problems: list[str] = []
        self._session, self._run = session, run
        self._environment, self._layout, self._told = environment, layout, told
        self._tests = _CheckTests(
            f"{run.node_id}::{planned.id}::{name}" for planned in run.plans for name in planned.checks
        )
        self._verdict: VerdictDocument | None = None
        self._compares, self._history = False, history

    @property
    def statuses(self) -> Iterable[str]:
        """The run's status, and that of its comparison, where a test asked for it."""
        if self._verdict is None:
            return []
        compared = self._verdict.comparison if self._compares else None
        return [self._verdict.status, *([compared.status] if compared else [])]

    @property
    def verdict(self) -> VerdictDocument | None:
        """What the run came to, None before it is known."""
        return self._verdict

    def start(self) -> None:
        """Do nothing: the session claims the report directory when it knows that a selected test needs the run."""

    def note(self, report: Report) -> bool:
        """Note what a report says of a check."""
        if not report.nodeid.startswith(f"{self._run.node_id}::"):
            return False
        self._compares = self._compares or report.nodeid.startswith(f"{self._run.node_id}::{COMPARE}::")
        self._tests.note(report)
        return True

    def finish(self) -> None:
        """Judge the run once more by its records, and write the files; on GitHub the step's summary, too."""
        run, session = self._run, self._session
        if run not in session.prepared:
            return
        self._verdict = run_document(
            run,
            session.clock,
            session.started_at,
            self._environment,
            status=self._tests.status,
            lost=self._tests.lost,
        )
        try:
            self._verdict = write_files(run, self._verdict, self._layout)
            append_to_step_summary(ci_summary.markdown(self._verdict))
        except OSError as error:
            self.problems.append(unwritten(run.report_dir, error))
        if self._history is not None:
            self._remember(self._history, self._verdict)

    def _remember(self, path: Path, verdict: VerdictDocument) -> None:
        try:
            remember(self._run, verdict, path)
        except OSError as error:
            self.problems.append(f"{path}: the run could not be added to the history ({error.strerror or error})")

    def lines(self) -> Iterable[tuple[str, str]]:
        """Yield what the run came to, and where the report lies."""
        if self._verdict:
            yield from text.terminal_lines(self._verdict, told=self._told)
            yield f"report: {shown(self._run.report_dir / 'report.html')}", "plain"


class _CheckTests:
    """Statuses by a check's node id. Of a test's reruns the last counts, of several tests of one check the worst."""

    def __init__(self, checks: Iterable[str]) -> None:
        self._tests: dict[str, dict[str, CheckStatus]] = {check: {} for check in checks}
        self._lost: dict[str, str] = {}

    def note(self, report: Report) -> None:
        """Note what a report says of the checks that it is on."""
        status = _status(report)
        if status is None:
            return
        for check in self._checks_of(report):
            self._tests[check][report.nodeid] = status
            if report.when not in _PARTS:
                self._lost[check] = str(report.longrepr).partition(" while running")[0]

    def status(self, check: str) -> CheckStatus:
        """Return what became of a check."""
        statuses = self._tests.get(check, {}).values()
        return next((status for status in _WORST_FIRST if status in statuses), "not_run")

    def lost(self, checks: Iterable[str]) -> str:
        """Return why tests of these checks never ended, "" where all did: "worker 'gw0' crashed"."""
        return "; ".join(dict.fromkeys(self._lost[check] for check in checks if check in self._lost))

    def _checks_of(self, report: Report) -> list[str]:
        """Return the checks that a report is on. That on a killed worker has an id alone, which may have more in it."""
        name = str(getattr(report, CHECK, "")) or report.nodeid
        if name in self._tests:
            return [name]
        return [check for check in self._tests if check.partition("[")[0] == name.partition("[")[0]]


def _status(report: Report) -> CheckStatus | None:
    if report.failed:
        return "failed" if report.when == "call" else "error"
    return "passed" if report.when == "call" and report.passed else None
