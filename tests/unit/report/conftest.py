"""Runs with real records on disk, written by the records room as a phase would."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pytest_mlperf_audit.audits.test04 import Test04, Test04Block
from pytest_mlperf_audit.audits.verdict import Verdict
from pytest_mlperf_audit.records.log import QueryLog
from pytest_mlperf_audit.records.store import write_phase
from pytest_mlperf_audit.report.outcome import AuditOutcome, CheckOutcome, PhaseOutcome, RunOutcome
from pytest_mlperf_audit.runs.figures import figures
from pytest_mlperf_audit.runs.order import single, without_replacement
from pytest_mlperf_audit.runs.phase import PhaseRecord
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec

MakePhase = Callable[..., PhaseOutcome]
MakeRun = Callable[..., RunOutcome]
LANES = 8


def _queries(n: int, service_s: float, row: int | None, failed: int, seed: int) -> list[QueryRecord]:
    rng = np.random.default_rng(seed)
    lanes = [0] * LANES
    records = []
    for query in range(n):
        lane = query % LANES
        issued = lanes[lane]
        lanes[lane] = issued + int(rng.normal(service_s, service_s * 0.05) * 1e9)
        sample = query if row is None else row
        outcome = ("timeout", "http_500")[query % 2] if query < failed else "completed"
        records.append(
            QueryRecord(
                query=query,
                sample=sample,
                issued_ns=issued,
                completed_ns=lanes[lane],
                request=f"{sample:032x}",
                outcome=outcome,
                tokens=100 + query % 7,
                first_token_ns=issued + int(service_s * 2e8),
            )
        )
    return sorted(records, key=lambda record: record.completed_ns)


def _phase(
    report_dir: Path,
    label: str,
    *,
    n: int = 64,
    service_s: float = 0.05,
    row: int | None = None,
    failed: int = 0,
    directory: str | None = None,
    simulated: bool = False,
    status: str = "complete",
    reason: str | None = None,
) -> PhaseOutcome:
    place = directory or f"audit/{label}"
    shutil.rmtree(report_dir / place, ignore_errors=True)
    with QueryLog(report_dir / place / "queries.jsonl") as log:
        for query in _queries(n, service_s, row, failed, seed=len(label)):
            log.append(query)
    order = without_replacement(42) if row is None else single(row)
    spec = RunSpec(label=label, n_samples=n, order=order, load=Concurrency(target=LANES), max_duration_ms=14_400_000)
    record = PhaseRecord(
        label=label,
        spec=spec,
        status=status,  # type: ignore[arg-type]
        figures=figures(log.columns, spec.load),
        stopped_by="count",
        reason=reason,
        started_at="2026-11-23T11:00:00.250000Z",
        duration_s=1.0,
        endpoint="http://127.0.0.1:8000",
        simulated=simulated,
    )
    write_phase(report_dir / place, record)
    return PhaseOutcome(directory=place, record=record)


def _outcomes(verdict: Verdict) -> tuple[CheckOutcome, ...]:
    return tuple(
        CheckOutcome(
            name=check.name,
            node_id=f"wan22.yaml::test04::{check.name}",
            status="passed" if check.passed else "failed",
            check=check,
        )
        for check in verdict.checks
    )


def _test04(phases: list[PhaseOutcome], rows: list[int], threshold: float) -> AuditOutcome:
    index = rows[0] if len(rows) == 1 else tuple(rows)
    block = Test04Block(test="test04", samples=64, sample_index=index, threshold=threshold)
    verdict = Test04().verify(block, {phase.record.label: phase.record for phase in phases})
    return AuditOutcome(
        id="test04",
        title="TEST04 output caching",
        status="PASS" if verdict.passed else "FAIL",
        is_audit=True,
        checks=_outcomes(verdict),
        phases=tuple(phases),
        figures=dict(verdict.figures),
        notes=verdict.notes,
        mlperf_name="output_caching_test",
        settings={"samples": 64, "threshold": threshold},
    )


def _run(
    report_dir: Path,
    *,
    repeat_s: float = 0.05,
    rows: list[int] | None = None,
    failed: int = 0,
    simulated: bool = False,
    threshold: float = 0.10,
    n: int = 64,
    **changes: object,
) -> RunOutcome:
    rows = rows or [3]
    labels = ["output_caching"] if len(rows) == 1 else [f"output_caching_{row}" for row in rows]
    phases = [_phase(report_dir, "reference", n=n, failed=failed, simulated=simulated)]
    for label, row in zip(labels, rows, strict=True):
        phases.append(_phase(report_dir, label, n=n, row=row, service_s=repeat_s, simulated=simulated))
    audit = _test04(phases, rows, threshold)
    fields: dict[str, object] = {
        "name": "wan22_offline",
        "config": "wan22.yaml",
        "status": audit.status,
        "simulated": simulated,
        "endpoint": "http://127.0.0.1:8000",
        "api_type": "videogen",
        "model": "wan-2.2-t2v-a14b",
        "started_at": "2026-11-23T11:00:00Z",
        "finished_at": "2026-11-23T11:00:02Z",
        "environment": {"python": "3.11.7", "platform": "Linux x86_64", "workers": 0, "uvloop": True},
        "audits": (audit,),
    }
    return RunOutcome(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def make_phase(tmp_path: Path) -> MakePhase:
    """Return a function that writes the records of a phase under tmp_path and returns its outcome."""
    return lambda label, **asked: _phase(tmp_path, label, **asked)


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes the records of a TEST04 run under tmp_path and returns its outcome."""
    return lambda **asked: _run(tmp_path, **asked)
