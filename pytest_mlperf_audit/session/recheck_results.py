"""What a recheck says: of each test, how stored and recomputed compare; of all tests together, whether they agree."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from ..audits.verdict import Figure
from ..errors import RecordError
from ..report.text import WIDTH, Kind, Line, failure_text
from ..report.words import SIMULATED
from ..text import plain
from ..verdicts.differences import differences
from ..verdicts.document import CheckEntry
from .account import Report
from .finished import RECORDS
from .recheck import Recheck, Recomputed

_VERDICT = "verdict"
_ARTIFACTS = "artifacts"
AUDIT = "audit"

#: confirmed: as stored, and passed. failed: the check fails, as the stored verdict says or where it says nothing.
#: differs: stored and recomputed are not the same. undecided: there was no verdict, and there is none.
#: damaged: nothing can be recomputed. not_run: not run then, and without records.
State = Literal["confirmed", "failed", "differs", "undecided", "damaged", "not_run"]

#: The property of a report that says what a test came to: a State.
STATE = "mlperf_recheck"

#: States in words, in the order in which they are counted.
_STATES: Final[Mapping[State, str]] = {
    "confirmed": "confirmed",
    "failed": "failed as recomputed",
    "differs": "differ",
    "undecided": "without a verdict",
    "damaged": "cannot be rechecked",
    "not_run": "not run then",
}
_MOST_SHOWN = 12
_LONGEST = 800


class Result(msgspec.Struct, frozen=True):
    """What one test came to; `text` is its account, whose first line is fit for a CI annotation."""

    state: State
    text: str = ""
    figures: Mapping[str, Figure] = {}


def names_of_records(recheck: Recheck) -> list[str]:
    """Return the tests of the run as a whole: those of single audits carry their id in brackets."""
    audits = recheck.run.stored.audits if recheck.run.stored else ()
    return [_VERDICT, _ARTIFACTS, *(f"{AUDIT}[{entry.id}]" for entry in audits)]


def result(recheck: Recheck, group: str, name: str) -> Result:
    """Return what a test came to; `group` is an audit's id, or RECORDS."""
    try:
        if group != RECORDS:
            return _check_result(recheck, group, name)
        if name == _VERDICT:
            return _verdict_result(recheck)
        if name == _ARTIFACTS:
            return _differs("the files are not those that the verdict rests on", recheck.changed_files)
        return _audit_result(recheck, name.removeprefix(f"{AUDIT}[").removesuffix("]"))
    except RecordError as error:
        return _damaged(f"{group} {name}", str(error))


def _verdict_result(recheck: Recheck) -> Result:
    recheck.stored  # noqa: B018 - raises where the verdict cannot be used at all
    found = [f"{recheck.run.verdict_file}: {recheck.seal_problem}"] if recheck.seal_problem else []
    try:
        found += recheck.differences_of_run()
    except RecordError as error:
        if not found:
            raise
        found.append(str(error))
    return _differs("verdict.json is not what the run came to", found)


def _audit_result(recheck: Recheck, audit_id: str) -> Result:
    now = recheck.recomputed(audit_id)
    if now.damage:
        return _damaged(audit_id, now.damage)
    return _differs(
        f"{audit_id}: stored figures do not follow from the records", recheck.differences_of_audit(audit_id)
    )


def _check_result(recheck: Recheck, audit_id: str, name: str) -> Result:
    now = recheck.recomputed(audit_id)
    if now.damage:
        return _damaged(f"{audit_id} {name}", now.damage)
    then, check = now.stored.check(name), now.check(name)
    if then is None or check is None:
        return Result("differs", f"{audit_id} {name}: the audit plans no such check; verdict.json was edited")
    if now.why_none:
        return _without_verdict(now, then)
    figures = {"observed": check.observed, "limit": check.limit, **(now.entry.figures if now.entry else {})}
    found = differences(then, check, recheck.terms)
    if found:
        account = _differs(f"{audit_id} {name}: {then.status} then, {_word(check)} now", found)
        return Result("differs", account.text, figures)
    return Result(*_as_stored(recheck, audit_id, then, check), figures)


def _without_verdict(now: Recomputed, then: CheckEntry) -> Result:
    where = f"{now.stored.id} {then.name}"
    if now.entry and now.entry.status == "NOT_RUN":
        return Result("not_run", f"{where}: was not run then, and there are no records of it")
    before = f"{then.status} then" if then.passed is not None else f"none then ({now.stored.reason or then.status})"
    return Result("undecided", plain(f"{where}: no verdict: {now.why_none}; {before}", _LONGEST))


def _as_stored(recheck: Recheck, audit_id: str, then: CheckEntry, check: CheckEntry) -> tuple[State, str]:
    """Return what a check came to whose stored and recomputed figures are the same."""
    if not check.tested:
        return "not_run", plain(f"{audit_id} {check.name}: {check.reason}", _LONGEST)
    if check.passed is None:
        return "undecided", plain(f"{audit_id} {check.name}: no verdict: {check.reason}", _LONGEST)
    if check.check and not check.passed:
        return "failed", failure_text(check.check, str(recheck.directory))
    if then.status == "error":
        return "undecided", (
            f"{audit_id} {check.name}: its test ended in an error then, though the records say that it passed"
        )
    return "confirmed", ""


def _damaged(what: str, why: str) -> Result:
    return Result("damaged", plain(f"{what}: cannot be rechecked: {why}", _LONGEST))


def _word(check: CheckEntry) -> str:
    return {True: "passed", False: "failed", None: "undecided" if check.tested else "not looked for"}[check.passed]


def _differs(what: str, found: Sequence[str]) -> Result:
    """Return the account of differences, each on a line of its own; confirmed without any."""
    if not found:
        return Result("confirmed")
    first = plain(f"{what}: {found[0]}", _LONGEST)
    shown = [f"  {plain(difference, _LONGEST)}" for difference in found[1:_MOST_SHOWN]]
    more = [f"  and {len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else []
    return Result("differs", "\n".join([first, *shown, *more]))


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
        for account, tests in list(accounts.items())[:_MOST_SHOWN]:
            more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
            yield f"  {tests[0]}{more}: {plain(account, 200)}", "fail"
        if len(accounts) > _MOST_SHOWN:
            yield f"  and {len(accounts) - _MOST_SHOWN} more accounts", "fail"


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
