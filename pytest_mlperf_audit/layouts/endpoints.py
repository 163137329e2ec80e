"""Files of an MLPerf endpoints submission that the submission checker reads.

    audit/audit_<name>.json         `test` and `passed`; extra keys are ignored, so the figures ride along
    audit/verify_<NAME>.txt         the marker, written last
    performance/result_summary.json

Sources: mlcommons/inference `tools/submission/submission_checker` (constants.py: ENDPOINTS_MAPPINGS,
ENDPOINTS_JSON_ALT_PATHS; parsers/endpoints_parser.py; checks/compliance_check.py). Nothing here is ever written for a
simulated run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..audits.verdict import Figure
from ..records.files import write_atomic
from ..records.log import read_columns
from ..records.store import QUERIES_FILE, read_phase
from ..runs.columns import QueryColumns
from ..stats.percentiles import percentile_estimate
from ..verdicts.document import AuditEntry, PhaseEntry, VerdictDocument

RESULT_SUMMARY = Path("performance") / "result_summary.json"

_PERCENTILES = (99.9, 99, 97, 95, 90, 80, 75, 50, 25, 10, 5, 1)
_EARLY_STOPPING = (99.9, 99, 95, 90, 50)
_NAME = re.compile(r"[a-z0-9_]+")

Numbers = NDArray[np.int64] | NDArray[np.float64]


def write_audit_files(audit: AuditEntry, report_dir: Path) -> list[Path]:
    """Write the audit's JSON and then its marker; return what was written, nothing unless it passed or failed.

    Raises ValueError for an audit of a simulated endpoint, RecordError and OSError.
    """
    files = audit_files(audit, report_dir)
    if not files:
        return []
    (result, content), (marker, mark) = ((report_dir / "audit" / name, content) for name, content in files.items())
    marker.unlink(missing_ok=True)  # an old marker must not stand beside a new result
    write_atomic(result, content)
    write_atomic(marker, mark)
    return [result, marker]


def audit_files(audit: AuditEntry, report_dir: Path) -> dict[str, bytes]:
    """Return the audit's JSON and its marker by name, nothing unless it passed or failed.

    Raises ValueError for an audit of a simulated endpoint, and RecordError for records that cannot be read.
    """
    if audit.mlperf_name is None or audit.status not in ("PASS", "FAIL"):
        return {}
    result, marker = file_names(audit.mlperf_name)
    if not served_for_real(audit.phases, report_dir):
        raise ValueError(f"audit {audit.id}: only phases run against a real endpoint give a submission file")
    return {
        result: _json(audit_result(audit)),
        marker: f"Performance check pass: {audit.status == 'PASS'}\n".encode(),
    }


def served_for_real(phases: Sequence[PhaseEntry], report_dir: Path) -> bool:
    """Whether there are phases, and the records of each say that a real endpoint served it. Raises RecordError."""
    records = [read_phase(report_dir / phase.directory) for phase in phases]
    return bool(records) and all(record is not None and not record.simulated for record in records)


def file_names(mlperf_name: str) -> tuple[str, str]:
    """Return the names of an audit's JSON and marker. Raises ValueError for a name that can be part of neither."""
    if not _NAME.fullmatch(mlperf_name):
        raise ValueError(f"mlperf_name {mlperf_name!r}: use lower-case letters, digits and _")
    return f"audit_{mlperf_name}.json", f"verify_{mlperf_name.upper()}.txt"


def audit_result(audit: AuditEntry) -> dict[str, Any]:
    """Return the content of audit_<name>.json; no figure can take the place of `test` or `passed`."""
    verdicts = [entry.check for entry in audit.checks if entry.check]
    told = [check for check in verdicts if not check.passed] or verdicts
    figures: dict[str, Figure] = dict(audit.figures)
    return figures | {
        "test": audit.mlperf_name,
        "passed": audit.status == "PASS",
        "reason": audit.reason or "; ".join(check.reason for check in told),
        "checks": [msgspec.to_builtins(check) for check in verdicts],
    }


