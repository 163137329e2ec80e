"""The files of an MLPerf endpoints submission; MLCommons' own checker reads them where a copy of it is at hand."""

from __future__ import annotations

import json
import subprocess
import sys

import msgspec
import numpy as np
import pytest
import yaml

from pytest_mlperf_audit.errors import RecordError
from pytest_mlperf_audit.layouts.endpoints import (
    audit_result,
    phase_file_differences,
    write_audit_files,
    write_phase_files,
    write_result_summary,
)
from pytest_mlperf_audit.layouts.result_summary import result_summary
from pytest_mlperf_audit.loadgen.phase_log import Declared, phase_log
from pytest_mlperf_audit.loadgen.write import detail_text, summary_text
from pytest_mlperf_audit.records.log import read_columns, read_queries
from pytest_mlperf_audit.records.store import complete_phase
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput, Poisson
from pytest_mlperf_audit.verdicts.differences import Terms

CONFIG = {
    "load_pattern": {"type": "concurrency", "target_qps": None, "target_concurrency": 8},
    "warmup": {"enabled": False},
    "scheduler_random_seed": 7,
    "dataloader_random_seed": 11,
}
#: The keys of mlcommons/endpoints, `metrics/report.py`: of a report, and of a series in it.
REPORT_KEYS = """
    version git_sha test_started_at n_samples_issued n_samples_completed n_samples_failed duration_ns state complete
    ttft tpot latency output_sequence_lengths input_sequence_lengths legacy_loadgen_window_duration_ns qps tps
    finish_reason_counts run_config
""".split()  # noqa: SIM905 - a table
SERIES_KEYS = [
    *("total", "min", "max", "median", "avg", "std_dev"),
    *("percentiles", "early_stopping_percentiles", "histogram"),
]
PERCENTILES = ["99.9", "99.0", "97.0", "95.0", "90.0", "80.0", "75.0", "50.0", "25.0", "10.0", "5.0", "1.0"]


#: What the endpoints tool does not know is left out of a phase's configuration, and what is not the phase's.
RESOLVED = """
type: offline
datasets:
  - {name: perf, type: performance, path: a.jsonl, accuracy_run: true}
  - {name: exam, type: accuracy, path: b.jsonl}
audit: {test: test04}
accuracy: true
settings: {runtime: {scheduler_random_seed: 7, qsl_rng_seed: 5, n_samples_to_issue: 9}, between_phases: null}
endpoint_config: {endpoints: ["http://a"], api_type: openai, metrics: []}
"""


def _audit(make_run, **asked):
    return make_run(**asked).audits[0]


@pytest.mark.parametrize(("repeat_s", "passed"), [(0.05, True), (0.01, False)])
def test_the_verdict_is_a_real_boolean_beside_its_figures(make_run, tmp_path, repeat_s, passed):
    written = write_audit_files(_audit(make_run, repeat_s=repeat_s), tmp_path)
    assert [path.name for path in written] == ["audit_output_caching_test.json", "verify_OUTPUT_CACHING_TEST.txt"]
    result = json.loads(written[0].read_bytes())
    assert result["test"] == "output_caching_test"
    assert result["passed"] is passed
    assert result["limit_ratio"] == 1.1
    assert result["ref_completed"] == 64
    assert "ratio" in result["reason"]
    assert len(result["checks"]) == 5
    assert written[1].read_text() == f"Performance check pass: {passed}\n"


@pytest.mark.parametrize("status", ["INCOMPLETE", "NO_VERDICT", "NOT_RUN"])
def test_no_file_without_a_verdict(make_run, tmp_path, status):
    audit = msgspec.structs.replace(_audit(make_run), status=status)
    assert write_audit_files(audit, tmp_path / "audit") == []
    assert not list((tmp_path / "audit").glob("*.json"))
    assert not list((tmp_path / "audit").glob("*.txt"))


def test_no_file_for_an_audit_that_mlperf_does_not_know(make_run, tmp_path):
    assert write_audit_files(msgspec.structs.replace(_audit(make_run), mlperf_name=None), tmp_path) == []


