"""TEST01's performance part with something wrong: the right verdict each, and never a pass by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.audits.published.case import CaseOutcome
from pytest_mlperf_audit.audits.test01.published import performance
from tests.support.judged import DETAIL, SUMMARY, Pair, detail, directory, event, judged, pair, write

SCENARIOS = ("Offline", "Server", "SingleStream", "MultiStream")


def logs(scenario: str = "Offline", score: float = 1e7, ratio: float = 1.0, **audit: Any) -> Pair:
    return detail(scenario, score), detail(scenario, score * ratio, test_datetime="later", **audit)


def judge(tmp_path: Path, both: Pair, scenario: str = "Offline") -> CaseOutcome:
    found = directory(tmp_path, scenario, "TEST01")
    write(found, both, DETAIL)
    return judged(performance, found)


def check(found: CaseOutcome, name: str) -> bool | None:
    return next(check.passed for check in found.checks if check.name == f"performance_{name}")


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(
    ("ratio", "wanted"), [(0.89, "FAIL"), (0.91, "PASS"), (1.0, "PASS"), (1.09, "PASS"), (1.11, "FAIL")]
)
def test_the_score_may_differ_by_ten_percent_both_ways(
    tmp_path: Path, scenario: str, ratio: float, wanted: str
) -> None:
    found = judge(tmp_path, logs(scenario, 1e7, ratio), scenario)
    assert found.status == wanted == found.upstream[0].verdict
    assert found.figures["ratio"] == pytest.approx(ratio)
    assert found.figures["unit"] == ("ns" if "Stream" in scenario else "samples/s")
    assert (found.differences, found.notes) == ((), ())


@pytest.mark.parametrize(("scenario", "latency_ns"), [("SingleStream", 200_000), ("MultiStream", 1_600_000)])
@pytest.mark.parametrize(("ratio", "wanted"), [(0.79, "FAIL"), (0.81, "PASS"), (1.19, "PASS"), (1.21, "FAIL")])
def test_short_latencies_may_differ_by_twenty(
    tmp_path: Path, scenario: str, latency_ns: float, ratio: float, wanted: str
) -> None:
    found = judge(tmp_path, logs(scenario, latency_ns, ratio), scenario)
    assert found.status == wanted == found.upstream[0].verdict
    assert found.figures["limit_ratio"] == 1.2


@pytest.mark.parametrize(
    ("scenario", "changes", "name", "wanted"),
    [
        ("Offline", {"result_validity": "INVALID"}, "valid", False),
        ("Offline", {"result_validity": None}, "valid", None),
        ("Offline", {"effective_scenario": "Server"}, "scenario", False),
        ("Offline", {"effective_scenario": None}, "scenario", None),
        ("Offline", {"result_samples_per_second": None}, "score", None),
        ("Offline", {"result_samples_per_second": 0}, "score", None),
        ("Offline", {"result_samples_per_second": "1e7"}, "score", None),
        ("Offline", {"num_errors": None, "result_99.90_percentile_latency_ns": None}, "logs_whole", None),
        ("Server", {"effective_target_latency_ns": 15000001}, "target_latency", False),
        ("Server", {"effective_target_latency_ns": None}, "target_latency", False),
        ("SingleStream", {"early_stopping_latency_ss": None}, "score", None),
        ("MultiStream", {"early_stopping_latency_ms": 0}, "score", None),
    ],
)
def test_an_audit_run_that_is_not_comparable(
    tmp_path: Path, scenario: str, changes: dict[str, Any], name: str, wanted: bool | None
) -> None:
    found = judge(tmp_path, logs(scenario, **changes), scenario)
    assert check(found, name) is wanted
    assert found.status == ("FAIL" if wanted is False else "NO_VERDICT")
    assert all(difference.defect for difference in found.differences)


def test_one_run_published_twice_fails(tmp_path: Path) -> None:
    found = judge(tmp_path, (detail(), detail()))
    assert (found.status, check(found, "separate_runs")) == ("FAIL", False)
    assert [difference.defect for difference in found.differences] == ["one_run_twice"]


@pytest.mark.parametrize("which", [0, 1])
def test_a_log_cut_anywhere_never_passes(tmp_path: Path, which: int) -> None:
    both = list(logs(num_errors=None))
    for length in range(0, len(both[which]) - 3, 41):
        cut = [log[:length] if at == which else log for at, log in enumerate(both)]
        found = judge(tmp_path, (cut[0], cut[1]))
        assert found.status == "NO_VERDICT", (length, found.reason)
        assert all(difference.defect for difference in found.differences)


def test_errors_of_the_run_are_noted_where_upstream_ends_with_a_traceback(tmp_path: Path) -> None:
    reference, audit = logs(num_errors=1)
    found = judge(tmp_path, (reference, event("error_runtime", "x", is_error=True) + audit))
    assert found.status == "PASS"
    assert any("reported 1 errors in the audit run" in note for note in found.notes)
    assert [(difference.upstream, difference.defect) for difference in found.differences] == [
        ("CRASH", "traceback_on_errors")
    ]


def test_missing_logs(tmp_path: Path) -> None:
    found = directory(tmp_path, test="TEST01")
    write(found, logs(), DETAIL)
    (found.path / DETAIL).unlink()
    assert judged(performance, found).status == "NO_VERDICT"
    (found.results / DETAIL).unlink()
    ours = judged(performance, found)
    assert ours.status == "SKIPPED"
    assert "closed/Ours/results/system/resnet50/Offline/performance/run_1/mlperf_log_detail.txt" in ours.reason
    write(found, pair(), SUMMARY)
    ours = judged(performance, found)
    assert (ours.status, ours.upstream) == ("PASS", ())
    assert sum("published without a detail log" in note for note in ours.notes) == 2


@pytest.mark.parametrize("data", [b"", b"\n\n", b"no log\n", b":::MLLOG\n", b"\0" * 5000, b"[" * 100_000])
def test_what_is_no_log_is_no_verdict(tmp_path: Path, data: bytes) -> None:
    reference, _ = logs()
    found = judge(tmp_path, (reference, data))
    assert (found.status, found.upstream[0].verdict) == ("NO_VERDICT", "CRASH")
    assert found.reason


def test_a_detail_log_that_cannot_be_read_is_no_verdict(tmp_path: Path) -> None:
    found = directory(tmp_path, test="TEST01")
    write(found, logs(), DETAIL)
    (found.path / DETAIL).unlink()
    (found.path / DETAIL).mkdir()
    ours = judged(performance, found)
    assert ours.status == "NO_VERDICT"
    assert "mlperf_log_detail.txt" in ours.reason


@pytest.mark.parametrize("metadata", [b'"\\ud800"', b"NaN", b"-Infinity"])
def test_an_event_that_is_no_json_is_no_verdict_though_pythons_json_reads_it(tmp_path: Path, metadata: bytes) -> None:
    reference, audit = logs()
    lines = reference.split(b"\n")
    at = next(at for at, line in enumerate(lines) if b"result_validity" in line)
    lines[at] = lines[at].replace(b'"is_error": false', b'"is_error": false, "x": ' + metadata)
    found = judge(tmp_path, (b"\n".join(lines), audit))
    assert (found.status, check(found, "valid")) == ("NO_VERDICT", None)
    assert found.upstream[0].verdict == "PASS"
    assert [difference.defect for difference in found.differences] == ["no_json_is_read"]
