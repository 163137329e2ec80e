"""What each test of a recheck says: how stored and recomputed compare, and a plain account of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from ..audits.verdict import Figure
from ..errors import RecordError
from ..report.text import failure_text
from ..text import plain
from ..verdicts.differences import differences
from ..verdicts.document import CheckEntry
from .finished import RECORDS
from .recheck import Recheck, Recomputed

_VERDICT = "verdict"
_ARTIFACTS = "artifacts"
AUDIT = "audit"

#: confirmed: as stored, and passed. failed: the check fails, as the stored verdict says or where it says nothing.
#: differs: stored and recomputed are not the same. undecided: there was no verdict, and there is none.
#: damaged: nothing can be recomputed. not_run: not run then, and without records.
State = Literal["confirmed", "failed", "differs", "undecided", "damaged", "not_run"]

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
    if check.passed is None:
        return "undecided", plain(f"{audit_id} {check.name}: no verdict: {check.reason}", _LONGEST)
    if check.check and not check.passed:
        return "failed", failure_text(audit_id, check.check, str(recheck.directory))
    if then.status == "error":
        return "undecided", (
            f"{audit_id} {check.name}: its test ended in an error then, though the records say that it passed"
        )
    return "confirmed", ""


def _damaged(what: str, why: str) -> Result:
    return Result("damaged", plain(f"{what}: cannot be rechecked: {why}", _LONGEST))


def _word(check: CheckEntry) -> str:
    return {True: "passed", False: "failed", None: "undecided"}[check.passed]


def _differs(what: str, found: Sequence[str]) -> Result:
    """Return the account of differences, each on a line of its own; confirmed without any."""
    if not found:
        return Result("confirmed")
    first = plain(f"{what}: {found[0]}", _LONGEST)
    shown = [f"  {plain(difference, _LONGEST)}" for difference in found[1:_MOST_SHOWN]]
    more = [f"  and {len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else []
    return Result("differs", "\n".join([first, *shown, *more]))
