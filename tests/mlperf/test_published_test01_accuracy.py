"""TEST01's accuracy on published results, all of whose logs were cut for publication."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.audits.published.case import AuditDirectory, outcome
from pytest_mlperf_audit.audits.published.tree import find_audits
from pytest_mlperf_audit.audits.test01 import published_accuracy as test01_accuracy
from pytest_mlperf_audit.loadgen.accuracy_log import read_truncated

Case = tuple[AuditDirectory, dict[str, Any]]
_DIFFERS = "visible_response_differs_although_recorded_pass"


@pytest.fixture(scope="module")
def cases(published: Path, expected: list[dict[str, Any]]) -> list[Case]:
    by_path = {row["path"]: row for row in expected if row["test"] == "TEST01"}
    found = [audit for audit in find_audits(published) if audit.test == "test01"]
    assert len(found) == len(by_path) == 41
    return [(audit, by_path[audit.path.relative_to(published).as_posix()]) for audit in found]


def test_every_verdict_is_the_recorded_one_or_the_defect_is_named(cases: list[Case]) -> None:
    told = []
    for audit, row in cases:
        came = outcome(audit, test01_accuracy.accuracy(audit))
        differences = [difference.defect for difference in came.differences]
        told.append((came.status, row["recorded"]["accuracy"], *differences))
        assert came.recorded == f"accuracy {row['recorded']['accuracy']}", audit.case
        assert (came.status == "FAIL") == (_DIFFERS in row["quirks"]), came.reason
        assert ("F1 is" in came.reason) == ("nondeterministic_mode_files" in row["quirks"]), came.reason
    counts = {each: told.count(each) for each in told}
    assert counts == {("PASS", "PASS"): 30, ("PASS", "FAIL"): 8, ("FAIL", "PASS", "record_believed"): 3}


def test_what_is_visible_is_what_is_there(published: Path, cases: list[Case]) -> None:
    """The facts count distinct samples; the two ends of a log of a small data set may show one twice."""
    for _, row in cases:
        for key, side in (("reference_accuracy_log", "ref"), ("test_accuracy_log", "test")):
            if row["inputs"].get(key):
                found = read_truncated(published / row["inputs"][key])
                assert found is not None
                assert len({entry.qsl_idx for entry in found.visible}) == row["visible_overlap"][side]


def test_a_visible_output_that_differs_is_named(cases: list[Case]) -> None:
    differing = [audit for audit, row in cases if _DIFFERS in row["quirks"]]
    assert len(differing) == 3
    for audit in differing:
        came = outcome(audit, test01_accuracy.accuracy(audit))
        assert "sample 8825" in came.reason
        assert "first byte" in came.differences[0].sentence


@pytest.fixture
def copied(tmp_path: Path, published: Path, cases: list[Case]) -> AuditDirectory:
    """A deterministic case, to be altered."""
    audit = next(
        audit for audit, row in cases if audit.benchmark == "resnet50" and row["recorded"]["accuracy"] == "PASS"
    )
    for directory in (audit.path, audit.results):
        shutil.copytree(directory, tmp_path / directory.relative_to(published), dirs_exist_ok=True)
    return next(found for found in find_audits(tmp_path) if found.test == "test01")


def _status(found: AuditDirectory) -> tuple[str, str]:
    came = outcome(found, test01_accuracy.accuracy(found))
    assert all(difference.defect for difference in came.differences)
    return came.status, came.reason


def test_without_a_hash_the_record_is_not_enough(copied: AuditDirectory) -> None:
    assert _status(copied)[0] == "PASS"
    (copied.path / "accuracy/accuracy.txt").write_text("hash=abc\n")
    status, reason = _status(copied)
    assert status == "NO_VERDICT"
    assert "sha256" in reason


@pytest.mark.parametrize("text", ["", "Verifying accuracy. This might take a while...\n", "TEST PASS\n"])
def test_an_incomplete_record_is_no_verdict(copied: AuditDirectory, text: str) -> None:
    (copied.path / "verify_accuracy.txt").write_text(text)
    assert _status(copied)[0] == "NO_VERDICT"


def test_no_record_is_no_verdict(copied: AuditDirectory) -> None:
    (copied.path / "verify_accuracy.txt").unlink()
    assert _status(copied)[0] == "NO_VERDICT"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("num_perf_log_data_mismatch = 0", "num_perf_log_data_mismatch = 1"),
        ("TEST PASS", "TEST FAIL"),
        ("num_perf_log_qsl_idx_match = ", "num_perf_log_qsl_idx_match = 0\nwas = "),
    ],
)
def test_a_record_of_differing_or_no_outputs_fails(copied: AuditDirectory, before: str, after: str) -> None:
    record = copied.path / "verify_accuracy.txt"
    text = record.read_text()
    assert before in text
    record.write_text(text.replace(before, after))
    assert _status(copied)[0] == "FAIL"


def test_a_record_stands_where_the_accuracy_run_was_not_published(copied: AuditDirectory) -> None:
    shutil.rmtree(copied.results)
    assert _status(copied)[0] == "PASS"


def test_a_damaged_log_is_no_verdict(copied: AuditDirectory) -> None:
    log = copied.path / "accuracy/mlperf_log_accuracy.json"
    log.write_bytes(log.read_bytes()[:3000])
    assert _status(copied)[0] == "NO_VERDICT"


def test_an_output_altered_in_the_visible_part_fails(copied: AuditDirectory) -> None:
    audit = read_truncated(copied.path / "accuracy/mlperf_log_accuracy.json")
    log = copied.results / "accuracy/mlperf_log_accuracy.json"
    reference = read_truncated(log)
    assert audit is not None
    assert reference is not None
    both = {entry.qsl_idx for entry in audit.visible} & {entry.qsl_idx for entry in reference.visible}
    entry = next(entry for entry in reference.visible if entry.qsl_idx in both)
    assert entry.data
    whole = json.dumps(entry.data.hex().upper())
    line = next(line for line in log.read_text().splitlines() if f'"qsl_idx" : {entry.qsl_idx},' in line)
    log.write_text(log.read_text().replace(line, line.replace(whole, whole.replace('"', '"FF', 1))))
    status, reason = _status(copied)
    assert status == "FAIL"
    assert str(entry.qsl_idx) in reason


@pytest.mark.parametrize(
    ("baseline", "compliance", "status"),
    [
        ("27.000", "27.026", "PASS"),
        ("27.000", "27.028", "FAIL"),
        ("27.000", "26.900", "FAIL"),
        ("27.000", "0", "NO_VERDICT"),
        ("27.000", "none", "NO_VERDICT"),
    ],
)
def test_two_scores_must_be_within_the_delta(
    tmp_path: Path, published: Path, cases: list[Case], baseline: str, compliance: str, status: str
) -> None:
    audit = next(
        audit for audit, row in cases if "nondeterministic_mode_files" in row["quirks"] and "99.9" in row["path"]
    )
    shutil.copytree(audit.path, tmp_path / audit.path.relative_to(published))
    found = next(found for found in find_audits(tmp_path) if found.test == "test01")
    for name, score in (("baseline", baseline), ("compliance", compliance)):
        text = f'{{"exact_match": 26.6, "f1": {score}}}\nReading examples...\n'
        (found.path / f"accuracy/{name}_accuracy.txt").write_text(text)
    assert _status(found)[0] == status
