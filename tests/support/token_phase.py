"""Phases of TEST06 and TEST09 made by hand: one query a row, with the tokens that a test says."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from pytest_mlperf_audit.audits.contract import Audit, AuditContext
from pytest_mlperf_audit.audits.verdict import Verdict
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.phase import MeasuredPhase, PhaseRecord, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec


class Rows:
    """A data set of so many distinct rows."""

    twins = ""

    def image_row(self) -> int | None:
        return None

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def fingerprint(self, index: int, edit: Edit = NO_EDIT) -> str:
        return edit.apply(str(index))

    def n_words(self, index: int) -> int:  # noqa: ARG002 - as Samples has it
        return 12

    def where(self, index: int) -> str:
        return f"prompts.jsonl line {index + 1}"


def hex_ids(ids: Sequence[int]) -> str:
    return struct.pack(f"<{len(ids)}i", *ids).hex()


def answered(at: int, ids: Sequence[int] | None, **fields: Any) -> QueryRecord:
    """A completed query of row `at`, streamed, whose usage is true."""
    told: dict[str, Any] = {}
    if ids is not None:
        told = {"output_ids": hex_ids(ids), "first_ids": hex_ids(ids[:1]), "tokens": len(ids)}
    times = {"issued_ns": at * 1000, "completed_ns": at * 1000 + 900}
    return QueryRecord(**{"query": at, "sample": at, **times, "request": f"{at:032x}", **told, **fields})


def failed(at: int, outcome: str = "http_500") -> QueryRecord:
    return answered(at, None, outcome=outcome)


def context(**keys: Any) -> AuditContext:
    return AuditContext(**{"load": Concurrency(target=4), "streaming": True, "model": "llama2-70b-99", **keys})


def planned(audit: Audit[Any], rows: int = 100, *, keys: dict[str, Any] | None = None, **asked: Any) -> RunSpec:
    """The one phase of an audit; `keys` go into the context."""
    cfg = audit.config.model_validate({"test": audit.id, **asked})
    [spec] = audit.plan(cfg, Rows(rows), context(**(keys or {})))
    return spec


def measured(spec: RunSpec, records: list[QueryRecord]) -> MeasuredPhase:
    record = PhaseRecord(
        label=spec.label,
        spec=spec,
        status="complete",
        figures=figures(QueryColumns(records), spec.load),
        stopped_by="count",
    )
    return MeasuredPhase.of(record, records)


def judged(audit: Audit[Any], spec: RunSpec, records: list[QueryRecord], **asked: Any) -> Verdict:
    """What an audit says of a phase; its checks must be those that it announced."""
    cfg = audit.config.model_validate({"test": audit.id, **asked})
    verdict = audit.verify(cfg, {spec.label: measured(spec, records)})
    assert [check.name for check in verdict.checks] == audit.checks(cfg, [spec])
    return verdict


def results(verdict: Verdict) -> dict[str, bool | None]:
    return {check.name: check.passed for check in verdict.checks}
