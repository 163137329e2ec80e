"""The first screen of a report: the verdict in a sentence, the picture that decides, what to do, who was measured."""

from __future__ import annotations

from datetime import datetime, timezone

import msgspec

from ..text import plain
from ..verdicts.document import AuditEntry, RunStatus, VerdictDocument
from . import advice, words
from .clean import STATUS_WORDS, number
from .deciding import picture_that_decides
from .labels import Named
from .lead import fact, lead
from .pictures import Drawing, Pictures

#: Audits on the page; verdict.json has all.
MOST_AUDITS = 40
_WORST: tuple[RunStatus, ...] = ("FAIL", "NO_VERDICT", "INCOMPLETE", "NOT_RUN", "PASS")
#: What `identity` and `environment` of a verdict have for the first screen, by the names that it shows.
_IDENTITY = {
    "submitter": "Submitter",
    "system": "System",
    "benchmark": "Benchmark",
    "ruleset": "Ruleset",
    "division": "Division",
}
COMMAND = "command"


class AuditRow(msgspec.Struct, frozen=True):
    """One of several audits in a line: its status, its name, its fact, and where its section is."""

    status: str
    word: str
    title: str
    fact: str
    anchor: str


class Opening(msgspec.Struct, frozen=True):
    """All that the first screen shows. `rows` are there where a run has several audits, `left_out` those beyond."""

    lead: str
    rows: list[AuditRow]
    left_out: int
    picture: Drawing | None
    of: str
    steps: list[advice.Step]
    facts: list[Named]
    command: str


def opening_of(document: VerdictDocument, pictures: list[Pictures]) -> Opening:
    """Return the first screen of a run; `pictures` are of its audits, in their order."""
    order = in_order(document)
    first = order[0] if order else None
    audit = document.audits[first] if first is not None else None
    several = len(document.audits) > 1
    drawn = None
    if audit is not None and first is not None:
        drawn = picture_that_decides(audit, pictures[first], f"{first} opening")
    return Opening(
        lead=lead(audit) if audit else "Nothing was run.",
        rows=[_row(document.audits[index], index) for index in order[:MOST_AUDITS]] if several else [],
        left_out=max(0, len(order) - MOST_AUDITS),
        picture=drawn,
        of=words.title(audit) if audit and several else "",
        steps=advice.steps(document, audit, anchor(first or 0)),
        facts=_facts(document),
        command=plain(str(document.environment.get(COMMAND) or ""), 600),
    )


def in_order(document: VerdictDocument) -> list[int]:
    """Return the places of the audits, those that failed first, then those in doubt; an audit before a plain run."""
    audits = document.audits
    return sorted(range(len(audits)), key=lambda i: (_WORST.index(audits[i].status), not audits[i].is_audit, i))


def anchor(index: int) -> str:
    """Return the id of an audit's section; the ids of its parts begin with it."""
    return f"audit-{index + 1}"


def _row(audit: AuditEntry, index: int) -> AuditRow:
    return AuditRow(audit.status, STATUS_WORDS[audit.status], words.title(audit), fact(audit), anchor(index))


def _facts(document: VerdictDocument) -> list[Named]:
    known = document.identity
    rows = [Named(name, plain(known[key], 120)) for key, name in _IDENTITY.items() if key in known]
    model = [Named("Model", plain(document.model, 120))] if document.model else []
    return [
        *rows,
        *model,
        Named("Endpoint", plain(f"{document.endpoint}, {document.api_type}", 200)),
        Named("Measured", _when(document)),
        Named("Tool", plain(f"{document.tool.name} {document.tool.version}", 80)),
        Named("Configuration", plain(document.config, 200)),
    ]


def _when(document: VerdictDocument) -> str:
    """Return when a run began and how long it took: '30 November 2026, 05:12:46 UTC, 2 s'."""
    try:
        begun, ended = (datetime.fromisoformat(at.replace("Z", "+00:00")) for at in _times(document))
    except ValueError:
        return plain(document.started_at, 40)
    begun_utc = begun.astimezone(timezone.utc) if begun.tzinfo else begun
    took_s = max(0, round((ended - begun).total_seconds())) if bool(ended.tzinfo) == bool(begun.tzinfo) else 0
    return f"{begun_utc.day} {begun_utc:%B %Y, %H:%M:%S} UTC, {_span(took_s)}"


def _times(document: VerdictDocument) -> tuple[str, str]:
    return document.started_at, document.finished_at


def _span(took_s: int) -> str:
    if took_s < 120:
        return f"{took_s} s"
    return f"{number(round(took_s / 60))} min" if took_s < 7200 else f"{took_s / 3600:.1f} h"
