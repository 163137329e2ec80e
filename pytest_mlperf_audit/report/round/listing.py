"""What a round's page says of cases, equal sentences once: what to act on, skipped cases, notes, upstream's word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from ...audits.published.case import CaseOutcome
from ...text import plain
from ...verdicts.review import Finding
from ...verdicts.round import RoundDocument
from ..clean import STATUS_WORDS
from . import words
from .places import Place, places, test_name

#: So many kinds of findings, and so many groups of cases in each, stand on the page; the sheets have all.
MOST_FINDINGS: Final = 100
_MOST_GROUPS: Final = 60
#: So few cases are listed by their ids, which a command takes; more of them by their places.
_MOST_IDS: Final = 6
_PATH: Final = re.compile(r"\S*[0-9/]\S*")


class Group(msgspec.Struct, frozen=True):
    """Cases with equal `lines`: by `ids` with their ratios where they are few, by `places` otherwise."""

    lines: list[str]
    count: int
    ids: list[tuple[str, str]]
    places: list[Place]


class Block(msgspec.Struct, frozen=True):
    """Something said of cases: `lines` of all of them, more in each of the groups. `left_out` counts groups beyond."""

    status: str
    title: str
    sentence: str
    lines: list[str]
    groups: list[Group]
    left_out: int = 0


def to_act_on(document: RoundDocument) -> list[Block]:
    """Return what to act on, failures first, as far as a page holds it."""
    by_id = {case.id: case for case in document.cases}
    return [_finding(finding, [by_id[one] for one in finding.cases]) for finding in document.findings[:MOST_FINDINGS]]


def _finding(finding: Finding, cases: Sequence[CaseOutcome]) -> Block:
    # What was found across cases is no matter of what is said of each.
    remarks = [() if finding.logs else tuple(words.remarks(case)) for case in cases]
    common = [line for line in remarks[0] if all(line in of_case for of_case in remarks)]
    own = [
        (*(() if finding.whole else (plain(case.reason, 600),)), *(line for line in of_case if line not in common))
        for case, of_case in zip(cases, remarks, strict=True)
    ]
    groups = _grouped(zip(own, cases, strict=True))
    return Block(
        status=finding.status,
        title=f"{len(cases):,} × {test_name(finding.kind)}" if len(cases) > 1 else test_name(finding.kind),  # noqa: RUF001
        sentence=plain(finding.sentence, 600),
        lines=common,
        groups=groups[:_MOST_GROUPS],
        left_out=max(0, len(groups) - _MOST_GROUPS),
    )


def skipped(document: RoundDocument) -> list[Group]:
    """Return the skipped cases by why they were; figures and paths are left out of what is said of several."""
    mine = [case for case in document.cases if case.status == "SKIPPED"]
    return _grouped(((_PATH.sub("…", plain(case.reason, 300)),), case) for case in mine)[:_MOST_GROUPS]


def noted(document: RoundDocument) -> list[Group]:
    """Return the notes on cases that passed or were skipped; those of others stand beside what to act on."""
    mine = [case for case in document.cases if case.status in ("PASS", "SKIPPED")]
    return _grouped(((plain(note, 600),), case) for case in mine for note in case.notes)


def differing(document: RoundDocument) -> list[Group]:
    """Return the cases in which upstream's scripts say otherwise, by what they say."""

    def said(case: CaseOutcome) -> Iterator[str]:
        for word in words.differing(case):
            yield f"{STATUS_WORDS[case.status]} here; {words.upstream_line(word)}"

    return _grouped((tuple(said(case)), case) for case in document.cases if case.differences)


def shown(groups: list[Group]) -> list[Group]:
    """Return those of the groups that a page holds."""
    return groups[:_MOST_GROUPS]


def _grouped(said: Iterable[tuple[tuple[str, ...], CaseOutcome]]) -> list[Group]:
    """Return cases by what is said of them, the commonest first."""
    found: dict[tuple[str, ...], list[CaseOutcome]] = {}
    for lines, case in said:
        found.setdefault(lines, []).append(case)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return [_group(lines, cases) for lines, cases in ordered]


def _group(lines: tuple[str, ...], cases: list[CaseOutcome]) -> Group:
    few = len(cases) <= _MOST_IDS
    return Group(
        lines=list(lines),
        count=len(cases),
        ids=[(plain(case.id, 400), words.ratio(case)) for case in cases] if few else [],
        places=[] if few else places(cases, told=True),
    )
