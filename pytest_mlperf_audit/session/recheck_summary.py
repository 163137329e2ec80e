"""What the tests of a finished run came to, as a whole: confirmed or not, how many of each kind, what differs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..report.text import WIDTH, Kind, Line
from ..report.words import SIMULATED
from ..text import plain
from .account import Report
from .recheck import Recheck

#: The property of a report that says what a test came to; see recheck_account.State.
STATE = "mlperf_recheck"

_MOST_ACCOUNTS = 12

#: States in words, in the order in which they are counted.
_STATES = {
    "confirmed": "confirmed",
    "failed": "failed as recomputed",
    "differs": "differ",
    "undecided": "without a verdict",
    "damaged": "cannot be rechecked",
    "not_run": "not run then",
}


class RecheckSummary:
    """The account of a finished run, as a session's recorder keeps one; it writes nothing."""

    def __init__(self, recheck: Recheck, node_id: str) -> None:
        self.title = f"mlperf recheck: {plain(str(recheck.directory), 4096)}"
        self.problems: Sequence[str] = ()
        self._recheck = recheck
        self._prefix = f"{node_id}::"
        self._states: dict[str, str] = {}
        self._accounts: dict[str, str] = {}
        self._statuses: set[str] = set()

    @property
    def statuses(self) -> Iterable[str]:
        """FAIL where a test failed, NO_VERDICT where one could not be decided."""
        return self._statuses

    def start(self) -> None:
        """Do nothing: nothing is written."""

    def note(self, report: Report) -> bool:
        """Note a test's state and, where it failed, the first line of its account."""
        state = dict(report.user_properties).get(STATE)
        if not report.nodeid.startswith(self._prefix) or state is None:
            return False
        if report.when == "teardown" and not report.failed:
            return True
        test = report.nodeid.removeprefix(self._prefix)
        self._states[test] = str(state)
        if report.failed:
            self._accounts[test] = report.longreprtext.partition("\n")[0]
            self._statuses |= {"FAIL"} if report.when == "call" else {"NO_VERDICT"} if report.when == "setup" else set()
        return True

    def finish(self) -> None:
        """Do nothing: nothing is written."""

    def lines(self) -> Iterator[Line]:
        """Yield whether the verdict stands, and up to 12 accounts of what is wrong with it."""
        stored = self._recheck.run.stored
        word, kind = verdict_word(self._states.values()), _kind(set(self._states.values()))
        if stored is not None and stored.simulated:
            word = f"{word} (SIMULATED)"
            yield from ((line, "warn") for line in textwrap.wrap(f"SIMULATED: {SIMULATED}", WIDTH))
        then = f"stored {stored.status}" if stored else "no verdict that can be used"
        yield f"{word}: {then}; {_counts(self._states)}", kind
        accounts = _by_account(self._accounts)
        for account, tests in list(accounts.items())[:_MOST_ACCOUNTS]:
            more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
            yield f"  {tests[0]}{more}: {plain(account, 200)}", "fail"
        if len(accounts) > _MOST_ACCOUNTS:
            yield f"  and {len(accounts) - _MOST_ACCOUNTS} more accounts", "fail"


def header_line(recheck: Recheck) -> str:
    """Return what the head of a session says of a finished run."""
    stored = recheck.run.stored
    if stored is None:
        return f"recheck {recheck.directory}: its verdict.json cannot be used"
    simulated = " (SIMULATED)" if stored.simulated else ""
    audits = ", ".join(entry.id for entry in stored.audits)
    return f"recheck {recheck.directory}: {stored.status}{simulated}: {audits}"


def verdict_word(states: Iterable[str]) -> str:
    """Return the word for a finished run whose tests came to these states: the worst of them decides."""
    found = set(states)
    if "differs" in found:
        return "DIFFERS"
    return "NOT RECHECKED" if "damaged" in found or not found else "CONFIRMED"


def _kind(states: set[str]) -> Kind:
    if not states:
        return "warn"
    return "fail" if states & {"differs", "damaged", "failed", "undecided"} else "pass"


def _by_account(accounts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the tests by what they say, less the name with which each begins: one damage may hit many."""
    grouped: dict[str, list[str]] = {}
    for test, account in accounts.items():
        named = f"{test.replace('::', ' ')}: "
        grouped.setdefault(account.removeprefix(named), []).append(test)
    return grouped


def _counts(states: Mapping[str, str]) -> str:
    counts = {word: list(states.values()).count(state) for state, word in _STATES.items()}
    text = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{len(states)} tests: {text}" if text else "no test was run"
