"""What the tests of finished runs came to: exit status and terminal summary."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from ..report.text import WIDTH
from ..report.words import SIMULATED
from ..session.recheck import Recheck
from ..text import plain
from .environment import EXIT_NO_VERDICT
from .recheck_nodes import STATE

_MOST_TOLD = 12


@dataclass
class _Told:
    """What the tests of one run said: their states by the rest of their ids, and the first lines of what was wrong."""

    states: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)


class Rechecker:
    """Registered on the xdist controller or the lone process, never on a worker."""

    def __init__(self, rechecks: Sequence[tuple[Recheck, str]]) -> None:
        self._rechecks = rechecks
        self._told = {node_id: _Told() for _, node_id in rechecks}
        self._failed = False
        self._without_verdict = False

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a test came to."""
        if report.when == "teardown" and not report.failed:
            return
        told, test = self._of(report.nodeid)
        state = dict(report.user_properties).get(STATE)
        if told is None or state is None:
            self._failed = self._failed or report.failed
            return
        told.states[test] = str(state)
        if report.failed:
            told.accounts[test] = report.longreprtext.partition("\n")[0]
            self._failed = self._failed or report.when == "call"
            self._without_verdict = self._without_verdict or report.when == "setup"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Set the exit status where nothing failed and something could not be told."""
        if session.exitstatus == pytest.ExitCode.TESTS_FAILED and self._without_verdict and not self._failed:
            session.exitstatus = EXIT_NO_VERDICT

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say of each run whether its verdict stands."""
        for recheck, node_id in self._rechecks:
            terminalreporter.section(f"mlperf recheck: {plain(str(recheck.directory), 4096)}")
            for line, colour in _lines(recheck, self._told[node_id]):
                terminalreporter.write_line(line, **{colour: True} if colour else {})

    def _of(self, node_id: str) -> tuple[_Told | None, str]:
        for known, told in self._told.items():
            if node_id.startswith(f"{known}::"):
                return told, node_id.removeprefix(f"{known}::")
        return None, ""


def _lines(recheck: Recheck, told: _Told) -> Iterator[tuple[str, str]]:
    stored = recheck.run.stored
    word, colour = _word(told)
    if stored is not None and stored.simulated:
        word = f"{word} (SIMULATED)"
        yield from ((line, "yellow") for line in textwrap.wrap(f"SIMULATED: {SIMULATED}", WIDTH))
    then = f"stored {stored.status}" if stored else "no verdict that can be used"
    yield f"{word}: {then}; {_counts(told)}", colour
    accounts = _by_account(told)
    for account, tests in list(accounts.items())[:_MOST_TOLD]:
        more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
        yield f"  {tests[0]}{more}: {plain(account, 200)}", "red"
    if len(accounts) > _MOST_TOLD:
        yield f"  and {len(accounts) - _MOST_TOLD} more accounts", "red"


def _by_account(told: _Told) -> dict[str, list[str]]:
    """Return the tests by what they say, less the name with which each begins: one damage may hit many."""
    grouped: dict[str, list[str]] = {}
    for test, account in told.accounts.items():
        named = f"{test.replace('::', ' ')}: "
        grouped.setdefault(account.removeprefix(named), []).append(test)
    return grouped


def _word(told: _Told) -> tuple[str, str]:
    """Return the run's word, the worst of its tests, and its colour."""
    states = set(told.states.values())
    if "differs" in states:
        return "DIFFERS", "red"
    if "damaged" in states:
        return "NOT RECHECKED", "red"
    if not states:
        return "NOT RECHECKED", "yellow"
    return "CONFIRMED", "red" if states & {"failed", "undecided"} else "green"


def _counts(told: _Told) -> str:
    words = {
        "confirmed": "confirmed",
        "failed": "failed as recomputed",
        "differs": "differ",
        "undecided": "without a verdict",
        "damaged": "cannot be rechecked",
        "not_run": "not run then",
    }
    counts = {word: list(told.states.values()).count(state) for state, word in words.items()}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{len(told.states)} tests: {said}" if said else "no test was run"
