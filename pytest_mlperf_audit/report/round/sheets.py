"""A round as CSV, for spreadsheets: its cases, its findings, and the matrix of submitters and benchmarks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from ...verdicts.round import STATUSES, RoundDocument
from ..csv_text import cell


def sheets(document: RoundDocument) -> Iterator[tuple[str, str]]:
    """Yield the name and the content of each file."""
    yield "cases.csv", _csv(_cases(document))
    yield "findings.csv", _csv(_findings(document))
    yield "matrix.csv", _csv(_matrix(document))


def _cases(document: RoundDocument) -> Iterator[list[Any]]:
    places = ("division", "submitter", "system", "benchmark", "scenario", "test", "status")
    yield [*places, "ratio", "limit_ratio", "recorded", "upstream", "reason", "directory"]
    for case in document.cases:
        yield [
            *(getattr(case, name) for name in places),
            case.figures.get("ratio"),
            case.figures.get("limit_ratio"),
            case.recorded,
            "; ".join(f"{said.script}: {said.verdict}" for said in case.upstream),
            case.reason,
            case.directory,
        ]


def _findings(document: RoundDocument) -> Iterator[list[Any]]:
    yield ["number", "status", "kind", "sentence", "case"]
    for number, finding in enumerate(document.findings, start=1):
        for case in finding.cases:
            yield [number, finding.status, finding.kind, finding.sentence, case]


def _matrix(document: RoundDocument) -> Iterator[list[Any]]:
    yield ["division", "submitter", "benchmark", *STATUSES]
    for field in document.matrix:
        counts = (field.counts.get(status, 0) for status in STATUSES)
        yield [field.division, field.submitter, field.benchmark, *counts]


def _csv(rows: Iterable[list[Any]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([cell(value) for value in row] for row in rows)
    return written.getvalue()
