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

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..audits.contract import MLPERF_NAME
from ..audits.verdict import Figure
from ..records.files import read_limited, write_atomic
from ..records.log import read_columns, read_queries
from ..records.store import QUERIES_FILE, read_phase, read_tokens
from ..verdicts.differences import Terms, differences
from ..verdicts.document import AuditEntry, PhaseEntry, VerdictDocument
from .accuracy_results import accuracy_results, count_empty
from .phase_config import phase_config
from .result_summary import RENAMED, report_text, result_summary

_RESULT_SUMMARY = Path("performance") / "result_summary.json"
_ACCURACY_RESULTS = Path("accuracy") / "accuracy_results.json"

_REPORT = "report.txt"


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
    result, marker = _file_names(audit)
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


def _file_names(audit: AuditEntry) -> tuple[str, str]:
    """Return the names of an audit's JSON and marker, of an entry with a name of its own in a folder of its own.

    The checker looks for one file of a test. Raises ValueError for a name that can be part of neither.
    """
    mlperf_name = audit.mlperf_name or ""
    if not MLPERF_NAME.fullmatch(mlperf_name):
        raise ValueError(f"mlperf_name {mlperf_name!r}: use lower-case letters, digits and _")
    folder = f"{audit.id}/" if audit.name else ""
    return f"{folder}audit_{mlperf_name}.json", f"{folder}verify_{mlperf_name.upper()}.txt"


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


def write_result_summary(
    phase: PhaseEntry, run: VerdictDocument, report_dir: Path, config: Mapping[str, Any], place: Path | None = None
) -> Path:
    """Write performance/result_summary.json and report.txt from a phase's query records; return the first's path.

    They go into `place`, by default the report directory. `config` is `result_summary.run_config`. Raises ValueError
    for a simulated run and for a phase that did not end as planned, RecordError when the records cannot be read, and
    OSError.
    """
    if run.simulated or not served_for_real([phase], report_dir):
        raise ValueError(f"phase {phase.label}: a simulated run gives no submission file")
    if not phase.complete:
        raise ValueError(f"phase {phase.label}: it is {phase.status}, and only a complete phase gives a result")
    summary = _summary(phase, report_dir, config)
    path = (place or report_dir) / _RESULT_SUMMARY
    write_atomic(path, _json(summary))
    write_atomic((place or report_dir) / _REPORT, report_text(summary).encode())
    return path


def _summary(phase: PhaseEntry, report_dir: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    place = report_dir / phase.directory
    log = place / QUERIES_FILE
    return result_summary(phase, read_columns(log), dict(config), read_queries(log), read_tokens(place))


def write_phase_files(
    audit: AuditEntry, run: VerdictDocument, report_dir: Path, config: Mapping[str, Any], yaml: str
) -> None:
    """Write what the endpoints tool leaves of each phase of an audit, in the phase's directory.

    `yaml` is the run's configuration. Phases whose queries a script chose have none of it, since their figures as
    a whole say nothing. Raises RecordError and OSError.
    """
    for phase in audit.timed:
        place = report_dir / phase.directory
        write_result_summary(phase, run, report_dir, config, place)
        write_atomic(place / "config.yaml", phase_config(yaml, phase.spec.n_samples).encode())


def _accuracy_results(accuracy: AuditEntry, report_dir: Path) -> dict[str, Any] | None:
    """Return the content of the file, None where none is due. Raises RecordError when the records cannot be read."""
    phases = [phase for phase in accuracy.phases if phase.judged]
    if accuracy_results(accuracy, {}) is None or not served_for_real(phases, report_dir):
        return None
    logs = {phase.label: report_dir / phase.directory / QUERIES_FILE for phase in phases}
    return accuracy_results(accuracy, {label: count_empty(read_queries(log)) for label, log in logs.items()})


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


def file_differences(
    audit: AuditEntry, run: VerdictDocument, report_dir: Path, terms: Terms, config: Mapping[str, Any]
) -> list[str]:
    """Return what differs in the submission files of an audit, or of a run that is none, that lie in `report_dir`.

    A file that is not there is not named: the layout asked for may have been another, and a file that was taken away is
    missed by its digest. `config` is `result_summary.run_config`. Raises RecordError when records cannot be read.
    """
    if audit.is_audit:
        return list(_audit_differences(audit, report_dir, terms))
    if audit.kind == "performance":
        last = audit.phases[-1] if audit.phases else None
        return list(_summary_differences(last, run, report_dir, Path(), terms, config))
    if not (report_dir / _ACCURACY_RESULTS).is_file():
        return []
    due = _accuracy_results(audit, report_dir)
    if due is None:
        return [_needless(_ACCURACY_RESULTS, "complete, scored")]
    return list(_json_differences(_ACCURACY_RESULTS.as_posix(), report_dir, msgspec.json.encode(due), _unsaid(terms)))


def phase_file_differences(
    audit: AuditEntry, run: VerdictDocument, report_dir: Path, terms: Terms, config: Mapping[str, Any]
) -> list[str]:
    """Return what differs in the summaries of an audit's phases that lie there; see file_differences."""
    phases = audit.timed if audit.is_audit else ()
    found = (_summary_differences(phase, run, report_dir, Path(phase.directory), terms, config) for phase in phases)
    return [difference for of_phase in found for difference in of_phase]


def _summary_differences(
    phase: PhaseEntry | None,
    run: VerdictDocument,
    report_dir: Path,
    place: Path,
    terms: Terms,
    config: Mapping[str, Any],
) -> Iterator[str]:
    path = place / _RESULT_SUMMARY
    if not (report_dir / path).is_file():
        return
    if phase is None or run.simulated or not phase.complete or not served_for_real([phase], report_dir):
        yield _needless(path, "complete")
        return
    due = msgspec.json.encode(_summary(phase, report_dir, config))
    yield from _json_differences(path.as_posix(), report_dir, due, _unsaid(terms))


def _needless(path: Path, kind: str) -> str:
    return f"{path.as_posix()}: is there, though only a {kind} run against a real endpoint gives one"


def _unsaid(terms: Terms) -> Terms:
    """Return terms on which the version that wrote a file does not count."""
    return Terms(terms.skip | {"version"}, known_only=terms.known_only)


def _audit_differences(audit: AuditEntry, report_dir: Path, terms: Terms) -> Iterator[str]:
    if audit.mlperf_name is None:
        return
    there = [name for name in _file_names(audit) if (report_dir / "audit" / name).is_file()]
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
    if file.endswith(_RESULT_SUMMARY.name) and isinstance(stored, dict) and "run_config" not in stored:
        terms = Terms(terms.skip | RENAMED, known_only=True)
    elif file.endswith(_ACCURACY_RESULTS.name) and isinstance(stored, dict) and "average_accuracy" not in stored:
        terms = Terms(terms.skip, known_only=True)
    yield from (f"{file}: {difference}" for difference in differences(stored, msgspec.json.decode(due), terms))
