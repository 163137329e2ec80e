"""TEST01's accuracy where both logs are whole: every byte of every sampled output counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlperf_audit.audits.published.case import CaseOutcome, outcome
from pytest_mlperf_audit.audits.test01 import published_accuracy as test01_accuracy
from pytest_mlperf_audit.audits.test01 import upstream_accuracy as upstream_word
from tests.support.accuracy_logs import audit_directory, log_bytes, noted, upstream_test01

Samples = list[dict[str, Any]]
LOG = "accuracy/mlperf_log_accuracy.json"
SCRIPT = "TEST01/verify_accuracy.py"


def answered(indices: range, **changed: str) -> Samples:
    """Outputs of 20 bytes, or as given for `sample_<index>`."""
    return [
        {"seq_id": at, "qsl_idx": index, "data": changed.get(f"sample_{index}", bytes([index, *range(19)]).hex())}
        for at, index in enumerate(indices)
    ]


REFERENCE = answered(range(100))


def judged(tree: Path, audit: bytes, reference: bytes, **files: bytes) -> CaseOutcome:
    named = {name.replace("__", "/").replace("_txt", ".txt"): content for name, content in files.items()}
    all_files = {LOG: audit, f"results/{LOG}": reference, **named}
    found = audit_directory(tree, "TEST01", all_files, benchmark="bert-99.9", scenario="Offline")
    return outcome(found, test01_accuracy.accuracy(found))


def scripts(came: CaseOutcome) -> dict[str, str]:
    return {said.script: said.verdict for said in came.upstream}


#: name: (the audit's log, the accuracy run's, our verdict, the script's, the defect that explains a difference)
CASES: dict[str, tuple[Samples, Samples, str, str, str]] = {
    "equal": (answered(range(10, 30)), REFERENCE, "PASS", "PASS", ""),
    "upper-case": ([{**each, "data": each["data"].upper()} for each in REFERENCE], REFERENCE, "PASS", "PASS", ""),
    "a later byte differs": (
        answered(range(10, 30), sample_17=bytes([17, *range(18), 99]).hex()),
        REFERENCE,
        "FAIL",
        "PASS",
        "first_byte_only",
    ),
    "the first byte differs": (answered(range(10, 30), sample_17="ff" * 20), REFERENCE, "FAIL", "FAIL", ""),
    "an output is shorter": (answered(range(10, 30), sample_17="1100"), REFERENCE, "FAIL", "PASS", "first_byte_only"),
    "an output is empty": (answered(range(10, 30), sample_17=""), REFERENCE, "FAIL", "FAIL", ""),
    "some samples unanswered": (
        answered(range(90, 110)),
        REFERENCE,
        "NO_VERDICT",
        "PASS",
        "missing_samples_pass",
    ),
    "all samples unanswered": (answered(range(200, 210)), REFERENCE, "FAIL", "FAIL", ""),
    "nothing sampled": ([], REFERENCE, "FAIL", "FAIL", ""),
    "sampled twice, equal": (answered(range(5)) * 2, REFERENCE, "PASS", "PASS", ""),
    "sampled twice, once differing": (
        [*answered(range(5)), *answered(range(1, 2), sample_1="01")],
        REFERENCE,
        "FAIL",
        "PASS",
        "first_byte_only",
    ),
    "the accuracy run gave both": (
        answered(range(1, 2), sample_1="ff"),
        [*REFERENCE, *answered(range(1, 2), sample_1="ff")],
        "PASS",
        "FAIL",
        "repeated_samples",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_byte_counts(tmp_path: Path, upstream: Path, name: str) -> None:
    audit, reference, ours, scripts_word, defect = CASES[name]
    came = judged(tmp_path, log_bytes(audit), log_bytes(reference))
    assert came.status == ours, came.reason
    assert scripts(came)[SCRIPT] == scripts_word
    assert [each.defect for each in came.differences if each.script == SCRIPT] == ([defect] if defect else [])
    assert all(each.defect for each in came.differences)
    logs = tmp_path / "closed/ACME/results/system/bert-99.9/Offline" / LOG, tmp_path / came.directory / LOG
    assert upstream_test01(upstream, *logs) == scripts_word


def test_the_first_differing_sample_is_named(tmp_path: Path) -> None:
    came = judged(tmp_path, log_bytes(answered(range(10, 30), sample_17="11")), log_bytes(REFERENCE))
    assert "1 of 20 sampled outputs differ from the accuracy run's: sample 17" in came.reason


def test_a_sample_answered_differently_is_noted(tmp_path: Path) -> None:
    audit, reference, *_ = CASES["sampled twice, once differing"]
    came = judged(tmp_path, log_bytes(audit), log_bytes(reference))
    assert any("more than once, and differently: sample 1" in note for note in came.notes)


def test_two_scores_within_the_delta_stand_in(tmp_path: Path) -> None:
    audit = log_bytes(answered(range(10, 30), sample_17="ff"))
    score = b'{"exact_match": 26.6, "f1": 29.09}\n'
    files = {"accuracy__baseline_accuracy_txt": score, "accuracy__compliance_accuracy_txt": score}
    came = judged(tmp_path, audit, log_bytes(REFERENCE), **files)
    assert came.status == "PASS", came.reason
    assert [each.defect for each in came.differences if each.script == SCRIPT] == ["scores_not_looked_at"]
    far = {**files, "accuracy__compliance_accuracy_txt": score.replace(b"29.09", b"29.06")}
    assert judged(tmp_path, audit, log_bytes(REFERENCE), **far).status == "FAIL"


def test_a_whole_log_must_be_the_one_noted(tmp_path: Path) -> None:
    audit, reference = log_bytes(answered(range(10, 30))), log_bytes(REFERENCE)
    notes = {
        "accuracy__accuracy_txt": noted(audit).encode(),
        "results__accuracy__accuracy_txt": noted(reference).encode(),
    }
    came = judged(tmp_path, audit, reference, **notes)
    assert (came.status, [check.name for check in came.checks]) == ("PASS", ["accuracy", "log_hash"])
    for name in notes:
        came = judged(tmp_path, audit, reference, **{**notes, name: noted(b"other").encode()})
        assert came.status == "FAIL"
        assert "of another log" in came.reason


def test_no_accuracy_run_and_no_record_is_no_verdict(tmp_path: Path) -> None:
    found = audit_directory(tmp_path, "TEST01", {LOG: log_bytes(answered(range(5)))}, benchmark="bert-99")
    assert outcome(found, test01_accuracy.accuracy(found)).status == "NO_VERDICT"


@pytest.mark.parametrize("at", range(0, 7000, 500))
def test_a_log_cut_anywhere_never_passes(tmp_path: Path, at: int) -> None:
    audit, reference = log_bytes(REFERENCE), log_bytes(REFERENCE)
    assert len(audit) > 7000
    assert judged(tmp_path, audit[:at], reference).status == "NO_VERDICT"
    assert judged(tmp_path, audit, reference[:at]).status == "NO_VERDICT"


_ENTRIES: st.SearchStrategy[Samples] = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "qsl_idx": st.sampled_from([0, 1, 2, "0", None, []]),
            "data": st.sampled_from(["", "00", "0001", "01", "0G", None, 5]),
        },
    ),
    max_size=4,
)


@given(audit=_ENTRIES, reference=_ENTRIES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_upstreams_script_on_any_entries(tmp_path: Path, upstream: Path, audit: Samples, reference: Samples) -> None:
    logs = tmp_path / "reference.json", tmp_path / "audit.json"
    for path, entries in zip(logs, (reference, audit), strict=True):
        path.write_text(json.dumps(entries))
    assert upstream_word.script_said(*logs).verdict == upstream_test01(upstream, *logs)
    came = judged(tmp_path, json.dumps(audit).encode(), json.dumps(reference).encode())
    assert all(difference.defect for difference in came.differences), came
