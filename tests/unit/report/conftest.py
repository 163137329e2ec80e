"""Runs with real records on disk, written by the records room as a phase would."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.probe import plan as probe_plan
from pytest_mlperf_audit.audits.probe.live import CacheProbe, CacheProbeBlock
from pytest_mlperf_audit.audits.probe.settings import ProbeSettings
from pytest_mlperf_audit.audits.test04.block import Test04Block
from pytest_mlperf_audit.audits.test04.live import Test04
from pytest_mlperf_audit.audits.verdict import Verdict
from pytest_mlperf_audit.records.log import QueryLog, read_queries
from pytest_mlperf_audit.records.store import read_phase, write_phase
from pytest_mlperf_audit.runs.order import single, without_replacement
from pytest_mlperf_audit.runs.phase import MeasuredPhase, PhaseRecord, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit, Script, Step
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput, RunSpec
from pytest_mlperf_audit.verdicts.document import (
    AuditEntry,
    CheckEntry,
    CheckStatus,
    PhaseEntry,
    VerdictDocument,
    audit_status,
    document,
)

MakePhase = Callable[..., PhaseEntry]
MakeRun = Callable[..., VerdictDocument]
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
) -> PhaseEntry:
    order = without_replacement(42) if row is None else single(row)
    spec = RunSpec(label=label, n_samples=n, order=order, load=Concurrency(target=LANES), max_duration_ms=14_400_000)
    queries = _queries(n, service_s, row, failed, seed=len(label))
    return _written(report_dir, spec, queries, directory, simulated=simulated, status=status, reason=reason)


def _written(
    report_dir: Path, spec: RunSpec, queries: Sequence[QueryRecord], directory: str | None = None, **changes: object
) -> PhaseEntry:
    place = directory or f"audit/{spec.label}"
    shutil.rmtree(report_dir / place, ignore_errors=True)
    with QueryLog(report_dir / place / "queries.jsonl") as log:
        for query in queries:
            log.append(query)
    fields: dict[str, object] = {
        "label": spec.label,
        "spec": spec,
        "status": "complete",
        "figures": figures(log.columns, spec.load),
        "stopped_by": "count",
        "started_at": "2026-11-23T11:00:00.250000Z",
        "duration_s": 1.0,
        "endpoint": "http://127.0.0.1:8000",
    }
    record = PhaseRecord(**(fields | changes))  # type: ignore[arg-type]
    write_phase(report_dir / place, record)
    return PhaseEntry.of(record, place)


class Server:
    """Answers the probe's queries in no time, with the latencies of a server: one lane, 20 ms, a cache if asked for.

    `null_s` is added to the null control's queries, so that no comparison can be trusted. `wide`: it has a lane for
    each of the queries that are sent at once.
    """

    def __init__(
        self,
        *,
        cached: bool = False,
        null_s: float = 0.0,
        fail: str = "",
        streamed: bool = False,
        wide: bool = False,
    ) -> None:
        self._cached, self._null_s, self._fail, self._streamed = cached, null_s, fail, streamed
        self._wide = wide
        self._rng = np.random.default_rng(1)
        self._known: set[str] = set()
        self._clock_ns = 0
        self.records: list[QueryRecord] = []

    def drive(self, script: Script) -> list[QueryRecord]:
        replies: list[QueryRecord] | None = None
        try:
            while True:
                upcoming = next(script) if replies is None else script.send(replies)
                issued_ns = self._clock_ns
                replies = [self._answer(step, issued_ns if upcoming.at_once else None) for step in upcoming.steps]
        except StopIteration:
            return self.records

    def _answer(self, step: Step, issued_ns: int | None) -> QueryRecord:
        request = hashlib.md5(msgspec.json.encode((step.row, step.edit, step.query))).hexdigest()
        service_s = self._rng.lognormal(np.log(0.02), 0.05) + self._null_s * step.tag.endswith("/T")
        took_s = service_s / 50 if self._cached and request in self._known else service_s
        self._known.add(request)
        begun_ns = self._clock_ns if issued_ns is None else issued_ns
        self._clock_ns = (begun_ns if self._wide else self._clock_ns) + int(took_s * 1e9)
        failed = self._fail and step.tag.endswith(self._fail)
        record = QueryRecord(
            query=len(self.records),
            sample=step.row,
            issued_ns=begun_ns,
            completed_ns=self._clock_ns,
            request=request,
            outcome="http_500" if failed else "completed",
            first_token_ns=begun_ns + int(took_s * 2e8) if self._streamed else None,
            tag=step.tag,
        )
        self.records.append(record)
        return record


class _Rows:
    twins = ""

    def image_row(self) -> int | None:
        return None

    def __len__(self) -> int:
        return 64

    def fingerprint(self, index: int, edit: Edit = NO_EDIT) -> str:
        return edit.apply(str(index))

    def n_words(self, index: int) -> int:  # noqa: ARG002 - as Samples has it
        return 12

    def where(self, index: int) -> str:
        return f"prompts.jsonl line {index + 1}"


def _measured(report_dir: Path, phase: PhaseEntry) -> MeasuredPhase:
    record = read_phase(report_dir / phase.directory)
    assert record is not None
    return MeasuredPhase.of(record, list(read_queries(report_dir / phase.directory / "queries.jsonl")))


def _probed(report_dir: Path, spec: RunSpec, server: Server, script: Script) -> PhaseEntry:
    return _written(report_dir, spec, server.drive(script), stopped_by="script")


def _cache_probe(report_dir: Path, *, settings: dict[str, object] | None = None, **server: object) -> AuditEntry:
    cfg = CacheProbeBlock.model_validate({"test": "cache_probe", **(settings or {})})
    audit, context = CacheProbe(), AuditContext(load=Concurrency(target=LANES), api_type="openai")
    (planned,) = audit.plan(cfg, _Rows(), context)
    spec = msgspec.structs.replace(planned, nonce_seed=7)
    phase = _probed(report_dir, spec, Server(**server), audit.script(cfg, spec, _Rows()))  # type: ignore[arg-type]
    verdict = audit.verify(cfg, {spec.label: _measured(report_dir, phase)})
    return _judged(verdict, (phase,), title=audit.title)


def _judged(verdict: Verdict, phases: tuple[PhaseEntry, ...], **fields: object) -> AuditEntry:
    checks = _entries(verdict)
    status = audit_status([check.status for check in checks if check.tested], no_verdict=False, measured=True)
    doubts = dict.fromkeys(check.reason for check in verdict.checks if check.passed is None and check.tested)
    known: dict[str, object] = {
        "id": verdict.audit,
        "status": status,
        "is_audit": True,
        "checks": checks,
        "phases": phases,
        "figures": dict(verdict.figures),
        "notes": verdict.notes,
        "findings": verdict.findings,
        "arms": verdict.arms,
        "ratios": verdict.ratios,
        "kinds": verdict.kinds,
        "reason": "; ".join(doubts) if status == "NO_VERDICT" else "",
        "mlperf_name": None,
        "settings": {},
    }
    return AuditEntry(**(known | fields))  # type: ignore[arg-type]


def _entries(verdict: Verdict) -> tuple[CheckEntry, ...]:
    statuses: dict[bool | None, CheckStatus] = {True: "passed", False: "failed", None: "error"}
    return tuple(
        CheckEntry.of(
            check.name,
            check,
            f"wan22.yaml::{verdict.audit}::{check.name}",
            statuses[check.passed] if check.tested else "not_run",
        )
        for check in verdict.checks
    )


def _test04(
    report_dir: Path,
    phases: list[PhaseEntry],
    rows: list[int],
    threshold: float,
    server: Server | None,
    confirmed: Server | None,
) -> AuditEntry:
    index = rows[0] if len(rows) == 1 else tuple(rows)
    block = Test04Block(
        test="test04",
        samples=phases[0].spec.n_samples,
        sample_index=index,
        threshold=threshold,
        probe=ProbeSettings() if server else False,
    )
    if server and block.probe:
        context = AuditContext(load=MaxThroughput(), api_type="videogen")
        probe = probe_plan.planned(block.probe, _Rows(), context, row=rows[0], warmed=True)
        specs = [probe_plan.trial_phase(probe, context), probe_plan.phase(probe, context)]
        first, last = (msgspec.structs.replace(spec, nonce_seed=7) for spec in specs)
        tried = _probed(report_dir, first, Server(), Test04().script(block, first, _Rows()))
        phases = [tried, *phases, _probed(report_dir, last, server, Test04().script(block, last, _Rows()))]
    runs = {phase.label: _measured(report_dir, phase) for phase in phases}
    for spec in Test04().plan(block, _Rows(), AuditContext(load=Concurrency(target=LANES), api_type="videogen")):
        if confirmed is not None and spec.conditional and Test04().wanted(block, spec, runs):
            planned = msgspec.structs.replace(spec, nonce_seed=7)
            phases = [*phases, _probed(report_dir, planned, confirmed, Test04().script(block, planned, _Rows()))]
            runs[spec.label] = _measured(report_dir, phases[-1])
    verdict = Test04().verify(block, runs)
    return _judged(
        verdict,
        tuple(phases),
        title="TEST04 output caching",
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
    server: Server | None = None,
    confirmed: Server | None = None,
    **changes: object,
) -> VerdictDocument:
    """Write a run of TEST04; blocks are answered by `confirmed`, by default a cache."""
    rows, confirmed = rows or [3], confirmed or Server(cached=True)
    labels = ["output_caching"] if len(rows) == 1 else [f"output_caching_{row}" for row in rows]
    phases = [_phase(report_dir, "reference", n=n, failed=failed, simulated=simulated)]
    for label, row in zip(labels, rows, strict=True):
        phases.append(_phase(report_dir, label, n=n, row=row, service_s=repeat_s, simulated=simulated))
    return _run_of(_test04(report_dir, phases, rows, threshold, server, confirmed), simulated=simulated, **changes)


def _run_of(audit: AuditEntry, **changes: object) -> VerdictDocument:
    fields: dict[str, object] = {
        "name": "wan22_offline",
        "config": "wan22.yaml",
        "simulated": False,
        "endpoint": "http://127.0.0.1:8000",
        "api_type": "videogen",
        "model": "wan-2.2-t2v-a14b",
        "started_at": "2026-11-23T11:00:00Z",
        "finished_at": "2026-11-23T11:00:02Z",
        "environment": {"python": "3.11.7", "platform": "Linux x86_64", "workers": 0, "uvloop": True},
        "audits": (audit,),
    }
    return document(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def make_phase(tmp_path: Path) -> MakePhase:
    """Return a function that writes the records of a phase under tmp_path and returns its outcome."""
    return lambda label, **asked: _phase(tmp_path, label, **asked)


@pytest.fixture
def make_probe(tmp_path: Path) -> MakeRun:
    """Return a function that writes the records of a cache_probe run under tmp_path and returns its outcome."""
    return lambda **asked: _run_of(_cache_probe(tmp_path, **asked))


@pytest.fixture
def make_probed(tmp_path: Path) -> MakeRun:
    """Return the same for a TEST04 run with its cache probe, of a server with the options given."""
    return lambda run=None, **asked: _run(tmp_path, server=Server(**asked), **(run or {}))


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes the records of a TEST04 run under tmp_path and returns its outcome."""
    return lambda **asked: _run(tmp_path, **asked)
