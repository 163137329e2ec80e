"""report.html: one file, no script, nothing fetched, every text from outside escaped."""

from __future__ import annotations

from pathlib import Path

import jinja2

from . import findings, tables, words
from .clean import number, plain, seconds
from .document import VerdictDocument
from .pictures import pictures_of

TEMPLATES = Path(__file__).with_name("templates")
PHASES_PER_TABLE = 5


def render(document: VerdictDocument, report_dir: Path) -> str:
    """Return the page for a verdict whose query records lie in `report_dir`; deterministic.

    Records that cannot be read cost their phase its curves, and the page says so.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": plain, "number": number, "seconds": seconds}
    return environment.get_template("report.html.j2").render(
        run=document,
        words=words,
        findings=findings,
        phase_rows=tables.phase_rows,
        per_table=PHASES_PER_TABLE,
        pictures=[pictures_of(audit, report_dir, str(index)) for index, audit in enumerate(document.audits)],
    )
