"""Audits by the rules of their own round: what v0.7 to v3.0 logged, recorded and exempted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.audits.published.case import AuditDirectory, CaseOutcome, outcome
from pytest_mlperf_audit.audits.test01.published import performance
from pytest_mlperf_audit.audits.test04 import published as test04
from tests.support.judged import DETAIL, SUMMARY, check, detail, directory, judged, pair, write

OLD_SUMMARY = """\
SUT name : PySUT
Scenario : {scenario}
Mode     : Performance
{score}
Result is : VALID
Min latency (ns)                : {least}
Max latency (ns)                : 10042{least}
Mean latency (ns)               : 4{least}
90.00 percentile latency (ns)   : 5272323

No warnings encountered during test.

No errors encountered during test.
"""
OLD_DETAIL = (
    b'"pid": 1, "tid": 1, "ts": 9ns : LoadgenVersionInfo:\n"pid": 1, "tid": 1, "ts": 9ns : version : .5a1 @ 5\n'
)


def came01(tree: Path, scenario: str, logs: tuple[bytes, bytes], record: str = "") -> CaseOutcome:
    found = directory(tree, scenario, "TEST01")
    write(found, logs, DETAIL)
    (found.path / "verify_performance.txt").write_text(record)
    return judged(performance, found)


def older(scenario: str, *, version: str = "1.1 @ b1452de454", **values: Any) -> bytes:
    return detail(scenario, 1.0, loadgen_version=version, early_stopping_latency_ss=None, **values)


def percentile_90(ns: int) -> dict[str, Any]:
    return {"result_90.00_percentile_latency_ns": ns}


@pytest.mark.parametrize(("ns", "status"), [(1_050_000, "PASS"), (1_150_000, "FAIL")])
def test_before_early_stopping_single_stream_is_its_90th_percentile(tmp_path: Path, ns: int, status: str) -> None:
    logs = older("SingleStream", **percentile_90(1_000_000)), older("SingleStream", **percentile_90(ns))
    came = came01(tmp_path, "SingleStream", logs)
    assert (came.status, came.figures["audit_score"], came.upstream) == (status, ns, ())


@pytest.mark.parametrize(("streams", "status"), [(48, "PASS"), (40, "FAIL")])
def test_before_early_stopping_multi_stream_is_its_samples_per_query(tmp_path: Path, streams: int, status: str) -> None:
    logs = [older("MultiStream", early_stopping_latency_ms=None, effective_samples_per_query=n) for n in (48, streams)]
    came = came01(tmp_path, "MultiStream", (logs[0], logs[1] + b"\n"))
    assert (came.status, came.figures["unit"]) == (status, "samples/query")


@pytest.mark.parametrize("version", ["2.0 @ 1", "5.1.2 @ 1"])
def test_an_estimate_that_is_lacking_since_is_no_verdict(tmp_path: Path, version: str) -> None:
    log = older("SingleStream", version=version, **percentile_90(1_000_000))
    assert came01(tmp_path, "SingleStream", (log, log + b"\n")).status == "NO_VERDICT"


@pytest.mark.parametrize(
    ("scenario", "name", "score"),
    [
        ("SingleStream", "Single Stream", "90th percentile latency (ns) : {}"),
        ("MultiStream", "Multi Stream", "Samples per query : {}"),
        ("Offline", "Offline", "Samples per second: {}"),
    ],
)
def test_a_text_log_of_v0_7_leaves_it_to_the_summary(tmp_path: Path, scenario: str, name: str, score: str) -> None:
    found = directory(tmp_path, scenario, "TEST01")
    write(found, (OLD_DETAIL, OLD_DETAIL), DETAIL)
    texts = [OLD_SUMMARY.format(scenario=name, score=score.format(n), least=n) for n in (1600, 1601)]
    write(found, (texts[0].encode(), texts[1].encode()))
    came = judged(performance, found)
    assert (came.status, came.log_scenario) == ("PASS", scenario), came.reason
    assert (came.notes, came.upstream) == ((), ())


SERVER = {"result_scheduled_samples_per_sec": 39997.81, "result_99.00_percentile_latency_ns": 9267284}


@pytest.mark.parametrize(
    ("recorded", "is_noted"),
    [("39997.81", False), ("9267284", False), ("107.906", False), ("40123.45", True)],
    ids=["scheduled", "percentile", "inverse", "another"],
)
def test_only_a_score_that_no_line_of_the_log_has_is_of_another_run(
    tmp_path: Path, recorded: str, is_noted: bool
) -> None:
    log = detail("Server", 39340.28, **SERVER)
    record = f"reference score = {recorded}\ntest score = 39340.28\nTEST PASS\n"
    came = came01(tmp_path, "Server", (log, log + b"\n"), record)
    assert any("it was written for another reference run" in note for note in came.notes) is is_noted


def test_of_five_runs_any_may_be_meant(tmp_path: Path) -> None:
    found = directory(tmp_path, "Server", "TEST01")
    other = found.results / "performance/run_3/mlperf_log_detail.txt"
    other.parent.mkdir(parents=True)
    other.write_bytes(detail("Server", 40000.0))
    log = detail("Server", 39340.28)
    came = came01(tmp_path, "Server", (log, log + b"\n"), "reference score = 40000.0\nTEST PASS\n")
    assert came.notes == ()


def of_benchmark(found: AuditDirectory, benchmark: str) -> AuditDirectory:
    return AuditDirectory(**{**vars(found), "benchmark": benchmark})


@pytest.mark.parametrize(("benchmark", "status"), [("resnet50", "FAIL"), ("retinanet", "SKIPPED"), ("own", "FAIL")])
def test_a_model_that_is_exempt_is_not_accused_of_caching(tmp_path: Path, benchmark: str, status: str) -> None:
    found = directory(tmp_path)
    write(found, pair(ratio=1.3))
    came = outcome(found, test04.verify(of_benchmark(found, benchmark)))
    assert (came.status, came.figures["ratio"]) == (status, 1.3)
    assert ("exempts retinanet" in came.reason) is (status == "SKIPPED")
    assert (check(came, "throughput_ratio") is False) is (status == "FAIL")


@pytest.mark.parametrize(("name", "is_noted"), [("offline", True), ("SingleStream", False), ("single-stream", False)])
def test_a_directory_named_like_another_scenario_is_noted_of_every_test(
    tmp_path: Path, name: str, is_noted: bool
) -> None:
    found = directory(tmp_path, name, "TEST01")
    write(found, (detail("SingleStream"), detail("SingleStream") + b"\n"), DETAIL)
    came = judged(performance, found)
    assert any(note.startswith("The directory is named") for note in came.notes) is is_noted


def test_interactive_is_server(tmp_path: Path) -> None:
    found = directory(tmp_path, "Interactive", "TEST01")
    write(found, (detail("Server"), detail("Server") + b"\n"), DETAIL)
    assert judged(performance, found).notes == ()


def test_reasons_name_paths_within_the_round(tmp_path: Path) -> None:
    found = directory(tmp_path)
    write(found, pair())
    (found.path / SUMMARY).unlink()
    (found.path / SUMMARY).mkdir()
    came = judged(test04.verify, found)
    assert str(tmp_path) not in came.reason + str(came.checks)
    assert came.reason.startswith("closed/Ours/compliance/system/resnet50/Offline/TEST04/performance/run_1/")
