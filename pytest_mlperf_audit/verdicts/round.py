"""verdict.json of a round: every audit directory of a submission tree, as a versioned document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec

from ..audits.published.case import CaseOutcome, CaseStatus
from ..audits.published.tree import Survey
from ..audits.verdict import Figure
from ..records.files import write_atomic
from .document import DISTRIBUTION, THIS_TOOL, RunStatus, Tool, encoded
from .files import document_schema
from .review import Cell, Finding, findings, matrix

SCHEMA_VERSION: Final = 1
SCHEMA_FILE: Final = Path(__file__).with_name("round.schema.json")
STATUSES: Final[tuple[CaseStatus, ...]] = get_args(CaseStatus)


class RoundDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a submission tree came to. `found` counts its audit directories, `cases` are those that were judged.

    `counts` are cases by status; `differences` counts the cases where upstream's scripts say otherwise. `round` is the
    one that the tree is of, as `v6.0`, `v5.1, v6.0` where it holds several, "" where none is known; `remark` says why
    absent audits were not looked for, or where not.
    `not_judged` counts the directories of tests that no case was made of, by name. `findings` are what to act on: runs
    that stand for several results, failures and doubts by kind; `matrix` counts cases by submitter and benchmark.
    """

    schema_version: int
    kind: Literal["round"]
    tool: Tool
    status: RunStatus
    tree: str
    started_at: str
    finished_at: str
    environment: dict[str, Figure]
    found: int
    counts: dict[str, int]
    differences: int
    cases: tuple[CaseOutcome, ...]
    round: str = ""
    not_judged: dict[str, int] = {}
    remark: str = ""
    findings: tuple[Finding, ...] = ()
    matrix: tuple[Cell, ...] = ()


def describe(
    cases: Iterable[CaseOutcome],
    *,
    tree: str,
    found: int,
    started_at: str,
    finished_at: str,
    environment: dict[str, Figure],
    survey: Survey | None = None,
) -> RoundDocument:
    """Return the document of the cases that were judged, in the order of their ids."""
    ordered = tuple(sorted(cases, key=lambda case: case.id))
    found_out = findings(ordered)
    counts = Counter(case.status for case in ordered)
    raw = RoundDocument(
        schema_version=SCHEMA_VERSION,
        kind="round",
        tool=THIS_TOOL,
        status=round_status(ordered, found, found_out),
        tree=tree,
        started_at=started_at,
        finished_at=finished_at,
        environment=environment,
        found=found,
        round=survey.round if survey else "",
        not_judged=survey.not_judged if survey else {},
        remark=survey.remark if survey else "",
        findings=found_out,
        matrix=matrix(ordered),
        counts={status: counts[status] for status in STATUSES},
        differences=sum(bool(case.differences) for case in ordered),
        cases=ordered,
    )
    return msgspec.json.decode(encoded(raw), type=RoundDocument)


def round_status(cases: Sequence[CaseOutcome], found: int, found_out: Iterable[Finding] = ()) -> RunStatus:
    """Return the worst of the cases and of what was found across them; PASS only when every audit directory passed.

    INCOMPLETE: cases passed, and others were skipped or not selected. NOT_RUN: none was judged.
    """
    statuses = {case.status for case in cases} | {finding.status for finding in found_out}
    if "FAIL" in statuses:
        return "FAIL"
    if "NO_VERDICT" in statuses:
        return "NO_VERDICT"
    if "PASS" not in statuses:
        return "NOT_RUN"
    return "PASS" if statuses == {"PASS"} and len(cases) == found else "INCOMPLETE"


def write_round(document: RoundDocument, path: Path) -> None:
    """Write the document atomically. Raises OSError."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")


def round_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a round's verdict.json; `round.schema.json` beside this file is its copy."""
    return document_schema(RoundDocument, f"{DISTRIBUTION} round", SCHEMA_VERSION)
