"""report.html: one file, no script, nothing fetched, every text from outside escaped."""

from __future__ import annotations

from pathlib import Path

from ..verdicts.document import VerdictDocument
from . import findings, page, tables, words
from .pictures import pictures_of

PHASES_PER_TABLE = 5


def render(document: VerdictDocument, report_dir: Path) -> str:
    """Return the page for a verdict whose query records lie in `report_dir`; deterministic.

    Records that cannot be read cost their phase its curves, and the page says so.
    """
    return page.render(
        "report.html.j2",
        run=document,
        words=words,
        findings=findings,
        phase_rows=tables.phase_rows,
        per_table=PHASES_PER_TABLE,
        pictures=[pictures_of(audit, report_dir, str(index)) for index, audit in enumerate(document.audits)],
    )
