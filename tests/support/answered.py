"""Phases of answers, made by hand: what verifiers of TEST01 and TEST07 judge."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_mlperf_audit.audits.verdict import Verdict
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.phase import MeasuredPhase, PhaseRecord, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import RunSpec, Score

S = 10**9


def queries(
    spec: RunSpec,
    rows: Iterable[int],
    answers: Mapping[int, str | None],
    *,
    expected: Mapping[int, str] | None = None,
    window_s: float = 10.0,
    failure: str = "http_500",
) -> list[QueryRecord]:
    """Queries back to back, as the engine records them: an answer of None is a query that failed by `failure`."""
    sent = list(rows)
    step = window_s * S / max(len(sent), 1)
    keep = spec.keep
    chosen = keep.chosen(spec.n_samples) if keep else frozenset()
    made = []
    for at, row in enumerate(sent):
        text = answers[row]
        record = QueryRecord(
            query=at,
            sample=row,
            issued_ns=round(at * step),
            completed_ns=round((at + 1) * step),
            request=f"{row:032x}",
            outcome=failure if text is None else "completed",
        )
        if text is not None:
            record.reply = hashlib.sha256(text.encode()).hexdigest()[:32]
        if keep and (chosen is None or at in chosen):
            record.output = text
            record.expected = (expected or {}).get(row)
            if keep.token_ids and text is not None:
                record.output_ids = "".join(ord(char).to_bytes(4, "little").hex() for char in text)
        made.append(record)
    return made


def measured(
    spec: RunSpec,
    rows: Sequence[int],
    answers: Mapping[int, str | None],
    *,
    score: Score | None = None,
    **keys: Any,
) -> MeasuredPhase:
    """A complete phase of such queries."""
    return phase(spec, queries(spec, rows, answers, **keys), score)


def phase(spec: RunSpec, records: list[QueryRecord], score: Score | None = None) -> MeasuredPhase:
    """A complete phase of these queries."""
    columns = QueryColumns(records)
    record = PhaseRecord(
        label=spec.label, spec=spec, status="complete", figures=figures(columns, spec.load), stopped_by="count"
    )
    return MeasuredPhase(record, columns, lambda: iter(records), score)


def outcomes(verdict: Verdict) -> dict[str, bool | None]:
    """What became of each check."""
    return {check.name: check.passed for check in verdict.checks}
