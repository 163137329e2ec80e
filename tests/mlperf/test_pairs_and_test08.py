"""TEST04-A with TEST04-B, as it was until v2.0, and TEST08, of which submitters publish a record."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlperf_audit.audits.published.case import CaseOutcome, outcome, verify
from pytest_mlperf_audit.audits.published.tree import find_audits
from pytest_mlperf_audit.audits.test08 import published as test08
from tests.support.accuracy_logs import audit_directory
from tests.support.judged import SUMMARY
from tests.support.submission import summary

CASE = "closed/Ours/sys/resnet50"


def judged_pair(tree: Path, scenario: str, unique: str, same: str) -> CaseOutcome:
    directory = tree / "closed/Ours/compliance/sys/resnet50" / scenario
    for name, text in (("TEST04-A", unique), ("TEST04-B", same)):
        path = directory / name / SUMMARY
        path.parent.mkdir(parents=True)
        path.write_text(text)
    score = "TEST04-A score = 100\nTEST04-B score = 103\nTEST PASS\n"
    (directory / "TEST04-A/verify_performance.txt").write_text(score)
    (audit,) = find_audits(tree)
    return verify(audit)


@pytest.mark.parametrize(("ratio", "status"), [(1.03, "PASS"), (1.3, "FAIL")])
@pytest.mark.parametrize("result", ["VALID", "INVALID"])
def test_a_pair_is_one_audit_of_output_caching(tmp_path: Path, ratio: float, status: str, result: str) -> None:
    came = judged_pair(
        tmp_path, "Offline", summary(result=result), summary(score=100 * ratio, same=True, result=result)
    )
    assert (came.id, came.status) == (f"{CASE}/Offline::test04", status), came.reason
    assert (came.recorded, came.upstream) == ("PASS", ())
    assert came.figures["ratio"] == pytest.approx(ratio)
    assert came.directory.endswith("Offline/TEST04-B")


def test_a_pair_without_a_repeated_sample_fails(tmp_path: Path) -> None:
    came = judged_pair(tmp_path, "Offline", summary(), summary(score=103))
    assert (came.status, "never repeated one sample" in came.reason) == ("FAIL", True)


def test_server_is_scored_by_its_schedule_as_it_was_then(tmp_path: Path) -> None:
    line = "Scheduled samples per second : {}\n"
    texts = [line.format(n) + summary("Server", score, same=n > 100) for n, score in ((100, 90), (103, 120))]
    came = judged_pair(tmp_path, "Server", *texts)
    assert came.status == "PASS"
    assert came.figures["ratio"] == pytest.approx(1.03)


@pytest.mark.parametrize(("ns", "status"), [(9_600_000, "PASS"), (5_000_000, "NO_VERDICT")])
def test_a_few_queries_are_compared_by_their_median_and_accuse_nobody(tmp_path: Path, ns: int, status: str) -> None:
    texts = [
        summary("MultiStream", score, same=same).replace(" * Early stopping 99th", " * no estimate, 99th")
        + f"50.00 percentile latency (ns)   : {median}\n"
        for score, median, same in ((100, 10_000_000, False), (200, ns, True))
    ]
    came = judged_pair(tmp_path, "MultiStream", *texts)
    assert came.status == status, came.reason
    assert came.figures["ratio"] == pytest.approx(10_000_000 / ns)


def test_half_a_pair_is_no_verdict_or_skipped(tmp_path: Path) -> None:
    directory = tmp_path / "closed/Ours/compliance/sys/resnet50/Offline/TEST04-A"
    (directory / SUMMARY).parent.mkdir(parents=True)
    (directory / SUMMARY).write_text(summary())
    (audit,) = find_audits(tmp_path)
    assert (verify(audit).status, audit.path.name) == ("NO_VERDICT", "TEST04-B")
    directory.rename(directory.with_name("TEST04-B"))
    (audit,) = find_audits(tmp_path)
    assert verify(audit).status == "SKIPPED"


def record(**changes: object) -> bytes:
    """What TEST08's script prints."""
    figures = {"acc_log_entries": 349823, "perf_log_entries": 4039, "matched": 4039, "unmatched": 0, "ne_mismatch": 0}
    lines = [f"num_{name} = {value}" for name, value in {**figures, **changes}.items() if name.islower()]
    return "\n".join([*lines, f"tolerance = {changes.get('TOLERANCE', '0.10%')}", "", "TEST PASS", ""]).encode()


def judged08(tree: Path, text: bytes | None) -> CaseOutcome:
    files = {} if text is None else {"verify_accuracy.txt": text}
    found = audit_directory(tree, "TEST08", files, benchmark="dlrm-v3", scenario="Offline")
    return outcome(found, test08.verify(found))


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (record(), "PASS"),
        (record(ne_mismatch=1), "FAIL"),
        (record(unmatched=1), "FAIL"),
        (record(matched=0), "FAIL"),
        (record(matched=4000), "FAIL"),
        (record(TOLERANCE="5.00%"), "NO_VERDICT"),
        (record().replace(b"TEST PASS", b"TEST FAIL"), "FAIL"),
        (record() + b"TEST FAIL\n", "FAIL"),
        (b"TEST PASS\n", "NO_VERDICT"),
        (b"", "NO_VERDICT"),
        (None, "NO_VERDICT"),
    ],
)
def test_test08_is_judged_by_the_numbers_recorded(tmp_path: Path, text: bytes | None, status: str) -> None:
    came = judged08(tmp_path, text)
    assert came.status == status, came.reason
    assert all(each.defect for each in came.differences)
    assert text is None or any("rests on the submitter's record" in note for note in came.notes)


@pytest.mark.parametrize("cut", [b"\nTEST PASS", None], ids=["no conclusion", "few outputs"])
def test_a_record_that_is_cut_short_or_of_few_outputs_decides_nothing(tmp_path: Path, cut: bytes | None) -> None:
    text = record().replace(cut, b"") if cut else record(perf_log_entries=12, matched=12)
    came = judged08(tmp_path, text)
    assert came.status == "NO_VERDICT", came.reason
    assert ("it was cut short" if cut else "so few tell little") in came.reason
