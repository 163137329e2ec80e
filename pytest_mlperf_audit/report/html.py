"""report.html: one file, no script, nothing fetched, every text from outside escaped by its template."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from ..text import plain
from ..verdicts.document import VerdictDocument
from . import findings, tables, words
from .clean import number, seconds
from .pictures import pictures_of

_TEMPLATES = Path(__file__).with_name("templates")
_PHASES_PER_TABLE = 5


def render(document: VerdictDocument, report_dir: Path) -> str:
    """Return the page for a verdict whose query records lie in `report_dir`; deterministic.

    Records that cannot be read cost their phase its curves, and the page says so.
    """
    return filled(
        "report.html.j2",
        run=document,
        words=words,
        findings=findings,
        phase_rows=tables.phase_rows,
        per_table=_PHASES_PER_TABLE,
        pictures=[pictures_of(audit, report_dir, str(index)) for index, audit in enumerate(document.audits)],
    )


def filled(template: str, **values: Any) -> str:
    """Return a template filled in; deterministic. A name that the template uses and nobody gives is an error."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": plain, "number": number, "seconds": seconds}
    return environment
