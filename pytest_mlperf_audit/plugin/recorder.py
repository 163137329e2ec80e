"""The session's recorder: the tests' reports to accounts, then the exit status and the terminal summary."""

from __future__ import annotations

import os
import re
import shlex
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from ..errors import UserError
from ..session.account import Account
from ..session.locks import deferred, hold_second_interrupt
from ..text import nearest, plain

if TYPE_CHECKING:
    from ..session.prepare import AuditSession
    from ..session.run import AuditRun

EXIT_NO_VERDICT: Final = 6

#: A marker in the expression of -m.
_WORD = re.compile(r"(?!(?:and|or|not)\b)[^\W\d][\w.-]*")

_COLOURS: Final[dict[str, dict[str, bool]]] = {
    "pass": {"green": True},
    "fail": {"red": True},
    "warn": {"yellow": True},
    "plain": {},
}


class Recorder:
    """Registered once, on the xdist controller or the lone process, never on a worker.

    `session` is that of the runs of this session, None where there are none.
    """

    def __init__(self, accounts: Sequence[Account], session: AuditSession | None = None) -> None:
        self._accounts = accounts
        self._session = session
        self._runs = session.runs if session else []
        self._let_through: Callable[[], None] = lambda: None
        self._failed_elsewhere = False
        self._broken_beside = False

    @pytest.hookimpl
    def pytest_sessionstart(self) -> None:
        """Have each account claim what it writes to, so that nothing is judged in vain."""
        try:
            for account in self._accounts:
                account.start()
        except UserError as error:
            raise pytest.UsageError(str(error)) from error

    @pytest.hookimpl(tryfirst=True)  # before the terminal makes its text of the interruption, which takes its time
    def pytest_keyboard_interrupt(self) -> None:
        """Write the verdict in peace: a second Ctrl-C would end pytest in a traceback. A third does end it."""
        self._let_through = hold_second_interrupt()

    def end(self) -> None:
        """Handle SIGINT as before the session."""
        self._let_through()

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hand a report to the account that it belongs to."""
        if not any(account.note(report) for account in self._accounts):
            self._failed_elsewhere = self._failed_elsewhere or report.failed

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note that something beside the audits cannot be collected, which ends the session before they run."""
        ours = any(f"{report.nodeid}::".startswith(f"{run.node_id}::") for run in self._runs)
        self._broken_beside = self._broken_beside or (report.failed and not ours)

    @pytest.hookimpl(trylast=True)  # when xdist has seen its workers off
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write what all came to, and set the exit status."""
        with deferred(signal.SIGINT, signal.SIGTERM) as came:  # the user has waited for this longer than it takes
            for account in self._accounts:
                account.finish()
        if came:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        if session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED} and self._without_verdict():
            session.exitstatus = EXIT_NO_VERDICT
        elif session.exitstatus == pytest.ExitCode.OK and self._has_failed():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        """Say what all came to."""
        for account in self._accounts:
            if lines := list(account.lines()):
                terminalreporter.section(account.title)
                _write(terminalreporter, lines)
        _write(terminalreporter, ((problem, "fail") for account in self._accounts for problem in account.problems))
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and (given := terminalreporter.config.option.markexpr):
            for run in self._runs:
                terminalreporter.write_line(_selects_nothing(run, given))
        if self._broken_beside and self._runs:
            alone = _command([run.path for run in self._runs])
            terminalreporter.write_line(
                f"mlperf-audit: a file beside the audits cannot be collected; to run them alone: {alone}"
            )

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        """Stop what the session of the runs started."""
        if self._session:
            self._session.close()

    def _has_failed(self) -> bool:
        """Whether what was found across cases fails, though each test passed."""
        return any("FAIL" in account.statuses for account in self._accounts)

    def _without_verdict(self) -> bool:
        """Whether something has no verdict while no audit failed, or no report; never where another test failed."""
        if self._failed_elsewhere:
            return False
        statuses = {status for account in self._accounts for status in account.statuses}
        unwritten = any(account.problems for account in self._accounts)
        return unwritten or ("NO_VERDICT" in statuses and "FAIL" not in statuses)


def _selects_nothing(run: AuditRun, expression: str) -> str:
    """Return why -m leaves a run with nothing to do: a typo, or a part that the YAML does not ask for."""
    markers = sorted(run.markers)
    unknown = [word for word in _WORD.findall(expression) if word not in markers]
    near = next(filter(None, (nearest(word, markers) for word in unknown)), None)
    meant = f"did you mean {near!r}? " if near else ""
    known = f"its markers are {', '.join(markers)}"
    return f"mlperf-audit: -m {plain(expression, 80)!r} selects no check of {run.node_id}; {meant}{known}"


def _write(terminalreporter: pytest.TerminalReporter, lines: Iterable[tuple[str, str]]) -> None:
    for line, kind in lines:
        terminalreporter.write_line(line, **_COLOURS[kind])


def _command(configs: Iterable[Path]) -> str:
    paths = [os.path.relpath(path) for path in configs]
    return shlex.join(["pytest", *paths, *(f"--mlperf-config={path}" for path in paths)])
