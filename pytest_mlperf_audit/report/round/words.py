"""What a round came to, in words: one set of them for the terminal, the page and the account of a failing case."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Final

from ...audits.published.case import CURVE, CaseOutcome, Upstream
from ...text import plain
from ...verdicts.round import RoundDocument
from ..clean import STATUS_WORDS, apart, first_sentence, number

_WIDTH: Final = 100
_MOST_LISTED: Final = 12
_MOST_OF_KIND: Final = 3
_LIMIT: Final = 300


def name(document: RoundDocument) -> str:
    """Return the name of the tree: where it lies on this machine is nobody's business whom the report is sent to."""
    return PurePath(document.tree).name or document.tree


def counts(document: RoundDocument) -> str:
    """Return '128 passed, 2 failed, 3 without a verdict, 4 skipped, 7 not selected', with only what there is."""
    unselected = document.found - len(document.cases)
    parts = [text for text in (counted(document.cases),) if text]
    return ", ".join(parts + ([f"{unselected:,} not selected"] if unselected else [])) or "nothing was judged"


def counted(cases: Sequence[CaseOutcome]) -> str:
    """Return '128 passed, 2 failed' of some cases."""
    return of_counts(Counter(case.status for case in cases))


def of_counts(statuses: Mapping[str, int]) -> str:
    """Return '128 passed, 2 failed' of cases counted by status."""
    words = {"PASS": "passed", "FAIL": "failed", "NO_VERDICT": "without a verdict", "SKIPPED": "skipped"}
    return ", ".join(f"{statuses[status]:,} {word}" for status, word in words.items() if statuses.get(status))


def summary(document: RoundDocument) -> str:
    """Return what was looked at and what came of it, as a paragraph."""
    told = " ".join(filter(None, (judged(document), not_judged(document), as_sentence(document.remark))))
    if not document.differences:
        return told
    return (
        f"{told} In {cases(document.differences)} MLCommons' own scripts, run today, say otherwise; the defect "
        "that explains it is named beside each."
    )


def judged(document: RoundDocument) -> str:
    """Return how much was looked at and what it came to, as a sentence."""
    submitters = {(case.division, case.submitter) for case in document.cases}
    systems = {(case.division, case.submitter, case.system) for case in document.cases}
    return (
        f"{len(document.cases):,} of {document.found:,} {_judged(document)} of {_counted(len(systems), 'system')} by "
        f"{_counted(len(submitters), 'submitter')}: {counts(document)}."
    )


def has_curves(document: RoundDocument) -> bool:
    """Whether there are rules on curves among the cases."""
    return any(case.scenario == CURVE for case in document.cases)


def _judged(document: RoundDocument) -> str:
    """Return what cases are: audit directories, or rules that a curve of MLPerf Endpoints has to keep."""
    curves = {case.directory for case in document.cases if case.scenario == CURVE}
    if not curves:
        return "audit directories"
    rules = f"rules on {_counted(len(curves), 'curve')}"
    return rules if all(case.scenario == CURVE for case in document.cases) else f"audit directories and {rules}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def not_judged(document: RoundDocument) -> str:
    """Return how many directories of tests were not judged, by name, as a sentence; "" where all were."""
    if not document.not_judged:
        return ""
    total = sum(document.not_judged.values())
    named = ", ".join(f"{count:,} {plain(name, 40)}" for name, count in document.not_judged.items())
    return f"{total:,} {'directory was' if total == 1 else 'directories were'} not judged: {named}."


def as_sentence(text: str) -> str:
    """Return a text as a sentence: its first letter large, a full stop behind it."""
    return f"{text[0].upper()}{plain(text[1:], _LIMIT)}." if text else ""


def ratio(case: CaseOutcome) -> str:
    """Return 'ratio 1.02, limit 1.10', or nothing."""
    value, limit = case.figures.get("ratio"), case.figures.get("limit_ratio")
    if not isinstance(value, (int, float)):
        return ""
    if not isinstance(limit, (int, float)):
        return f"ratio {number(value)}"
    value_text, limit_text = apart(value, limit)
    return f"ratio {value_text}, limit {limit_text}"


