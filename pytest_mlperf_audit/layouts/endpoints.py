"""Files of an MLPerf endpoints submission that the submission checker reads.

    audit/audit_<name>.json         `test` and `passed`; extra keys are ignored, so the figures ride along
    audit/verify_<NAME>.txt         the marker, written last
    performance/result_summary.json
    accuracy/accuracy_results.json  a score for each accuracy data set

Sources: mlcommons/inference `tools/submission/submission_checker` (constants.py: ENDPOINTS_MAPPINGS,
ENDPOINTS_JSON_ALT_PATHS; parsers/endpoints_parser.py; checks/compliance_check.py, accuracy_check.py). Nothing here is
ever written for a simulated run. What is due is computed in one place, to be written and to compare a finished run's
files with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..audits.contract import MLPERF_NAME
from ..audits.verdict import Figure
from ..records.files import read_limited, write_atomic
from ..records.log import read_columns
from ..records.store import QUERIES_FILE, read_phase
from ..runs.columns import QueryColumns
from ..stats.percentiles import percentile_estimate
from ..verdicts.differences import Terms, differences
from ..verdicts.document import AuditEntry, PhaseEntry, VerdictDocument

_RESULT_SUMMARY = Path("performance") / "result_summary.json"
_ACCURACY_RESULTS = Path("accuracy") / "accuracy_results.json"

_PERCENTILES = (99.9, 99, 97, 95, 90, 80, 75, 50, 25, 10, 5, 1)
_EARLY_STOPPING = (99.9, 99, 95, 90, 50)

_Numbers = NDArray[np.int64] | NDArray[np.float64]


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
    result, marker = _file_names(audit.mlperf_name)
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


def _file_names(mlperf_name: str) -> tuple[str, str]:
    """Return the names of an audit's JSON and marker. Raises ValueError for a name that can be part of neither."""
    if not MLPERF_NAME.fullmatch(mlperf_name):
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
    path = report_dir / _RESULT_SUMMARY
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


def _series(values: _Numbers, *, estimates: bool = False) -> dict[str, Any]:
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


def _accuracy_results(accuracy: AuditEntry, report_dir: Path) -> dict[str, Any] | None:
    """Return the content for an accuracy run, None unless every data set of it was sent whole and scored.

    Raises RecordError when the records cannot be read.
    """
    phases = [phase for phase in accuracy.phases if phase.judged]
    scores = [accuracy.figures.get(f"score_{phase.label}") for phase in phases]
    whole = len(phases) == len(accuracy.planned) and all(phase.complete for phase in phases)
    if not whole or any(score is None for score in scores) or not served_for_real(phases, report_dir):
        return None
    return {
        "version": f"pytest-mlperf-audit {__version__}",
        "accuracy_scores": [
            {
                "dataset_name": phase.spec.dataset,
                "dataset_type": "accuracy",
                "score": score,
                "metric": phase.spec.scoring.method if phase.spec.scoring else "",
                "total_samples": phase.figures.n_issued,
                "response_counts": {
                    "issued": phase.figures.n_issued,
                    "completed": phase.figures.n_completed,
                    "failed": phase.figures.n_failed,
                },
                "complete": phase.figures.n_failed == 0,
            }
            for phase, score in zip(phases, scores, strict=True)
        ],
    }


def write_accuracy_results(accuracy: AuditEntry, report_dir: Path) -> Path | None:
    """Write the file where there is something to write; return its path. Raises OSError."""
    content = _accuracy_results(accuracy, report_dir)
    if content is None:
        return None
    path = report_dir / _ACCURACY_RESULTS
    write_atomic(path, _json(content))
    return path


def _json(value: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def file_differences(audit: AuditEntry, run: VerdictDocument, report_dir: Path, terms: Terms) -> list[str]:
    """Return what differs in the submission files of an audit, or of a run that is none, that lie in `report_dir`.

    A file that is not there is not named: the layout asked for may have been another, and a file that was taken away is
    missed by its digest. Raises RecordError when the records of the main run cannot be read.
    """
    if audit.is_audit:
        return list(_audit_differences(audit, report_dir, terms))
    accuracy = audit.kind == "accuracy"
    path = _ACCURACY_RESULTS if accuracy else _RESULT_SUMMARY
    if not (report_dir / path).is_file():
        return []
    due = _accuracy_results(audit, report_dir) if accuracy else _main_result(audit, run, report_dir)
    if due is None:
        kind = "complete, scored" if accuracy else "complete"
        return [f"{path.as_posix()}: is there, though only a {kind} run against a real endpoint gives one"]
    terms = Terms(terms.skip | {"version"}, known_only=terms.known_only)
    return list(_json_differences(path.as_posix(), report_dir, msgspec.json.encode(due), terms))


def _main_result(main: AuditEntry, run: VerdictDocument, report_dir: Path) -> dict[str, Any] | None:
    phase = main.phases[-1] if main.phases else None
    if phase is None or run.simulated or not phase.complete or not served_for_real([phase], report_dir):
        return None
    return result_summary(phase, run, read_columns(report_dir / phase.directory / QUERIES_FILE))


def _audit_differences(audit: AuditEntry, report_dir: Path, terms: Terms) -> Iterator[str]:
    if audit.mlperf_name is None:
        return
    there = [name for name in _file_names(audit.mlperf_name) if (report_dir / "audit" / name).is_file()]
    real = served_for_real(audit.phases, report_dir)
    due = audit_files(audit, report_dir) if real else {}
    for name in there:
        file = f"audit/{name}"
        if name not in due:
            kind = audit.status if real else "simulated"
            yield f"{file}: is there, though an audit that is {kind} gives no submission file"
        elif name.endswith(".json"):
            yield from _json_differences(file, report_dir, due[name], terms)
        elif read_limited(report_dir / file) != due[name]:
            yield f"{file}: does not say {due[name].decode().strip()!r}"
    if len(there) == 1:
        yield f"audit/{there[0]}: is there without its companion"


def _json_differences(file: str, report_dir: Path, due: bytes, terms: Terms) -> Iterator[str]:
    try:
        stored: Any = msgspec.json.decode(read_limited(report_dir / file))
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        yield f"{file}: is no JSON ({error})"
        return
    yield from (f"{file}: {difference}" for difference in differences(stored, msgspec.json.decode(due), terms))
