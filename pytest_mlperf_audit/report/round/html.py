"""report.html of a round: a table of systems, benchmarks and scenarios, made for thousands of rows; no script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

import msgspec
import numpy as np
import ziaplot
from markupsafe import Markup

from ...audits.published.case import CaseOutcome
from ...audits.shipped import ratio_limits
from ...verdicts.round import RoundDocument
from ..canvas import MUTED, SERIES, Scale, count_scale, graph, limit_line, to_svg
from ..html import filled
from . import words

_LOW, _HIGH, _STEP = 0.5, 1.5, 0.025
_BAD: Final = ("FAIL", "NO_VERDICT")


class _Row(msgspec.Struct, frozen=True):
    """A scenario of a system: its directories' names, and its case of each test, None where it has none."""

    system: str
    benchmark: str
    scenario: str
    cases: list[CaseOutcome | None]


class _Submitter(msgspec.Struct, frozen=True):
    """The scenarios of one submitter in one division, and how many of their cases came to what.

    `notes` are those on cases that passed or were skipped, each with its case's id; others stand beside the account.
    """

    division: str
    name: str
    rows: list[_Row]
    counts: str
    bad: bool
    notes: list[tuple[str, str]]


class _Listed(msgspec.Struct, frozen=True):
    """A case of a finding, and what is said of it alone."""

    id: str
    ratio: str
    lines: list[str]


class _Finding(msgspec.Struct, frozen=True):
    """What to act on: `lines` are said of all its cases, `cases` beside that each of its own."""

    status: str
    kind: str
    sentence: str
    lines: list[str]
    cases: list[_Listed]


class _Grid(msgspec.Struct, frozen=True):
    """The matrix: a row of each submitter, with what its audits of each benchmark came to, "" without any."""

    benchmarks: list[str]
    rows: list[tuple[str, list[tuple[str, str]]]]


class _Histogram(msgspec.Struct, frozen=True):
    """The ratios of one test: how many, and the chart."""

    test: str
    n: int
    description: str
    svg: Markup


def render(document: RoundDocument) -> str:
    """Return the page; deterministic."""
    tests = sorted({case.test for case in document.cases})
    return filled(
        "round.html.j2",
        run=document,
        words=words,
        tests=tests,
        findings=list(_findings(document)),
        grid=_grid(document),
        differing=[case for case in document.cases if case.differences],
        submitters=list(_submitters(document, tests)),
        histograms=list(_histograms(document)),
    )


def _findings(document: RoundDocument) -> Iterator[_Finding]:
    by_id = {case.id: case for case in document.cases}
    for finding in document.findings:
        mine = [by_id[case] for case in finding.cases]
        remarks = [list(words.remarks(case)) for case in mine]
        # What was found across cases is no matter of what is said of each.
        common = [] if finding.logs else [line for line in remarks[0] if all(line in of_case for of_case in remarks)]
        listed = []
        for case, of_case in zip(mine, remarks, strict=True):
            own = [] if finding.whole else [case.reason]
            own += [] if finding.logs else [line for line in of_case if line not in common]
            listed.append(_Listed(case.id, words.ratio(case), own))
        yield _Finding(finding.status, finding.kind, finding.sentence, common, listed)


def _grid(document: RoundDocument) -> _Grid:
    benchmarks = sorted({cell.benchmark for cell in document.matrix})
    rows: dict[str, dict[str, tuple[str, str]]] = {}
    for cell in document.matrix:
        worst = next(status for status in (*_BAD, "PASS", "SKIPPED") if cell.counts.get(status))
        row = rows.setdefault(f"{cell.division}/{cell.submitter}", {})
        row[cell.benchmark] = worst, words.of_counts(cell.counts)
    return _Grid(benchmarks, [(name, [row.get(one, ("", "")) for one in benchmarks]) for name, row in rows.items()])


def _submitters(document: RoundDocument, tests: list[str]) -> Iterator[_Submitter]:
    def place(case: CaseOutcome) -> tuple[str, str]:
        return case.division, case.submitter

    for (division, name), cases in groupby(sorted(document.cases, key=place), key=place):
        mine = list(cases)
        yield _Submitter(
            division=division,
            name=name,
            rows=list(_rows(mine, tests)),
            counts=words.counted(mine),
            bad=any(case.status in _BAD for case in mine),
            notes=[(case.id, note) for case in mine if case.status not in _BAD for note in case.notes],
        )


def _rows(cases: list[CaseOutcome], tests: list[str]) -> Iterator[_Row]:
    def scenario(case: CaseOutcome) -> tuple[str, str, str, str]:
        return case.system, case.benchmark, case.scenario, case.case

    for (system, benchmark, name, _), mine in groupby(sorted(cases, key=scenario), key=scenario):
        by_test = {case.test: case for case in mine}
        yield _Row(system, benchmark, name, [by_test.get(test) for test in tests])


def _histograms(document: RoundDocument) -> Iterator[_Histogram]:
    for test, limits in sorted(ratio_limits().items(), reverse=True):
        ratios = [
            float(ratio)
            for case in document.cases
            if case.test == test and isinstance(ratio := case.figures.get("ratio"), (int, float))
        ]
        if svg := _histogram_svg(ratios, limits, test):
            description = f"Histogram of {len(ratios)} ratios from {min(ratios):.3g} to {max(ratios):.3g}"
            yield _Histogram(test, len(ratios), description, Markup(svg))  # noqa: S704 - our own SVG of numbers


def _histogram_svg(ratios: Sequence[float], limits: Sequence[float], key: str) -> str | None:
    """Draw how many ratios fall where, those beyond the ends gathered in the last bars; None without any."""
    if not ratios:
        return None
    edges = np.arange(_LOW - _STEP, _HIGH + _STEP * 1.5, _STEP)
    middle = np.clip(np.asarray(ratios), edges[0] + _STEP / 2, edges[-1] - _STEP / 2)
    counts = [int(count) for count in np.histogram(middle, bins=edges)[0]]
    labels = ("≤ 0.5", "0.75", "1", "1.25", "≥ 1.5")
    x = Scale("audit score / reference score", float(edges[0]), float(edges[-1]), (0.5, 0.75, 1, 1.25, 1.5), labels)
    y = count_scale("audits", max(counts) * 1.05)
    with graph(x, y, 158) as drawn:
        drawn.add(ziaplot.Bars(list(edges[:-1]), counts, width=_STEP, align="left").color(SERIES[0]))
        for limit in limits:
            limit_line(drawn, limit, f"{limit:g}", (y.low, y.high))
        drawn.add(ziaplot.Segment((1, y.low), (1, y.high)).color(MUTED).strokewidth(0.8).stroke("dashed"))
        return to_svg(drawn, "ratios", key)
