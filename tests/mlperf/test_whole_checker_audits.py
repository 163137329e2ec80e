"""TEST01, TEST06, TEST07 and TEST09 of a language model's submission before MLCommons' whole checker, in both layouts.

The server is the simulated one, started apart, so that the run is of an endpoint like any other. No test can send the
thousands of rows that a model's data set has, so the checker is told of as few as there are.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated import process
from tests.support.submission_tree import SEEDS, checker_says, layout_of, tree_of

ROWS = 16
ROUGE = "{'rouge1': 38.8, 'rouge2': 16.2, 'rougeL': 24.7, 'rougeLsum': 36.2, 'gen_len': 8167644}"
#: gpt-oss-120b must pass both.
BOTH = (
    {"test": "test07", "dataset": "graded", "threshold": 90.0},
    {"test": "test09", "min_output_tokens": 1000.0, "max_output_tokens": 2000.0},
)
#: By test: the benchmark, what the accuracy scorer prints ("": answers are graded), the audit's block, what a dishonest
#: server does, and the checker's complaint.
CASES: dict[str, Any] = {
    "test01": (
        "whisper",
        "accuracy: 98.0",
        ({"test": "test01", "sampling_target": 8},),
        {"dishonest": "other_model", "dishonest_after": 2 * ROWS},
        "has file list mismatch",
    ),
    "test01_by_score": (
        "whisper",
        "",
        ({"test": "test01", "sampling_target": 8, "match": "score_delta", "dataset": "graded"},),
        {"dishonest": "other_model", "dishonest_after": 2 * ROWS},
        "Some compliance check Checks failed",
    ),
    "test06": (
        "llama3.1-8b",
        ROUGE,
        ({"test": "test06", "samples": ROWS, "eos_ids": [2]},),
        {"dishonest": "double_eos", "eos_id": 2},
        "TEST06 accuracy check failed",
    ),
    "test07": ("gpt-oss-120b", "", BOTH, {"dishonest": "cheap_model"}, "TEST07 accuracy check in"),
    "test09": ("gpt-oss-120b", "", BOTH, {"dishonest": "truncated"}, "TEST09 output length check in"),
}


@pytest.fixture
def submission(audit):
    """Run a submission of one audit, and return its report directory and verdict."""
    rows = [{"prompt": f"question {row}, A or B?", "answer": "AB"[row % 2]} for row in range(ROWS)]
    questions = audit.path / "questions.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run(test, **server):
        benchmark, printed, blocks, *_ = CASES[test]
        scored: dict[str, Any] = {
            "ground_truth": "answer",
            "eval_method": "exact_match",
            "extractor": "multiple_choice",
        }
        if printed:
            scored = {
                "ground_truth": "answer",
                "command": ["echo", printed],
                "pattern": r"(?:rouge1'|accuracy): (?P<score>[\d.]+)",
            }
        simulated = {"output_tokens": 1200 if benchmark.startswith("gpt") else 16, **server}
        config = SimulatedConfig(
            service_time_ms=10, known_prompts=questions, answer_column="answer", accuracy=1.0, **simulated
        )
        with process.start(config, watch_pid=os.getpid()) as running:
            audit.config(
                running.url,
                "Offline.yaml",
                type="submission",
                benchmark_mode="offline",
                model_params={"name": "m", "streaming": "off"},
                submission_ref={"model": benchmark, "ruleset": "mlperf-inference-v6.1"},
                datasets=[
                    {"name": "perf", "path": "questions.jsonl"},
                    {"name": "graded", "path": "questions.jsonl", "type": "accuracy", "accuracy_config": scored},
                ],
                audit=[*blocks],
                settings={"runtime": {"min_duration_ms": 0}, "client": {"max_connections": 4}},
                endpoint_config={"api_type": "openai"},
            )
            audit.run("--mlperf-layout=both", config="Offline.yaml")
        return audit.report("Offline"), audit.verdict("Offline")

    return run


#: The lines that the checker looks for, by file.
LINES = {
    "TEST06/verify_accuracy.txt": (
        *("First token check pass: Skipped", "EOS check pass: True", "Sample length check pass: True"),
    ),
    "TEST07/verify_accuracy.txt": ("TEST PASS",),
    "TEST09/verify_output_len.txt": ("TEST PASS",),
}


@pytest.mark.parametrize("dishonest", [False, True], ids=["honest", "dishonest"])
@pytest.mark.parametrize("test", ["test06", "test07", "test09"])
def test_a_verify_file_has_the_checkers_lines_where_the_audit_passed(submission, test, dishonest):
    report, _ = submission(test, **(CASES[test][3] if dishonest else {}))
    (name,) = (name for name in LINES if name.startswith(test.upper()))
    lines = (report / name).read_text().splitlines()
    assert (set(LINES[name]) <= set(lines)) is not dishonest
    assert any(line.startswith("TEST FAIL") for line in lines) is dishonest
    assert (report / test.upper() / "accuracy/mlperf_log_accuracy.json").stat().st_size <= 10 * 1024
    if test != "test06":
        logs = report / test.upper() / "performance/run_1"
        assert sorted(path.name for path in logs.iterdir()) == ["mlperf_log_detail.txt", "mlperf_log_summary.txt"]


def says(upstream, root, report, version, benchmark):
    """The checker's answer; closed models need a second scenario, which is there for its name alone."""
    scenarios = ("Offline",) if benchmark == "whisper" else ("Offline", "Server")
    tree = tree_of(root, benchmark, dict.fromkeys(scenarios, report))
    return checker_says(upstream, tree, version, SEEDS if version == "v6.0" else None, {benchmark: ROWS})


