"""audit_<name>.json of an endpoints submission, as the endpoints tool writes it, and what may be wrong with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.audits.published.case import CaseOutcome, verify
from pytest_mlperf_audit.audits.published.tree import find_audits
from tests.support.submission import Submission

OFFLINE = "closed/Us/sys/wan-2.2-t2v-a14b/Offline"
SINGLE_STREAM = "closed/Us/sys/wan-2.2-t2v-a14b/SingleStream"


@pytest.fixture
def judged(tmp_path: Path):
    """Write an audit file and judge it."""

    def judge(case: str = OFFLINE, text: str | None = None, **changes: Any) -> CaseOutcome:
        path = Submission(tmp_path, old=False).endpoints(case, **changes)
        if text is not None:
            path.write_text(text)
        (found,) = find_audits(tmp_path)
        return verify(found)

    return judge


def failed(outcome: CaseOutcome) -> list[str]:
    return [check.name for check in outcome.checks if check.passed is False]


def test_an_honest_file_passes(judged):
    outcome = judged()
    assert (outcome.status, outcome.recorded, outcome.test) == ("PASS", "PASS", "test04")
    assert outcome.figures["ratio"] == pytest.approx(1.01)
    assert [said.verdict for said in outcome.upstream] == ["PASS"]
    assert outcome.differences == ()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"audit_qps": 11.0}, ["throughput_ratio", "figures_agree"]),
        ({"audit_qps": 11.0, "passed": False}, ["passed", "throughput_ratio"]),
        ({"ref_completed": 57}, ["completion[reference]", "figures_agree"]),
        ({"audit_completed": 3}, ["completion[output_caching]", "figures_agree"]),
        ({"test": "output_caching"}, ["test", "figures_agree"]),
        ({"passed": False, "reason": "too fast"}, ["passed"]),
        ({"audit_qps": 13.0, "threshold": 0.5}, ["throughput_ratio", "figures_agree"]),
        ({"checks": [{"name": "no_cache", "passed": False}, 7]}, ["figures_agree"]),
        ({"checks": [{"name": "no_cache", "passed": None}]}, ["figures_agree"]),
    ],
    ids=str,
)
def test_what_fails(judged, changes, names):
    outcome = judged(**changes)
    assert (outcome.status, failed(outcome)) == ("FAIL", names)
    if changes.get("passed", True) and "test" not in changes:
        (difference,) = outcome.differences
        assert (difference.upstream, difference.defect) == ("PASS", "reads_two_fields")


@pytest.mark.parametrize(
    "changes",
    [
        {"passed": "false"},
        {"passed": None},
        {"ref_qps": None},
        {"audit_qps": "10.1"},
        {"ref_qps": 0.0},
        {"ref_requested": None},
        {"audit_requested": 0},
    ],
    ids=str,
)
def test_what_leaves_no_verdict(judged, changes):
    assert judged(**changes).status == "NO_VERDICT"


@pytest.mark.parametrize("text", ["", "{", "[]", '"passed"', '{"test": "output_caching_test"', "\x00", "{}"])
def test_what_cannot_be_read_leaves_no_verdict(judged, text):
    outcome = judged(text=text)
    assert outcome.status in {"NO_VERDICT", "FAIL"}
    assert outcome.reason


def test_single_stream_tolerates_twenty_percent(judged):
    assert judged(SINGLE_STREAM, audit_qps=11.9, threshold=0.2).status == "PASS"
    outcome = judged(SINGLE_STREAM, audit_qps=12.0, threshold=0.2)
    assert failed(outcome) == ["throughput_ratio", "figures_agree"]


def test_a_wider_threshold_than_the_rules_is_said(judged):
    (note,) = judged(threshold=0.3).notes
    assert "tolerated a speed-up of 30%" in note


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Performance check pass: True\n", "PASS"),
        ("Performance check pass: False\n", "FAIL"),
        ("", "NO_VERDICT"),
    ],
)
def test_the_marker_beside_it(tmp_path: Path, text: str, status: str):
    path = Submission(tmp_path, old=False).endpoints(OFFLINE)
    (path.parent / "verify_OUTPUT_CACHING_TEST.txt").write_text(text)
    (found,) = find_audits(tmp_path)
    assert verify(found).status == status


@pytest.mark.parametrize("place", ["", "performance"], ids=["beside", "as_the_endpoints_tool_has_it"])
@pytest.mark.parametrize(("failures", "status"), [(0, "PASS"), (6, "PASS"), (64, "FAIL")])
def test_failed_queries_count_where_the_phases_are_there(tmp_path: Path, failures: int, status: str, place: str):
    """The endpoints tool says "64/64 completed" of a server that answered every query with an error."""
    path = Submission(tmp_path, old=False).endpoints(OFFLINE)
    for phase in ("reference", "output_caching"):
        summary = {"n_samples_issued": 64, "n_samples_completed": 64, "n_samples_failed": failures}
        (path.parent / phase / place).mkdir(parents=True, exist_ok=True)
        (path.parent / phase / place / "result_summary.json").write_text(json.dumps(summary))
    (found,) = find_audits(tmp_path)
    assert verify(found).status == status


def test_a_word_without_figures_is_no_verdict(tmp_path: Path):
    Submission(tmp_path, old=False).endpoints(OFFLINE, name="consistency_output_test", passed=True)
    (found,) = find_audits(tmp_path)
    outcome = verify(found)
    assert (outcome.test, outcome.status) == ("test06", "NO_VERDICT")


def test_query_records_beside_it_are_pointed_out(tmp_path: Path):
    path = Submission(tmp_path, old=False).endpoints(OFFLINE)
    (path.parent.parent / "verdict.json").write_text("{}")
    (found,) = find_audits(tmp_path)
    assert any("--mlperf-recheck" in note for note in verify(found).notes)


@pytest.mark.parametrize("passed", [[1], {}, "true", 1, None])
def test_passed_that_is_neither_true_nor_false(judged, passed):
    outcome = judged(passed=passed)
    assert (outcome.status, outcome.recorded) == ("NO_VERDICT", "")


@pytest.mark.parametrize("changes", [{"ref_qps": 10**400}, {"ref_qps": "10"}, {"audit_requested": -5}], ids=str)
def test_figures_that_are_no_figures(judged, changes):
    assert judged(**changes).status == "NO_VERDICT"


def test_a_threshold_of_ones_own_excuses_no_lost_queries(judged):
    outcome = judged(threshold=0.99, ref_completed=1)
    assert failed(outcome) == ["completion[reference]", "figures_agree"]


@pytest.mark.parametrize(
    "name", ["audit_output_caching_test.json", "verify_OUTPUT_CACHING_TEST.txt", "reference/result_summary.json"]
)
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["pipe", "directory"])
def test_what_is_no_file_neither_hangs_nor_passes(tmp_path, name, make):
    path = Submission(tmp_path, old=False).endpoints(OFFLINE)
    (found,) = find_audits(tmp_path)
    odd = path.with_name("x").parent / name
    odd.parent.mkdir(exist_ok=True)
    odd.unlink(missing_ok=True)
    make(odd)
    outcome = verify(found)
    assert outcome.status == "NO_VERDICT"
    assert name in outcome.reason
