"""What the cases of this session came to: summary, verdict.json and report.html of each tree, exit status."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..audits.published.outcome import CaseOutcome
from ..errors import ReportDirError
from ..report import ci_summary
from ..report.round import words
from ..report.write import write_round_report
from ..runs.clock import Clock
from ..session.places import claim
from ..session.round import Round
from ..verdicts.round import RoundDocument, describe
from .environment import EXIT_NO_VERDICT, environment
from .terminal import write_lines
from .tree_nodes import carried

if TYPE_CHECKING:
    from ..session.locks import Lock


class RoundRecorder:
    """Registered on the xdist controller or the lone process, never on a worker."""

    def __init__(self, rounds: list[Round], workers: int) -> None:
        self._rounds = rounds
        self._workers = workers
        self._clock = Clock.read()
        self._started_at = self._clock.now()
        self._cases: dict[str, CaseOutcome] = {}
        self._failed_elsewhere = False
        self._documents: list[tuple[Round, RoundDocument]] = []
        self._problems: list[str] = []
        self._locks: list[Lock] = []

    @pytest.hookimpl
    def pytest_sessionstart(self) -> None:
        """Claim the report directories, so that nothing is judged in vain."""
        try:
            self._locks += [claim(found.report_dir, len(found.named)) for found in self._rounds]
        except ReportDirError as error:
            raise pytest.UsageError(str(error)) from error

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a case came to."""
        if case := carried(report):
            self._cases[case.id] = case
        elif report.failed and report.nodeid not in self._cases:
            self._failed_elsewhere = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write what was found, and set the exit status."""
        for found in self._rounds:
            self._finish(found)
        for lock in self._locks:
            lock.release()
        statuses = {case.status for case in self._cases.values()}
        without_verdict = "NO_VERDICT" in statuses and "FAIL" not in statuses
        ordinary = session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
        if ordinary and not self._failed_elsewhere and (without_verdict or self._problems):
            session.exitstatus = EXIT_NO_VERDICT

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was found."""
        for found, document in self._documents:
            terminalreporter.section(f"mlperf results: {found.tree.name}")
            write_lines(terminalreporter, words.terminal_lines(document))
            terminalreporter.write_line(f"report: {found.report_dir / 'report.html'}")
        write_lines(terminalreporter, ((problem, "fail") for problem in self._problems))

    def _finish(self, found: Round) -> None:
        cases = [case for audit in found.audits if (case := self._cases.get(f"{audit.case}::{audit.test}"))]
        document = describe(
            cases,
            tree=str(found.tree),
            found=len(found.audits),
            started_at=self._started_at,
            finished_at=self._clock.now(),
            environment=environment(self._workers),
        )
        try:
            write_round_report(document, found.report_dir)
            if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
                ci_summary.append(ci_summary.round_markdown(document), Path(summary))
        except OSError as error:
            self._problems.append(f"{found.report_dir}: the report could not be written ({error.strerror or error})")
        else:
            self._documents.append((found, document))