def upstream_line(word: Upstream) -> str:
    """Return 'upstream: PASS because …'."""
    verdict = "crashes" if word.verdict == "CRASH" else word.verdict
    return f"upstream: {verdict} because {plain(word.reason, _LIMIT).rstrip('.')} ({word.script})"


def account(case: CaseOutcome) -> str:
    """Return the account of a case that did not pass; its first line is fit for a CI annotation."""
    first = first_sentence(case.reason) or "failed"
    verdict = "no verdict: " if case.status == "NO_VERDICT" else ""
    lines = [f"{case.test} {verdict}{first}"]
    doubts = [f"{plain(check.name, 60)}: {plain(check.reason, 1000)}" for check in case.checks if not check.passed]
    for line in doubts or [plain(case.reason, 1000)]:
        lines += textwrap.wrap(line, _WIDTH, initial_indent="  ", subsequent_indent="    ")
    lines += [f"  {line}" for line in remarks(case)]
    return "\n".join([*lines, f"  files: {plain(case.directory, 4096)}"])


def differing(case: CaseOutcome) -> list[Upstream]:
    """Return the words of those of upstream's scripts that say otherwise."""
    scripts = {difference.script for difference in case.differences}
    return [word for word in case.upstream if word.script in scripts]


def remarks(case: CaseOutcome) -> Iterator[str]:
    """Yield what a report says beside the verdict: upstream's word where it differs, and the notes."""
    yield from map(upstream_line, differing(case))
    for difference in case.differences:
        yield f"known defect: {plain(difference.sentence, _LIMIT)}"
    for note in case.notes:
        yield f"note: {plain(note, _LIMIT)}"


def defects(document: RoundDocument) -> list[tuple[str, str, int]]:
    """Return script, sentence and number of cases of each defect that explains a difference, the commonest first."""
    found: Counter[tuple[str, str]] = Counter()
    for case in document.cases:
        found.update({(difference.script, difference.sentence) for difference in case.differences})
    return [(script, sentence, count) for (script, sentence), count in found.most_common()]


def terminal_lines(document: RoundDocument) -> Iterator[tuple[str, str]]:
    """Yield the lines of the terminal summary and their kinds: pass, fail, warn, plain."""
    kind = {"PASS": "pass", "FAIL": "fail", "NO_VERDICT": "fail", "INCOMPLETE": "warn"}.get(document.status, "plain")
    yield f"{STATUS_WORDS[document.status]}: {counts(document)}", kind
    yield from ((line, "fail") for line in _finding_lines(document))
    for told in filter(None, (not_judged(document), as_sentence(document.remark))):
        yield from ((line, "warn") for line in textwrap.wrap(told, _WIDTH))
    if document.differences:
        yield f"upstream's scripts say otherwise in {cases(document.differences)}:", "warn"
        for script, sentence, count in defects(document):
            wrapped = textwrap.wrap(f"{count:,} x {script}: {sentence}", _WIDTH - 4)
            yield from ((f"  {'  ' if index else ''}{line}", "warn") for index, line in enumerate(wrapped))


def _finding_lines(document: RoundDocument) -> Iterator[str]:
    """Yield what to act on, by kind, as far as a screen holds it."""
    shown = document.findings[:_MOST_LISTED]
    for finding in shown:
        status, ids = STATUS_WORDS[finding.status], [plain(case, _LIMIT) for case in finding.cases]
        sentence = first_sentence(finding.sentence)
        if len(ids) == 1:
            yield f"  {status} {ids[0]}: {sentence}"
            continue
        yield f"  {status} {len(ids):,} x {plain(finding.kind, 60)}: {sentence}"
        yield from (f"      {case}" for case in ids[:_MOST_OF_KIND])
        if len(ids) > _MOST_OF_KIND:
            yield f"      and {len(ids) - _MOST_OF_KIND:,} more"
    if more := len(document.findings) - len(shown):
        yield f"  and {more:,} more kinds; the report lists all"


def cases(count: int) -> str:
    """Return '1 case', '12 cases'."""
    return f"{count:,} case{'' if count == 1 else 's'}"
