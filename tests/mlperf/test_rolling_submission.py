"""A point of a rolling submission to MLPerf Endpoints: our files, and what MLCommons' check-submission says of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
import yaml

from pytest_mlperf_audit.audits.published.case import verify
from pytest_mlperf_audit.audits.published.tree import find_audits
from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated import process

RULESET = "mlperf-endpoints-v1.0-2026-10-C1-A"
SEEDS = {
    "scheduler_rng_seed": 10487924139932647040,
    "sample_index_rng_seed": 586478644936801402,
    "model_seed": 9315206023656308754,
}
NODE = {
    "system_node_ensemble_id": 1,
    "number_of_nodes": 1,
    "host_processor_core_count": 64,
    "host_memory_configuration": "24 x 64 GB",
    "host_network_card_count": "1",
    "driver": "580",
    "filesystem": "ext4",
}
SYSTEM = {
    "system_name": "Our system",
    "system_availability_status": "Available",
    "availability_url": "https://example.org/system",
    "max_supported_concurrency": 64,
    "system_size": "1 node",
    "system_node_ensemble_count": 1,
    "system_node_ensemble_total": 1,
    "shortened_system_name": "ours",
    "node_types": [NODE],
}
POINT = {
    "model_precision": "fp8",
    "link_to_model": "https://example.org/model",
    "dataset_link": "https://example.org/data",
    "shared_src": "src/ours",
    "shared_docs": "docs",
}


#: What is no matter of a point's files: seven points, long runs of thousands of samples, the power of the system, and
#: the window of a steady state, without which the rules take the whole run.
OF_THE_CURVE = {
    *("power-descriptor", "point-count", "offline-point-present", "accuracy-coverage"),
    *("med-concurrency-coverage", "high-concurrency-coverage", "low-concurrency-coverage"),
    *("min-query-count", "accuracy-sample-count", "accuracy-gate", "point-duration", "steady-state-basis"),
}


@pytest.fixture
def points(audit):
    """Run points of a curve, and return the report directory of each by its concurrency."""
    rows = "".join(json.dumps({"prompt": f"question {row}", "answer": "B"}) + "\n" for row in range(8))
    (audit.path / "rows.jsonl").write_text(rows)

    def run(*concurrencies, **blocks):
        scored = {"ground_truth": "answer", "eval_method": "exact_match", "extractor": "multiple_choice"}
        with process.start(SimulatedConfig(service_time_ms=2), watch_pid=os.getpid()) as running:
            for target in concurrencies:
                load = {"type": "concurrency", "target_concurrency": target}
                blocks = {
                    "type": "online",
                    "model_params": {"name": "m", "streaming": "on"},
                    "submission_ref": {"model": "llama3.1-8b", "ruleset": RULESET, "division": "standardized-cop"},
                    "rolling_submission": {"system": SYSTEM, "point": POINT},
                    "datasets": [
                        {"name": "cnn_dailymail", "path": "rows.jsonl"},
                        {"name": "graded", "path": "rows.jsonl", "type": "accuracy", "accuracy_config": scored},
                    ],
                    "audit": None,
                    "settings": {"load_pattern": load, "warmup": {"enabled": True, "n_requests": 2}},
                    "endpoint_config": {"api_type": "openai"},
                    **blocks,
                }
                audit.config(running.url, f"r{target}.yaml", **blocks)
                assert audit.run(config=f"r{target}.yaml").ret == 0
                del blocks["settings"]
        return {target: audit.report(f"r{target}") for target in concurrencies}

    return run


def test_a_point_has_what_the_run_tells_and_what_the_yaml_says(points):
    report = points(2)[2]
    names = {"point.yaml", "system_desc.json", "config.yaml", "result_summary.json", "accuracy_results.json"}
    assert {path.name for path in (report / "r2").iterdir()} == names
    point = yaml.safe_load((report / "r2/point.yaml").read_text())
    assert POINT.items() <= point.items()
    assert (point["concurrency"], point["division"], point["model_name"]) == (2, "Standardized", "llama3_1-8b")
    assert (point["seed_set"], point["target_cohort"]) == ("A", "2026-10-C1")
    assert point["runtime_settings"]["runtime"] == SEEDS
    assert point["runtime_settings"]["load_pattern"] == "concurrency"
    assert (point["max_supported_concurrency"], point["dataset_name"]) == (64, "cnn_dailymail")
    assert point["dataset_type"] == "Accuracy + Performance"
    assert (point["warmup"]["requests_issued"], point["warmup"]["requests_completed"]) == (2, 2)
    assert json.loads((report / "r2/system_desc.json").read_text()) == {"division": "Standardized", **SYSTEM}
    # The report directory itself is what `runs create` takes.
    for name in ("point.yaml", "system_desc.json", "config.yaml", "performance/result_summary.json"):
        assert (report / name).is_file()
    recorded = json.loads((report / "verdict.json").read_text())["artifacts"]
    assert {"point.yaml", "r2/point.yaml"} <= set(recorded)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            {"system": SYSTEM, "point": {**POINT, "seed_set": "B"}},
            "*point.seed_set: is told by the run itself; take it out*",
        ),
        ({"system": SYSTEM, "point": {"model_precision": "fp8"}}, "*rolling_submission.point: lacks link_to_model, *"),
        ({"system": {}, "point": POINT}, "*rolling_submission.system: lacks system_name, *"),
    ],
    ids=["told_by_the_run", "point_incomplete", "no_system"],
)
def test_a_block_that_would_be_refused_is_an_error_before_anything_is_sent(audit, sut, block, message):
    audit.config(sut, rolling_submission=block)
    result = audit.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines([message])
    assert sut.received == 0


def test_a_point_says_what_its_run_did(points):
    """Without streams no chunk has a time, without a ruleset no prompt a salt, and without a score there is none."""
    report = points(2, model_params={"name": "m", "streaming": "off"}, submission_ref=None, accuracy=False)[2]
    point = yaml.safe_load((report / "r2/point.yaml").read_text())
    assert point["dataset_type"] == "Performance"
    assert (point["runtime_settings"]["stream_all_chunks"], point["runtime_settings"]["salt"]) == (False, False)
    assert not (report / "r2/accuracy_results.json").exists()


def test_our_own_rules_have_nothing_against_the_figures_of_our_points(points, tmp_path):
    """Rates over the window that the summary names, latencies of the queries in flight, the run's own settings."""
    model = tmp_path / "acme/sub-1/results/ours/llama3_1-8b"
    for target, report in points(1, 4).items():
        shutil.copytree(report / f"r{target}", model / f"r{target}")
    came = {audit.test: verify(audit) for audit in find_audits(tmp_path / "acme")}
    for rule in ("complete", "load_pattern", "streaming", "warm_up", "metrics", "seeds", "salt", "consistency"):
        assert came[rule].status == "PASS", came[rule].reason


