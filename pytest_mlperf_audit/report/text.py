"""What the terminal shows: a few plain lines a run, and a short account of each failing check."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

from ..audits.verdict import Check
from ..text import plain
from ..verdicts.comparison import Comparison
from ..verdicts.document import AuditEntry, CheckEntry, VerdictDocument
from ..verdicts.files import REPORT_FILE
from .clean import apart, first_sentence, number
from .findings import kinds_line
from .ratios import beside_mlperf
from .words import SIMULATED, STATUS_WORDS, UNDECIDED, check_word, failing, headline, observed_against_limit

Kind = Literal["pass", "fail", "warn", "plain"]
Line = tuple[str, Kind]

WIDTH = 100
_MAX_FAILING = 12
_KINDS: Final[dict[str, Kind]] = {"PASS": "pass", "FAIL": "fail", "NO_VERDICT": "fail", "INCOMPLETE": "warn"}


def terminal_lines(
    run: VerdictDocument, report_dir: Path | None = None, *, told: bool = False
) -> list[tuple[str, str]]:
    """Return the lines of the terminal summary, each at most 100 columns but for a path, with its kind.

    One line an audit with its status and headline numbers, one with what became of each kind of cache, its failing
    checks, its reason where it has no verdict; then where the report lies, when `report_dir` is given. Failures that
    pytest has `told` in full further up are named, no more.
    """
    lines: list[Line] = []
    if run.simulated:
        lines += _wrapped(f"SIMULATED: {SIMULATED}", "warn")
    for audit in run.audits:
        lines += _audit(audit, run)
        lines += _named(audit) if told else _in_full(audit)
    if run.comparison:
        lines += _comparison(run.comparison, told=told)
    for warning in run.warnings:
        lines += _wrapped(f"warning: {plain(warning, 300)}", "warn")
    if report_dir is not None:
        lines.append((f"report: {plain(str(report_dir / REPORT_FILE), 4096)}", "plain"))
    return list(lines)


def failure_text(check: Check, evidence: str) -> str:
    """Return the account of a failing check, the fact first. The test's id stands beside it wherever it is shown.

    `evidence` says where the records lie. Example of a first line:
    `ratio 5.31 >= 1.10: 812.4 queries/s repeating one sample against 153.1 with distinct samples, ratio 5.31, …`
    """
    first, *rest = _sentences(check.reason)
    lines = [": ".join(filter(None, (fact(check), first))) or "failed", *(f"  {line}" for line in rest)]
    for word, value in (("observed", check.observed), ("limit", check.limit)):
        if value is not None:
            lines.append(f"  {word + ':':<9} {number(value)}")
    if evidence:
        lines.append(f"  {'records:':<9} {plain(evidence, 4096)}")
    return "\n".join(lines)


def fact(check: Check | CheckEntry) -> str:
    """Return what was seen against its limit, in a few words; "" where the check's reason begins with it.

    'ratio 16.73 >= 1.10', 'CACHE: response'
    """
    seen, limit = check.observed, check.limit
    if isinstance(seen, str):
        return "" if limit == f"not {seen}" else plain(seen, 60)
    if not (isinstance(seen, float) and isinstance(limit, float)):
        return ""
    what = "ratio" if check.name.partition("[")[0].endswith("_ratio") else plain(check.name, 60).replace("_", " ")
    left, right = apart(seen, limit)
    return f"{what} {left} {'<' if seen < limit else '>=' if what == 'ratio' else '>'} {right}"


def _sentences(reason: str) -> list[str]:
    """Split a reason into its first sentence and the rest, wrapped; a newline in it never starts a line of ours."""
    whole = plain(reason, 1000)
    first = first_sentence(reason)
    rest = whole.removeprefix(first).lstrip(".; ")
    return [
        plain(first, 400),
        *(textwrap.wrap(rest, WIDTH - 2, break_on_hyphens=False) if rest else []),
    ]


def _audit(audit: AuditEntry, run: VerdictDocument) -> Iterator[Line]:
    marked = " (SIMULATED)" if run.simulated else ""
    numbers = headline(audit)
    line = f"{STATUS_WORDS[audit.status]}{marked} {plain(audit.id, 40)}" + (f": {numbers}" if numbers else "")
    yield from _wrapped(line, _KINDS.get(audit.status, "plain"))
    if line := kinds_line(audit):
        yield from _wrapped(f"caches {line}", "plain", indent="  ")
    if beside := beside_mlperf(audit):
        yield from _wrapped(plain(beside, 300), "plain", indent="  ")
    if audit.reason:
        yield from _wrapped(plain(audit.reason, 600), "plain", indent="  ")


def _named(audit: AuditEntry) -> Iterator[Line]:
    """Yield a line for each word, with the checks that it is said of: 'FAIL throughput_ratio: see FAILURES above'."""
    words: dict[str, list[str]] = {}
    for check in failing(audit):
        words.setdefault(check_word(check), []).append(plain(check.name, 100))
    for word, names in words.items():
        place = "FAILURES" if word == "FAIL" else "ERRORS"
        yield from _wrapped(f"{word} {_listed(names)}: see {place} above", "fail", indent="  ")


def _in_full(audit: AuditEntry) -> Iterator[Line]:
    failed = [check for check in failing(audit) if not check.undecided]
    for check in failed[:_MAX_FAILING]:
        yield from _wrapped(_check(audit, check), "fail", indent="  ")
    if len(failed) > _MAX_FAILING:
        yield f"  and {len(failed) - _MAX_FAILING} more failing checks", "fail"
    for doubt in _undecided(audit):
        yield from _wrapped(doubt, "fail", indent="  ")


def _check(audit: AuditEntry, check: CheckEntry) -> str:
    numbers = observed_against_limit(audit, check)
    reason = plain(check.reason, 400)
    parts = [plain(check.name, 100), *([numbers] if numbers else []), *([reason] if reason else [])]
    return f"{check_word(check)} " + ": ".join(parts)


def _undecided(audit: AuditEntry) -> Iterator[str]:
    """Yield a line for each doubt, with all the checks that it leaves open; the audit's reason is not said again."""
    doubts: dict[str, list[str]] = {}
    for check in failing(audit):
        if check.undecided:
            doubts.setdefault(check.reason, []).append(plain(check.name, 100))
    for reason, names in doubts.items():
        yield f"{UNDECIDED} {_listed(names)}" + (
            f": {plain(reason, 400)}" if reason and reason not in audit.reason else ""
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_FAILING} more" if len(names) > _MAX_FAILING else ""
    return ", ".join(names[:_MAX_FAILING]) + more


def _comparison(compared: Comparison, *, told: bool) -> Iterator[Line]:
    """Yield a line on what a run is compared with, and one on each figure but those that pytest has told."""
    kind = _KINDS[compared.status]
    yield from _wrapped(
        f"{STATUS_WORDS[compared.status]} compare: {compared.phase}, against {plain(compared.against, 200)}", kind
    )
    for figure in compared.figures:
        if figure.passed or not told:
            yield from _wrapped(plain(figure.sentence, 600), "plain" if figure.passed else "fail", indent="  ")
    for note in compared.notes:
        yield from _wrapped(f"note: {plain(note, 300)}", "plain", indent="  ")


def _wrapped(text: str, kind: Kind, indent: str = "") -> list[Line]:
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,  # a path is copied as a whole
    )
    return [(line, kind) for line in lines]
