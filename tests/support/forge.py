"""What somebody does who edits a finished run and wants to be believed: everything is computed anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pytest_mlperf_audit.audits.registry import shipped
from pytest_mlperf_audit.layouts.endpoints import audit_files
from pytest_mlperf_audit.records.artifacts import artifacts
from pytest_mlperf_audit.records.log import read_columns
from pytest_mlperf_audit.records.store import QUERIES_FILE, read_phase, write_phase
from pytest_mlperf_audit.runs.phase import figures
from pytest_mlperf_audit.session.finished import find
from pytest_mlperf_audit.session.recheck import Recheck
from pytest_mlperf_audit.verdicts.document import AuditEntry, PhaseEntry
from pytest_mlperf_audit.verdicts.files import NO_ARTIFACTS, write_verdict

Query = dict[str, Any]


def edit_queries(directory: Path, change: Callable[[list[Query]], list[Query] | None]) -> None:
    """Edit a phase's queries, and compute its figures anew."""
    log = directory / QUERIES_FILE
    queries = [json.loads(line) for line in log.read_text().splitlines()]
    queries = change(queries) or queries
    log.write_text("".join(json.dumps(query, separators=(",", ":")) + "\n" for query in queries))
    record = read_phase(directory)
    assert record is not None
    write_phase(directory, msgspec.structs.replace(record, figures=figures(read_columns(log), record.spec.load)))


def edit_phase(directory: Path, **changes: Any) -> None:
    """Edit fields of phase.json; those of its spec are given as `spec`."""
    path = directory / "phase.json"
    phase = json.loads(path.read_text())
    phase["spec"].update(changes.pop("spec", {}))
    path.write_text(json.dumps({**phase, **changes}))


def believed(run: Path) -> None:
    """Compute verdict, MLPerf's files, and digests anew."""
    stored = find(run).stored
    assert stored is not None
    write_verdict(msgspec.structs.replace(stored, audits=tuple(_as_on_disk(run, one) for one in stored.audits)), run)
    recheck = Recheck(find(run), shipped())
    entries = []
    for audit in recheck.stored.audits:
        now = recheck.recomputed(audit.id)
        entries.append(now.entry or audit)
        if now.entry and now.entry.is_audit:
            for name, content in audit_files(now.entry, run).items():
                (run / "audit" / name).write_bytes(content)
    found = dict(artifacts(run, NO_ARTIFACTS))
    write_verdict(msgspec.structs.replace(recheck.stored, audits=tuple(entries), artifacts=found), run)


def _as_on_disk(run: Path, audit: AuditEntry) -> AuditEntry:
    return msgspec.structs.replace(audit, phases=tuple(_phase(run, phase) for phase in audit.phases))


def _phase(run: Path, phase: PhaseEntry) -> PhaseEntry:
    record = read_phase(run / phase.directory)
    assert record is not None
    return PhaseEntry.of(record, phase.directory, judged=phase.judged)