def test_no_point_without_the_block(audit, sut):
    audit.config(sut, audit=None)
    audit.run()
    assert not (audit.report() / "point.yaml").exists()


@pytest.fixture
def check_submission():
    """MLCommons' checker of rolling submissions: endpoints-submission-cli, of PyPI."""
    program = os.environ.get("ENDPOINTS_SUBMISSION_CLI") or shutil.which("endpoints-submission-cli")
    if not program:
        pytest.skip("install endpoints-submission-cli, or name it in ENDPOINTS_SUBMISSION_CLI, to hear what it says")

    def check(path):
        command = [program, "check-submission", "--json", "--no-annotate", str(path)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return json.loads(ran.stdout)

    return check


def test_check_submission_has_nothing_to_say_about_our_part(points, check_submission, tmp_path):
    results = tmp_path / "submission/results/our_system/llama3_1-8b"
    for target, report in points(1, 2).items():
        shutil.copytree(report / f"r{target}", results / f"r{target}")
    for place in ("docs", "src/ours"):
        (tmp_path / "submission" / place).mkdir(parents=True)
        (tmp_path / "submission" / place / "README.md").write_text("by hand\n")
    found = check_submission(tmp_path / "submission")
    assert {result["rule"] for result in found["results"] if result["severity"] != "info"} <= OF_THE_CURVE
    passed = {result["rule"] for result in found["results"] if result["severity"] == "info"}
    assert {"point-disclosure-complete", "seed-runtime-match", "warmup-present", "load-pattern"} <= passed
