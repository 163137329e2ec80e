"""What lies around the summaries of a TEST04, or does not: files missing or unreadable, records, detail logs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_mlperf_audit.audits.test04.published import verify
from tests.support.judged import DETAIL, SUMMARY, detail, directory, judged, pair, write

SCENARIOS = ("Offline", "Server", "SingleStream", "MultiStream")
RELAXED = ("SingleStream", "MultiStream")


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["reference", "audit", "both"])
def which(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_missing_summaries(tmp_path: Path) -> None:
    found = directory(tmp_path)
    write(found, pair())
    (found.path / SUMMARY).unlink()
    ours = judged(verify, found)
    assert (ours.status, ours.upstream[0].verdict, ours.differences) == ("NO_VERDICT", "CRASH", ())
    assert "performance/run_1/mlperf_log_summary.txt" in ours.reason
    (found.results / SUMMARY).unlink()
    ours = judged(verify, found)
    assert (ours.status, ours.checks) == ("SKIPPED", ())
    assert "closed/Ours/results/system/resnet50/Offline/performance/run_1/mlperf_log_summary.txt" in ours.reason


def test_an_audit_run_without_its_reference_is_still_looked_at(tmp_path: Path) -> None:
    found = directory(tmp_path)
    reference, _ = pair(result="INVALID")
    write(found, (reference, reference))
    (found.results / SUMMARY).unlink()
    ours = judged(verify, found)
    assert ours.status == "SKIPPED"
    assert any("never repeated one sample" in note for note in ours.notes)
    assert any("does not call the audit run VALID, but INVALID" in note for note in ours.notes)


@pytest.mark.parametrize("kind", ["directory", "pipe", "huge", "secret"])
def test_what_is_no_readable_summary_is_no_verdict(tmp_path: Path, kind: str, which: str) -> None:
    if kind == "secret" and os.geteuid() == 0:
        pytest.skip("root may read everything")
    found = directory(tmp_path)
    write(found, pair())
    roots = {"reference": [found.results], "audit": [found.path], "both": [found.results, found.path]}[which]
    for root in roots:
        path = root / SUMMARY
        if kind == "secret":
            path.chmod(0)
            continue
        path.unlink()
        if kind == "directory":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            with path.open("wb") as file:
                file.truncate(5 * 1024 * 1024)
    ours = judged(verify, found)
    assert ours.status == "NO_VERDICT"
    assert "mlperf_log_summary.txt" in ours.reason


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        (b"Verifying performance.\nreference score = 100\ntest score = 100\nTEST PASS\n", ""),
        (b"Verifying performance.\r\nReference score = 100\r\ntest score = 100\r\nTEST PASS\r\n", ""),
        (b"Verifying performance.\nreference score = 120\ntest score = 100\nTEST PASS\n", "it is of other runs"),
        (b"Verifying performance.\nreference score = 100\ntest score = 100\nTEST FAIL\n", "says TEST FAIL"),
        (b"Verifying performance.\nWARNING: 3 ERROR reported in test results\nTEST PASS\n", "records 3 errors"),
        (b"Verifying performance.\n", "has no verdict"),
        (b"", "is empty or was not published"),
    ],
)
def test_the_submitters_record_is_compared_and_decides_nothing(tmp_path: Path, text: bytes, noted: str) -> None:
    found = directory(tmp_path)
    write(found, pair())
    (found.path / "verify_performance.txt").write_bytes(text)
    ours = judged(verify, found)
    assert ours.status == "PASS"
    assert ours.recorded == ("FAIL" if b"FAIL" in text else "PASS" if b"PASS" in text else "")
    assert bool(ours.notes) == bool(noted)
    assert noted in " ".join(ours.notes)


def test_a_detail_log_of_another_run_is_noted(tmp_path: Path, scenario: str) -> None:
    found = directory(tmp_path, scenario)
    write(found, pair(scenario))
    score = 1e7 if scenario in RELAXED else 100.0
    details = detail(scenario, score), detail(scenario, score * 1.05)
    write(found, details, DETAIL)
    notes = [note for note in judged(verify, found).notes if "another run" in note]
    assert len(notes) == 1
    assert notes[0].startswith("The audit run's summary says 100, its detail log ")


def test_oddities_of_a_run_are_noted(tmp_path: Path) -> None:
    reference, audit = pair()
    audit = audit.replace(b"Early stopping satisfied: Yes", b"Early stopping satisfied: NO")
    audit = audit.replace(b"No errors encountered during test.", b"2 ERRORS encountered. See detailed log.")
    audit = audit.replace(b"index : 3", b"index : 8").replace(b"PerformanceOnly", b"AccuracyOnly")
    found = directory(tmp_path, "Ofline")
    write(found, (reference, audit))
    ours = judged(verify, found)
    assert ours.status == "PASS"
    told = " ".join(ours.notes)
    for wanted in ("reported 2 errors", "Early stopping", "sample 8", "mode AccuracyOnly", "named Ofline"):
        assert wanted in told


def test_the_directory_of_an_audit_is_not_written_to(tmp_path: Path) -> None:
    found = directory(tmp_path)
    write(found, pair())
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    judged(verify, found)
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before
