"""The picture of a round's first screen: what was found where, by submitter or system, and by benchmark."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from ...audits.published.case import CaseOutcome, CaseStatus
from ...text import plain
from ...verdicts.round import STATUSES, RoundDocument
from .places import place
from .words import of_counts

#: From worst to best.
_WORST: Final[tuple[CaseStatus, ...]] = ("FAIL", "NO_VERDICT", "SKIPPED", "PASS")
SIGNS: Final[dict[CaseStatus, str]] = {"FAIL": "✗", "NO_VERDICT": "?", "SKIPPED": "–", "PASS": "✓"}  # noqa: RUF001
#: What a first screen holds, of a computer and of a phone.
_MOST_ROWS: Final = 12
_MOST_COLUMNS: Final = 10

_Counts = dict[CaseStatus, int]


class Square(msgspec.Struct, frozen=True):
    """What the audits of a row and a column came to: the worst of it, how many came to that, and all in words."""

    status: str
    sign: str
    count: int
    words: str


class Picture(msgspec.Struct, frozen=True):
    """The picture. `of` says what a row is; a column or a row of the others stands last where there are many."""

    of: str
    columns: list[str]
    rows: list[tuple[str, list[Square | None]]]
    legend: list[tuple[str, str, str]]


def picture_of(document: RoundDocument) -> Picture | None:
    """Return the picture; None where nothing was judged."""
    if not document.cases:
        return None
    several = len({place(case) for case in document.cases}) > 1
    row_of: Callable[[CaseOutcome], str] = place if several else _system
    across = _found_across(document)
    counted: dict[tuple[str, str], Counter[CaseStatus]] = defaultdict(Counter)
    for case in document.cases:
        counted[row_of(case), _benchmark(case)][across.get(case.id, case.status)] += 1
    rows = _ordered(counted, 0, _MOST_ROWS, "submitter" if several else "system")
    columns = _ordered(counted, 1, _MOST_COLUMNS, "benchmark")
    return Picture(
        of="Submitter" if several else "System",
        columns=[name for name, _ in columns],
        rows=[(name, [_square(counted, mine, of_column) for _, of_column in columns]) for name, mine in rows],
        legend=[(status, SIGNS[status], of_counts({status: 1})[2:]) for status in _WORST if document.counts[status]],
    )


def _system(case: CaseOutcome) -> str:
    return plain(case.system, 200)


def _benchmark(case: CaseOutcome) -> str:
    return plain(case.benchmark, 80)


def _found_across(document: RoundDocument) -> dict[str, CaseStatus]:
    """Return the cases that a finding across cases is of, with its status: a run that stands for several results."""
    return {case: finding.status for finding in document.findings if finding.logs for case in finding.cases}


def _ordered(
    counted: dict[tuple[str, str], Counter[CaseStatus]], axis: int, most: int, what: str
) -> list[tuple[str, set[str]]]:
    """Return the names of rows or columns, those with the worst findings first, the others of many in one."""
    of_name: dict[str, Counter[CaseStatus]] = defaultdict(Counter)
    for key, counts in counted.items():
        of_name[key[axis]].update(counts)
    names = sorted(of_name, key=lambda name: (*(-of_name[name][status] for status in _WORST[:2]), name.lower(), name))
    if len(names) <= most:
        return [(name, {name}) for name in names]
    others = names[most - 1 :]
    return [*((name, {name}) for name in names[: most - 1]), (f"{len(others):,} other {what}s", set(others))]


def _square(
    counted: dict[tuple[str, str], Counter[CaseStatus]], rows: Iterable[str], columns: Iterable[str]
) -> Square | None:
    counts: Counter[CaseStatus] = Counter()
    columns = list(columns)
    for row in rows:
        for column in columns:
            counts.update(counted.get((row, column), {}))
    if not counts:
        return None
    worst = next(status for status in _WORST if counts[status])
    return Square(
        worst, SIGNS[worst], counts[worst], of_counts({str(status): count for status, count in counts.items()})
    )


def _in_order(counts: Counter[CaseStatus], order: Sequence[CaseStatus] = STATUSES) -> _Counts:
    return {status: counts[status] for status in order if counts[status]}