def test_a_simulated_audit_is_refused(make_run, tmp_path):
    with pytest.raises(ValueError, match="real endpoint"):
        write_audit_files(_audit(make_run, simulated=True), tmp_path)
    with pytest.raises(ValueError, match="real endpoint"):
        write_audit_files(msgspec.structs.replace(_audit(make_run), phases=()), tmp_path)
    assert not [path for path in (tmp_path / "audit").iterdir() if path.is_file()]


@pytest.mark.parametrize("name", ["../evil", "UPPER", "", "a/b"])
def test_a_name_that_is_no_file_name_is_refused(make_run, tmp_path, name):
    with pytest.raises(ValueError, match="mlperf_name"):
        write_audit_files(msgspec.structs.replace(_audit(make_run), mlperf_name=name), tmp_path)


def test_no_figure_can_forge_the_verdict(make_run):
    audit = _audit(make_run, repeat_s=0.01)
    forged = msgspec.structs.replace(audit, figures={"passed": True, "test": "other", "ratio": 1.0})
    assert audit_result(forged)["passed"] is False
    assert audit_result(forged)["test"] == "output_caching_test"


def test_an_old_marker_never_stands_beside_a_new_result(make_run, tmp_path, monkeypatch):
    audit = _audit(make_run)
    write_audit_files(audit, tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pytest_mlperf_audit.layouts.endpoints.write_atomic", full)
    with pytest.raises(OSError, match="No space"):
        write_audit_files(msgspec.structs.replace(audit, status="FAIL"), tmp_path)
    assert not list(tmp_path.glob("audit/verify_*"))


def test_the_summary_agrees_with_the_records(make_run, make_phase, tmp_path):
    run = make_run()
    phase = make_phase("performance", n=700, failed=7, directory="performance")
    summary = json.loads(write_result_summary(phase, run, tmp_path, CONFIG).read_bytes())
    queries = read_columns(tmp_path / "performance/queries.jsonl")
    latencies = (queries.completed_ns - queries.issued_ns)[queries.ok]
    assert (summary["n_samples_issued"], summary["n_samples_completed"], summary["n_samples_failed"]) == (700, 693, 7)
    assert summary["qps"] == pytest.approx(693 / (summary["duration_ns"] / 1e9))
    assert summary["latency"]["min"] == latencies.min()
    assert summary["latency"]["max"] == latencies.max()
    assert summary["latency"]["avg"] == pytest.approx(latencies.mean())
    assert list(summary["latency"]["percentiles"]) == PERCENTILES
    assert summary["latency"]["percentiles"]["99.0"] == np.percentile(latencies, 99, method="lower")
    assert list(summary["latency"]["early_stopping_percentiles"]) == PERCENTILES[:8]
    assert summary["latency"]["early_stopping_percentiles"]["99.9"] is None
    assert summary["latency"]["early_stopping_percentiles"]["99.0"] >= summary["latency"]["percentiles"]["99.0"]
    assert 100 <= summary["output_sequence_lengths"]["avg"] <= 106
    assert summary["tps"] == pytest.approx(summary["output_sequence_lengths"]["total"] / (summary["duration_ns"] / 1e9))
    assert summary["ttft"]["max"] == 10_000_000
    assert summary["tpot"]["avg"] == pytest.approx((summary["latency"]["avg"] - 1e7) / 102, rel=0.02)
    assert summary["test_started_at"] == 1_795_431_600_250_000_000
    assert summary["complete"] is True
    assert set(REPORT_KEYS) <= set(summary)
    assert list(summary["latency"]) == SERIES_KEYS
    assert summary["run_config"] == CONFIG
    histogram = summary["latency"]["histogram"]
    assert sum(histogram["counts"]) == 693
    assert len(histogram["buckets"]) == len(histogram["counts"]) == 30
    assert histogram["buckets"][0][0] == pytest.approx(latencies.min())
    assert histogram["buckets"][-1][1] == pytest.approx(latencies.max())
    report = (tmp_path / "report.txt").read_text()
    assert "Samples completed: 693\n" in report
    assert "scheduler_random_seed: 7\n" in report


def _under(phase, load):
    return msgspec.structs.replace(phase, spec=msgspec.structs.replace(phase.spec, load=load))


@pytest.mark.parametrize(
    ("load", "scenario"),
    [
        (MaxThroughput(), "Offline"),
        (MaxThroughput(max_in_flight=1), "Offline"),
        (Concurrency(target=1), "SingleStream"),
        (Concurrency(target=2), "Offline"),
        (Concurrency(target=8), "Offline"),
        (Poisson(target_qps=5.0, seed=1), "Server"),
    ],
    ids=repr,
)
def test_both_layouts_of_one_run_name_one_scenario(make_run, make_phase, tmp_path, load, scenario):
    phase = _under(make_phase("performance", n=70, directory="performance"), load)
    summary = json.loads(write_result_summary(phase, make_run(), tmp_path, CONFIG).read_bytes())
    queries = read_columns(tmp_path / "performance/queries.jsonl")
    record = msgspec.structs.replace(complete_phase(tmp_path / "performance"), spec=phase.spec)
    log = phase_log(record, queries, Declared("sut", "rows", 70), duration_met=True, queries_met=True)
    # Of a language model's Offline run the checker takes "offline" alone, see result_summary.
    assert load.scenario == scenario
    assert summary["effective_scenario"] == ("offline" if scenario == "Offline" else scenario)
    assert f"Scenario : {scenario}\n" in summary_text(log)
    assert f'"key": "effective_scenario", "value": "{scenario}"' in detail_text(log)
    assert f'"key": "requested_scenario", "value": "{scenario}"' in detail_text(log)


def test_each_phase_of_an_audit_has_the_peers_files(make_run, tmp_path):
    """As the endpoints tool leaves them: audit/<phase>/performance/result_summary.json, config.yaml, report.txt."""
    run = make_run()
    write_phase_files(run.audits[0], run, tmp_path, CONFIG, RESOLVED)
    for phase in ("reference", "output_caching"):
        place = tmp_path / "audit" / phase
        assert json.loads((place / "performance/result_summary.json").read_bytes())["n_samples_issued"] == 64
        assert yaml.safe_load((place / "config.yaml").read_text()) == {
            "type": "offline",
            "datasets": [{"name": "perf", "type": "performance", "path": "a.jsonl"}],
            "settings": {"runtime": {"n_samples_to_issue": 64, "scheduler_random_seed": 7}},
            "endpoint_config": {"endpoints": ["http://a"], "api_type": "openai"},
        }
        assert (place / "report.txt").exists()


def test_a_file_of_before_is_compared_as_far_as_it_goes(make_run, tmp_path):
    """Its percentiles had other names, and were interpolated; the figures beside them must follow from the records."""
    run = make_run()
    phase = run.audits[0].phases[0]
    path = write_result_summary(phase, run, tmp_path, CONFIG, tmp_path / phase.directory)
    assert phase_file_differences(run.audits[0], run, tmp_path, Terms(), CONFIG) == []
    old = json.loads(path.read_bytes())
    for key in ("run_config", "git_sha", "input_sequence_lengths", "finish_reason_counts"):
        del old[key]
    for series in ("latency", "ttft", "tpot", "output_sequence_lengths"):
        old[series]["percentiles"] = {"99": 1.0}
        del old[series]["histogram"]
    path.write_text(json.dumps(old))
    assert phase_file_differences(run.audits[0], run, tmp_path, Terms(), CONFIG) == []
    path.write_text(json.dumps(old | {"qps": 1e6}))
    (found,) = phase_file_differences(run.audits[0], run, tmp_path, Terms(), CONFIG)
    assert "qps: 1000000.0 stored" in found


def test_records_tell_why_replies_ended_and_how_long_prompts_were(make_phase, tmp_path):
    phase = make_phase("performance", n=4)
    records = list(read_queries(tmp_path / phase.directory / "queries.jsonl"))
    for record, reason in zip(records, ("stop", "stop", "eos", None), strict=True):
        record.finish_reason, record.prompt_tokens = reason, 7
    columns = read_columns(tmp_path / phase.directory / "queries.jsonl")
    summary = result_summary(phase, columns, CONFIG, records)
    counts = {reason: count for reason, count in summary["finish_reason_counts"].items() if count}
    assert counts == {"stop": 2, "other": 1}
    assert summary["input_sequence_lengths"]["total"] == 28
    assert summary["input_sequence_lengths"]["histogram"] == {"buckets": [(7.0, 7.0)], "counts": [4]}


def test_a_phase_without_completions_has_a_summary(make_phase, tmp_path):
    phase = make_phase("performance", n=4, failed=4)
    queries = read_columns(tmp_path / phase.directory / "queries.jsonl")
    summary = result_summary(msgspec.structs.replace(phase, started_at="soon"), queries, CONFIG)
    assert (summary["qps"], summary["tps"], summary["latency"], summary["duration_ns"]) == (None, None, {}, None)
    assert summary["test_started_at"] == 0


def test_no_summary_of_a_simulated_or_partial_run(make_run, make_phase, tmp_path):
    phase = make_phase("performance", directory="performance")
    partial = make_phase("cut", status="interrupted")
    simulated = make_phase("sim", simulated=True)
    real = make_run()
    for bad, run in ((phase, msgspec.structs.replace(real, simulated=True)), (simulated, real), (partial, real)):
        with pytest.raises(ValueError, match=r"simulated|interrupted"):
            write_result_summary(bad, run, tmp_path, CONFIG)
    assert not (tmp_path / "performance/result_summary.json").exists()


def test_unreadable_records_give_no_summary(make_run, make_phase, tmp_path):
    phase = make_phase("performance", directory="performance")
    (tmp_path / "performance/queries.jsonl").write_bytes(b"{")
    with pytest.raises(RecordError):
        write_result_summary(phase, make_run(), tmp_path, CONFIG)


@pytest.fixture(scope="session")
def checker(upstream):
    """The folder of MLCommons' submission checker."""
    return upstream / "tools/submission"


_ASK_CHECKER = """
import json, logging, sys
from submission_checker.checks.compliance_check import ComplianceCheck
from submission_checker.parsers.endpoints_parser import EndpointsParser

check = ComplianceCheck.__new__(ComplianceCheck)
check.log = logging.getLogger("checker")
check.compliance_dir = sys.argv[1]
check.test_list = ["TEST04"]
log = EndpointsParser(sys.argv[1])
keys = [
    "result_completed_samples_per_sec", "generated_query_duration", "generated_query_count", "num_errors",
    "result_query_count", "result_min_latency_ns", "result_max_latency_ns", "result_mean_latency_ns",
    "result_50.00_percentile_latency_ns", "result_90.00_percentile_latency_ns", "result_99.00_percentile_latency_ns",
    "result_first_token_99.00_percentile_latency_ns", "result_time_per_output_token_99.00_percentile_ns",
    "mean_output_tokens", "result_completed_tokens_per_second", "test_datetime", "loadgen_version",
    "effective_min_duration_ms", "effective_scenario", "qsl_reported_total_count", "result_samples_per_second",
]
print(json.dumps({"passed": check.compliance_endpoints_check(), "found": {key: log[key] for key in keys}}))
"""


@pytest.mark.parametrize("load", [MaxThroughput(), Concurrency(target=8)], ids=["all_at_once", "eight_in_flight"])
@pytest.mark.parametrize(("repeat_s", "passed"), [(0.05, True), (0.01, False)])
def test_mlcommons_checker_reads_the_same_verdict_and_numbers(
    checker, make_run, make_phase, tmp_path, repeat_s, passed, load
):
    run = make_run(repeat_s=repeat_s)
    phase = _under(make_phase("performance", n=700, directory="performance"), load)
    write_audit_files(run.audits[0], tmp_path)
    summary = json.loads(write_result_summary(phase, run, tmp_path, CONFIG).read_bytes())
    (tmp_path / "config.yaml").write_text("type: submission\nversion: '1.0'\n")
    asked = subprocess.run(
        [sys.executable, "-c", _ASK_CHECKER, str(tmp_path)],
        cwd=checker, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout.splitlines()[-1])
    assert answer["passed"] is passed
    found = answer["found"]
    assert {key for key, value in found.items() if value is None} == set()
    assert found["result_completed_samples_per_sec"] == summary["qps"]
    assert found["effective_scenario"] == "offline"
    assert found["result_samples_per_second"] == pytest.approx(summary["qps"])
    assert found["generated_query_count"] == 700
    assert found["result_99.00_percentile_latency_ns"] == summary["latency"]["early_stopping_percentiles"]["99.0"]
    assert found["result_mean_latency_ns"] == summary["latency"]["avg"]
    assert found["mean_output_tokens"] == summary["output_sequence_lengths"]["avg"]