@pytest.mark.parametrize("dishonest", [False, True], ids=["honest", "dishonest"])
@pytest.mark.parametrize("test", CASES)
def test_the_classic_audit_is_taken_for_what_it_is(submission, upstream, tmp_path, test, dishonest):
    benchmark, _, _, cheat, complaint = CASES[test]
    report, verdict = submission(test, **(cheat if dishonest else {}))
    passed = all(entry["status"] == "PASS" for entry in verdict["audits"] if entry["is_audit"])
    assert not (dishonest and passed)
    if test.startswith("test01"):  # on a busy machine two runs may be more than 10 % apart, see known-limitations.md
        passed = passed and "TEST PASS" in (report / "TEST01/verify_performance.txt").read_text()
    elif not dishonest:
        assert passed
    classic = layout_of(report, "classic", tmp_path)
    for version in ("v6.0", "v6.1"):
        answer = says(upstream, tmp_path / version, classic, version, benchmark)
        assert ("Offline" in answer["accepted"]) is passed, answer["errors"]
        if dishonest:
            assert any(complaint in line for line in answer["errors"]), answer["errors"]


@pytest.mark.parametrize("dishonest", [False, True], ids=["honest", "dishonest"])
@pytest.mark.parametrize("test", ["test06", "test07", "test09"])
def test_the_endpoints_audit_is_taken_for_what_it_is(submission, upstream, tmp_path, test, dishonest):
    """v6.1: v6.0 has no score of one. No model that needs TEST01 may be an endpoints submission.

    TEST09 has no file there: the mean of the main run's outputs is looked at.
    """
    benchmark, _, _, cheat, _ = CASES[test]
    report, _ = submission(test, **(cheat if dishonest else {}))
    answer = says(upstream, tmp_path / "tree", layout_of(report, "endpoints", tmp_path), "v6.1", benchmark)
    assert ("Offline" in answer["accepted"]) is not dishonest, answer["errors"]
    if dishonest:
        said = "TEST 09" if test == "test09" else "compliance test can not be loaded"
        assert any(said in line for line in answer["errors"]), answer["errors"]
