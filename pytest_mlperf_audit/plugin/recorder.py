"""Test outcomes to the verdict: files, exit status, summary. Lives where results come together."""

from __future__ import annotations

import os
import shlex
import signal
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest

from ..audits.verdict import Check
from ..load.loop import loop_name
from ..report import ci_summary, text
from ..report.write import write_report
from ..session.files import write_mlperf_files
from ..session.judge import PlannedAudit, audit_entry, judged_or_why
from ..session.locks import deferred
from ..session.phase_warnings import PhaseWarnings
from ..session.prepare import AuditSession
from ..session.run import AuditRun
from ..verdicts.document import SIMULATED_ENDPOINT, AuditEntry, CheckStatus, VerdictDocument, document
from .environment import EXIT_NO_VERDICT, environment
from .terminal import write_lines
from .told import Told


class Recorder:
    """Registered on the xdist controller or the lone process, never on a worker."""

    def __init__(self, session: AuditSession, workers: int, layout: str) -> None:
        self._session = session
        self._layout = layout
        self._workers = workers
        self._started_at = session.clock.now()
        self._told = Told(
            f"{run.node_id}::{planned.id}::{name}"
            for run in session.runs
            for planned in run.plans
            for name in planned.checks
        )
        self._failed_elsewhere = False
        self._broken_beside = False
        self._problems: list[str] = []
        self.results: list[tuple[AuditRun, VerdictDocument]] = []

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a check."""
        if self._is_ours(report.nodeid):
            self._told.note(report)
        else:
            self._failed_elsewhere = self._failed_elsewhere or report.failed

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note that something beside the audits cannot be collected, which ends the session before they run."""
        ours = self._is_ours(f"{report.nodeid}::")
        self._broken_beside = self._broken_beside or (report.failed and not ours)

    @pytest.hookimpl(trylast=True)  # when xdist has seen its workers off
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write what the runs came to, and set the exit status."""
        with deferred(signal.SIGINT, signal.SIGTERM) as came:  # the user has waited for this longer than it takes
            for run in self._session.prepared:
                outcome = self._outcome(run)
                self.results.append((run, outcome))
                self._write(run, outcome)
        if came:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        if session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED} and self._without_verdict():
            session.exitstatus = EXIT_NO_VERDICT

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what the runs came to."""
        for run, outcome in self.results:
            terminalreporter.section(f"mlperf audit: {run.path.name}")
            write_lines(terminalreporter, text.terminal_lines(outcome))
            terminalreporter.write_line(f"report: {run.report_dir / 'report.html'}")
        write_lines(terminalreporter, ((problem, "fail") for problem in self._problems))
        if self._broken_beside:
            paths = [os.path.relpath(run.path) for run in self._session.runs]
            alone = shlex.join([*paths, *(f"--mlperf-config={path}" for path in paths)])
            terminalreporter.write_line(
                f"mlperf-audit: a file beside the audits cannot be collected; to run them alone: pytest {alone}"
            )

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        """Stop what the session started."""
        self._session.close()

    def _is_ours(self, node_id: str) -> bool:
        return any(node_id.startswith(f"{run.node_id}::") for run in self._session.runs)

    def _without_verdict(self) -> bool:
        statuses = {outcome.status for _, outcome in self.results}
        return (
            bool(self._problems) or ("NO_VERDICT" in statuses and "FAIL" not in statuses)
        ) and not self._failed_elsewhere

    def _outcome(self, run: AuditRun) -> VerdictDocument:
        odd = PhaseWarnings(run.source)
        audits = tuple(self._audit(run, planned, odd) for planned in run.plans)
        benchmark = run.benchmark
        return document(
            name=benchmark.name or run.path.stem,
            config=run.node_id,
            simulated=run.simulated,
            endpoint=SIMULATED_ENDPOINT if run.target is None else run.target.label,
            api_type=benchmark.endpoint_config.api_type,
            model=benchmark.model_params.name,
            started_at=self._started_at,
            finished_at=self._session.clock.now(),
            environment={**environment(self._workers), "aiohttp": version("aiohttp"), "event_loop": loop_name()},
            audits=audits,
            warnings=tuple(
                dict.fromkeys((*run.warnings, *odd.warnings, *filter(None, [self._session.clock.set_by()])))
            ),
        )

    def _audit(self, run: AuditRun, planned: PlannedAudit, odd: PhaseWarnings) -> AuditEntry:
        verdict, why_none = judged_or_why(planned, odd)
        entry = audit_entry(
            planned,
            verdict,
            why_none,
            report_dir=run.report_dir,
            config=run.node_id,
            statuses=lambda name, check: self._status(f"{run.node_id}::{planned.id}::{name}", check),
        )
        lost = self._told.lost(check.node_id for check in entry.checks)
        if not lost or entry.status != "NO_VERDICT":
            return entry
        reason = f"{lost}, so that a test of this audit never ended; {entry.reason or 'run the audit again'}"
        return msgspec.structs.replace(entry, reason=reason)

    def _status(self, node_id: str, check: Check | None) -> CheckStatus:
        status = self._told.status(node_id)
        if status in {"passed", "failed"} and (check is None or check.passed != (status == "passed")):
            return "error"  # the records no longer say what the test saw
        return status

    def _write(self, run: AuditRun, outcome: VerdictDocument) -> None:
        """Write MLPerf's files, then the verdict with the digests of all, then the report."""
        try:
            write_mlperf_files(run, outcome, self._layout)
            write_report(outcome, run.report_dir)
            if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
                ci_summary.append(ci_summary.markdown(outcome), Path(summary))
        except OSError as error:
            self._problems.append(f"{run.report_dir}: the report could not be written ({error.strerror or error})")
