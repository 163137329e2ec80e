"""Do the submission files of one of our runs say what its records say? See endpoints_layout for what they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..records.files import read_limited
from ..records.log import read_columns
from ..records.store import QUERIES_FILE
from ..verdicts.differences import Terms, differences
from ..verdicts.document import AuditEntry, VerdictDocument
from .accuracy_results import ACCURACY_RESULTS, accuracy_results
from .endpoints import RESULT_SUMMARY, audit_files, file_names, result_summary, served_for_real


def file_differences(audit: AuditEntry, run: VerdictDocument, report_dir: Path, terms: Terms) -> list[str]:
    """Return what differs in the submission files of an audit, or of the main run, that lie in `report_dir`.

    A file that is not there is not told: the layout asked for may have been another, and a file that was taken away is
    missed by its digest. Raises RecordError when the records of the main run cannot be read.
    """
    if audit.is_audit:
        return list(_of_audit(audit, report_dir, terms))
    if audit.id == "accuracy":
        return list(_of_accuracy_run(audit, report_dir, terms))
    return list(_of_main_run(audit, run, report_dir, terms))


def _of_audit(audit: AuditEntry, report_dir: Path, terms: Terms) -> Iterator[str]:
    if audit.mlperf_name is None:
        return
    there = [name for name in file_names(audit.mlperf_name) if (report_dir / "audit" / name).is_file()]
    real = served_for_real(audit.phases, report_dir)
    due = audit_files(audit, report_dir) if real else {}
    for name in there:
        shown = f"audit/{name}"
        if name not in due:
            kind = audit.status if real else "simulated"
            yield f"{shown}: is there, though an audit that is {kind} gives no submission file"
        elif name.endswith(".json"):
            yield from _of_json(shown, report_dir, due[name], terms)
        elif read_limited(report_dir / shown) != due[name]:
            yield f"{shown}: does not say {due[name].decode().strip()!r}"
    if len(there) == 1:
        yield f"audit/{there[0]}: is there without its companion"


def _of_main_run(main: AuditEntry, run: VerdictDocument, report_dir: Path, terms: Terms) -> Iterator[str]:
    shown = RESULT_SUMMARY.as_posix()
    if not (report_dir / RESULT_SUMMARY).is_file():
        return
    phase = main.phases[-1] if main.phases else None
    if phase is None or run.simulated or not phase.complete or not served_for_real([phase], report_dir):
        yield f"{shown}: is there, though only a complete run against a real endpoint gives one"
        return
    queries = read_columns(report_dir / phase.directory / QUERIES_FILE)
    due = msgspec.json.encode(result_summary(phase, run, queries))
    yield from _of_json(shown, report_dir, due, Terms(terms.skip | {"version"}, known_only=terms.known_only))


def _of_accuracy_run(accuracy: AuditEntry, report_dir: Path, terms: Terms) -> Iterator[str]:
    shown = ACCURACY_RESULTS.as_posix()
    if not (report_dir / ACCURACY_RESULTS).is_file():
        return
    due = accuracy_results(accuracy, report_dir)
    if due is None:
        yield f"{shown}: is there, though only a complete, scored run against a real endpoint gives one"
        return
    yield from _of_json(
        shown, report_dir, msgspec.json.encode(due), Terms(terms.skip | {"version"}, known_only=terms.known_only)
    )


def _of_json(shown: str, report_dir: Path, due: bytes, terms: Terms) -> Iterator[str]:
    try:
        stored: Any = msgspec.json.decode(read_limited(report_dir / shown))
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        yield f"{shown}: is no JSON ({error})"
        return
    yield from (f"{shown}: {difference}" for difference in differences(stored, msgspec.json.decode(due), terms))
