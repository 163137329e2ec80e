"""What upstream says of TEST01's accuracy: `compliance/TEST01/verify_accuracy.py` and the submission checker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ...errors import RecordError
from ...loadgen.json_stream import JsonStream
from ...loadgen.verify_files import read_scores, read_verify_record
from ..models import accuracy_delta_percent, find_model
from ..published.case import AuditDirectory, Defect, Upstream, UpstreamVerdict
from ..published.pair_checks import is_same_file
from ..verdict import Check
from .rule import SampledOutputs

SCRIPT: Final = "TEST01/verify_accuracy.py"
_CHECKER: Final = "submission_checker (TEST01 accuracy)"

_FIRST_BYTE: Final = Defect(
    "first_byte_only", SCRIPT, "the script compares only the first byte of two outputs, with its default --dtype"
)
_MISSING: Final = Defect(
    "missing_samples_pass", SCRIPT, "the script counts samples that the accuracy run did not answer, and passes them"
)
_NO_SCORES: Final = Defect(
    "scores_not_looked_at",
    SCRIPT,
    "the script compares outputs only; that two scores may stand in for them is for the submission checker to see",
)
_REPEATED: Final = Defect(
    "repeated_samples",
    SCRIPT,
    "the script compares a sample that was issued again with its earlier output, not with the accuracy run's",
)
_SAME_LOG: Final = Defect(
    "one_log_twice", SCRIPT, "the same log for both runs passes; nothing looks whether these are two runs"
)
_FORM: Final = Defect(
    "form_not_checked",
    SCRIPT,
    "the script reads JSON arrays of complete entries and ends in a traceback on others, and never asks whether the "
    "logs are those that accuracy.txt notes",
)
_RECORD_BELIEVED: Final = Defect(
    "record_believed",
    _CHECKER,
    "the checker believes the words TEST PASS in verify_accuracy.txt and opens no log; the script that writes them "
    "compares only the first byte of two outputs",
)
_RECORD_NEEDED: Final = Defect(
    "record_needed", _CHECKER, "the checker takes a missing record or score for a failure, whatever the logs show"
)

CHECKS: Final = ("accuracy", "log_hash")

_TEST01_FILES: Final = {"mlperf_log_accuracy.json", "accuracy.txt", "baseline_accuracy.txt", "compliance_accuracy.txt"}
_OTHER_FILES: Final = {"mlperf_log_trace.json", "results.json", ".gitkeep"}
_EMPTY, _NO_HEX = -1, -2


def said(
    found: AuditDirectory, logs: tuple[Path, Path], compared: SampledOutputs | None, ours: Sequence[Check]
) -> tuple[list[Upstream], list[Defect]]:
    """Return the words of script and checker, and which of their defects show beside our checks.

    `logs` are the accuracy run's and the audit run's; `compared` is what they hold when both are whole. Of logs cut for
    publication the script says nothing: its word is the one recorded then. The checker leaves the open division alone.
    """
    upstream: list[Upstream] = []
    defects: list[Defect] = []
    if compared:
        script = script_said(*logs)
        upstream.append(script)
        defects += _script_defects(script.verdict, compared, ours)
        if script.verdict == "PASS" and is_same_file(*logs):
            defects.append(_SAME_LOG)
    if found.division.lower() != "open" and (checker := _checker_said(found)):
        upstream.append(checker)
        defects.append(_RECORD_BELIEVED if checker.verdict == "PASS" else _RECORD_NEEDED)
    return upstream, defects


def _script_defects(verdict: UpstreamVerdict, compared: SampledOutputs, ours: Sequence[Check]) -> Iterator[Defect]:
    accurate = any(check.name == "accuracy" and check.passed for check in ours)
    if verdict == "PASS" and compared.differing:
        yield _FIRST_BYTE
    if verdict == "PASS" and (compared.missing or compared.n_without):
        yield _MISSING
    if verdict == "FAIL" and accurate and compared.differing:
        yield _NO_SCORES
    elif verdict == "FAIL" and compared.unsteady:
        yield _REPEATED
    if verdict == "CRASH" or any(check.name == "log_hash" and not check.passed for check in ours):
        yield _FORM


def script_said(reference_log: Path, audit_log: Path) -> Upstream:
    """Return the script's word on two logs, read as bytes, its default."""
    known: dict[Any, int] = {}
    matched = differing = 0
    try:
        for sample in _samples(reference_log):
            known.setdefault(sample["qsl_idx"], _first_byte(sample["data"]))
        for sample in _samples(audit_log):
            index, first = sample["qsl_idx"], _first_byte(sample["data"])
            if first == _NO_HEX or known.get(index) == _NO_HEX:
                raise ValueError("no hexadecimal number")  # noqa: TRY301 (the script's traceback)
            if index in known:
                matched += 1
                differing += first != known[index]
            known[index] = first
    except (RecordError, KeyError, TypeError, ValueError):
        return _upstream(SCRIPT, "CRASH", "it ends in a traceback on what is no complete array of entries")
    verdict: UpstreamVerdict = "PASS" if matched and not differing else "FAIL"
    return _upstream(SCRIPT, verdict, f"{differing} of {matched} outputs differ in their first byte")


def _samples(log: Path) -> Iterator[Any]:
    values = JsonStream(log)
    for value in values:
        if not values.array:
            raise TypeError("the file is no array")
        yield value


def _first_byte(data: Any) -> int:
    """Return the first byte of an output, which is all that the script compares."""
    try:
        output = bytes.fromhex(data)
    except (TypeError, ValueError):
        return _NO_HEX
    return output[0] if output else _EMPTY


def _checker_said(found: AuditDirectory) -> Upstream | None:
    """Return the submission checker's word on the record, None where it does not know the model.

    The words TEST PASS on a line of their own, else scores of exactly the four files within the model's delta.
    """
    model = find_model(found.benchmark)
    if model is None:
        return None
    try:
        record = read_verify_record(found.path / "verify_accuracy.txt")
    except RecordError:
        return None
    if record is None:
        return _upstream(_CHECKER, "FAIL", "there is no verify_accuracy.txt")
    if "TEST PASS" in record.text.split("\n"):
        return _upstream(_CHECKER, "PASS", "verify_accuracy.txt says TEST PASS")
    accuracy = found.path / "accuracy"
    there = {path.name for path in accuracy.iterdir() if path.is_file()} if accuracy.is_dir() else set()
    if there - _OTHER_FILES != _TEST01_FILES:
        return _upstream(_CHECKER, "FAIL", "verify_accuracy.txt does not say TEST PASS, and scores were not published")
    baseline = read_scores(accuracy / "baseline_accuracy.txt", model.accuracy_types)
    compliance = read_scores(accuracy / "compliance_accuracy.txt", model.accuracy_types)
    for name in model.accuracy_types:
        before, after = baseline.get(name, 0), compliance.get(name, 0)
        if not before or not after:
            return _upstream(_CHECKER, "FAIL", f"a file of scores has no {name}")
        if abs(1 - before / after) * 100 > accuracy_delta_percent(found.benchmark, name):
            return _upstream(_CHECKER, "FAIL", f"the two scores {name} are too far apart")
    return _upstream(_CHECKER, "PASS", "the scores of both runs are within the model's delta")


def _upstream(script: str, verdict: UpstreamVerdict, reason: str) -> Upstream:
    return Upstream(script=script, verdict=verdict, reason=reason, checks=CHECKS)
