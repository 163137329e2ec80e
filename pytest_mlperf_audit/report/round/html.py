"""report.html of a round: a table of systems, benchmarks and scenarios, made for thousands of rows; no script."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

import msgspec
from markupsafe import Markup

from ...audits.published.outcome import CaseOutcome
from ...verdicts.round import RoundDocument
from .. import page
from . import words
from .chart import LIMITS, ratios_histogram

_BAD: Final = ("FAIL", "NO_VERDICT")


class Row(msgspec.Struct, frozen=True):
    """A scenario of a system: its directories' names, and its case of each test, None where it has none."""

    system: str
    benchmark: str
    scenario: str
    cases: list[CaseOutcome | None]


class Submitter(msgspec.Struct, frozen=True):
    """The scenarios of one submitter in one division, and how many of their cases came to what.

    `notes` are those on cases that passed or were skipped, each with its case's id; others stand beside the account.
    """

    division: str
    name: str
    rows: list[Row]
    counts: str
    bad: bool
    notes: list[tuple[str, str]]


class Histogram(msgspec.Struct, frozen=True):
    """The ratios of one test: how many, and the chart."""

    test: str
    n: int
    description: str
    svg: Markup


def render(document: RoundDocument) -> str:
    """Return the page; deterministic."""
    tests = sorted({case.test for case in document.cases})
    return page.render(
        "round.html.j2",
        run=document,
        words=words,
        tests=tests,
        bad=[case for case in document.cases if case.status in _BAD],
        differing=[case for case in document.cases if case.differences],
        submitters=list(_submitters(document, tests)),
        histograms=list(_histograms(document)),
    )


def _submitters(document: RoundDocument, tests: list[str]) -> Iterator[Submitter]:
    def place(case: CaseOutcome) -> tuple[str, str]:
        return case.division, case.submitter

    for (division, name), cases in groupby(sorted(document.cases, key=place), key=place):
        mine = list(cases)
        yield Submitter(
            division=division,
            name=name,
            rows=list(_rows(mine, tests)),
            counts=words.counted(mine),
            bad=any(case.status in _BAD for case in mine),
            notes=[(case.id, note) for case in mine if case.status not in _BAD for note in case.notes],
        )


def _rows(cases: list[CaseOutcome], tests: list[str]) -> Iterator[Row]:
    def scenario(case: CaseOutcome) -> tuple[str, str, str, str]:
        return case.system, case.benchmark, case.scenario, case.case

    for (system, benchmark, name, _), mine in groupby(sorted(cases, key=scenario), key=scenario):
        by_test = {case.test: case for case in mine}
        yield Row(system, benchmark, name, [by_test.get(test) for test in tests])


def _histograms(document: RoundDocument) -> Iterator[Histogram]:
    for test in LIMITS:
        ratios = [
            float(ratio)
            for case in document.cases
            if case.test == test and isinstance(ratio := case.figures.get("ratio"), (int, float))
        ]
        if svg := ratios_histogram(ratios, LIMITS[test], test):
            description = f"Histogram of {len(ratios)} ratios from {min(ratios):.3g} to {max(ratios):.3g}"
            yield Histogram(test, len(ratios), description, Markup(svg))  # noqa: S704 - our own SVG of numbers
