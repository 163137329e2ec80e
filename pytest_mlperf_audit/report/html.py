"""report.html: one file, no script, nothing fetched, every text from outside escaped by its template."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from ..text import plain
from ..verdicts.document import AuditEntry, VerdictDocument
from . import compared, findings, labels, tables, words
from .checking import checking_of
from .clean import number, seconds
from .deciding import Sorted, failing_first
from .lead import found
from .opening import COMMAND, MOST_AUDITS, anchor, in_order, opening_of
from .pictures import Drawing, Pictures, pictures_of

_TEMPLATES = Path(__file__).with_name("templates")
_PHASES_PER_TABLE = 5
_MOST_CHECKS = 200


def render(document: VerdictDocument, report_dir: Path) -> str:
    """Return the page for a verdict whose query records lie in `report_dir`; deterministic.

    Records that cannot be read cost their phase its curves, and the page says so.
    """
    pictures = [pictures_of(audit, report_dir, str(index)) for index, audit in enumerate(document.audits)]
    order = in_order(document)
    opening = opening_of(document, pictures)
    told = "" if len(order) > 1 else opening.lead
    shown = dict.fromkeys(order[:1], opening.picture)
    return filled(
        "report.html.j2",
        run=document,
        words=words,
        findings=findings,
        comparison=compared,
        labels=labels,
        phase_rows=tables.phase_rows,
        per_table=_PHASES_PER_TABLE,
        most_checks=_MOST_CHECKS,
        opening=opening,
        sections=[
            _section(document.audits[index], pictures[index], index, told, shown.get(index))
            for index in order[:MOST_AUDITS]
        ],
        several=len(order) > 1,
        checking=checking_of(document, report_dir),
        used=_used(document),
        shown_above=(COMMAND,),
    )


class _Used(msgspec.Struct, frozen=True):
    """Which words stand on the page, and so need a meaning."""

    early_stopping: bool
    interval: bool
    no_verdict: bool
    undecided: bool
    incomplete: bool


def _used(document: VerdictDocument) -> _Used:
    audits = document.audits
    statuses = {audit.status for audit in audits}
    return _Used(
        early_stopping=any(phase.figures.early_stopping_p90_s for audit in audits for phase in audit.phases),
        interval=any(audit.findings or any(ratio.low for ratio in audit.ratios) for audit in audits),
        no_verdict="NO_VERDICT" in statuses,
        undecided=any(check.undecided for audit in audits for check in audit.checks),
        incomplete="INCOMPLETE" in statuses,
    )


class _Section(msgspec.Struct, frozen=True):
    """An audit's part of the page; `open` where a reader should see it without a click."""

    audit: AuditEntry
    picture: Pictures
    anchor: str
    open: bool
    checks: Sorted
    found: list[str]


def _section(audit: AuditEntry, picture: Pictures, index: int, told: str, shown: Drawing | None) -> _Section:
    checks, sentences = failing_first(audit.checks), found(audit, told=told)
    drawings = [drawing for drawing in picture.drawings if shown is None or drawing.caption != shown.caption]
    picture = msgspec.structs.replace(picture, drawings=drawings)
    return _Section(audit, picture, anchor(index), audit.status != "PASS", checks, sentences)


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