def write_result_summary(phase: PhaseEntry, run: VerdictDocument, report_dir: Path) -> Path:
    """Write performance/result_summary.json from a phase's query records; return its path.

    Raises ValueError as `result_summary` does and for a simulated phase, RecordError when the records cannot be read,
    and OSError.
    """
    if not served_for_real([phase], report_dir):
        raise ValueError(f"phase {phase.label}: a simulated run gives no submission file")
    _require_result(phase, run)
    queries = read_columns(report_dir / phase.directory / QUERIES_FILE)
    path = report_dir / RESULT_SUMMARY
    write_atomic(path, _json(result_summary(phase, run, queries)))
    return path


def result_summary(phase: PhaseEntry, run: VerdictDocument, queries: QueryColumns) -> dict[str, Any]:
    """Return the summary of the main run: counts, throughput, and latencies in nanoseconds.

    It names the scenario, since the checker would take the YAML's `type` for it, be it "submission".
    Raises ValueError for a simulated run and for a phase that did not end as planned.
    """
    _require_result(phase, run)
    figures = phase.figures
    ok, issued_ns, completed_ns, tokens = queries.ok, queries.issued_ns, queries.completed_ns, queries.tokens
    streamed = ok & (queries.first_token_ns >= 0)
    decoded = streamed & (tokens > 1)
    after_first_ns = (completed_ns - queries.first_token_ns)[decoded] / (tokens[decoded] - 1)
    window_s = figures.window_s
    return {
        "version": f"pytest-mlperf-audit {__version__}",
        "test_started_at": _epoch_ns(phase.started_at),
        "test_datetime": phase.started_at,
        "state": "complete",
        "complete": True,
        "mode": "performance",
        "effective_scenario": phase.spec.load.scenario,
        "min_duration_ms": phase.spec.min_duration_ms,
        "max_duration_ms": phase.spec.max_duration_ms,
        "n_samples_issued": figures.n_issued,
        "n_samples_completed": figures.n_completed,
        "n_samples_failed": figures.n_failed,
        "failures": figures.failures,
        "duration_ns": None if window_s is None else round(window_s * 1e9),
        "qps": figures.qps,
        "tps": figures.output_tokens / window_s if window_s and figures.output_tokens is not None else None,
        "latency": _series((completed_ns - issued_ns)[ok], estimates=True),
        "ttft": _series((queries.first_token_ns - issued_ns)[streamed], estimates=True),
        "tpot": _series(after_first_ns, estimates=True),
        "output_sequence_lengths": _series(tokens[ok & (tokens >= 0)]),
    }


def _require_result(phase: PhaseEntry, run: VerdictDocument) -> None:
    if run.simulated:
        raise ValueError(f"phase {phase.label}: a simulated run gives no submission file")
    if not phase.complete:
        raise ValueError(f"phase {phase.label}: it is {phase.status}, and only a complete phase gives a result")


def _series(values: Numbers, *, estimates: bool = False) -> dict[str, Any]:
    """Summarize a series as the endpoints tool does; empty for none, `early_stopping_percentiles` for latencies."""
    if not values.size:
        return {}
    percentiles = [float(value) for value in np.percentile(values, _PERCENTILES)]
    summary: dict[str, Any] = {
        "total": float(values.sum()),
        "min": float(values.min()),
        "max": float(values.max()),
        "median": percentiles[_PERCENTILES.index(50)],
        "avg": float(values.mean()),
        "std_dev": float(values.std(ddof=1)) if values.size > 1 else 0.0,
        "percentiles": {f"{p:g}": value for p, value in zip(_PERCENTILES, percentiles, strict=True)},
    }
    if estimates:
        exact = values.astype(np.float64)
        summary["early_stopping_percentiles"] = {f"{p:g}": percentile_estimate(exact, p / 100) for p in _EARLY_STOPPING}
    return summary


def _epoch_ns(timestamp: str) -> int:
    """Return an ISO 8601 time as nanoseconds since 1970, 0 where it is not one."""
    try:
        return int(datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp() * 1000) * 1_000_000
    except ValueError:
        return 0


def _json(value: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
