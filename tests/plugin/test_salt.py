"""MLPerf Endpoints v1.0: the performance run is salted by the seed set, and that shows on the wire."""

from __future__ import annotations

import json

import pytest

ENDPOINTS = {"model": "llama3.1-8b", "ruleset": "mlperf-endpoints-v1.0-2026-10-C1-A"}
SAMPLE_INDEX = 586478644936801402


@pytest.fixture
def salted(audit):
    """Write a YAML of a performance run and an accuracy run against the embedded chat endpoint."""

    def write(rows=None, simulated=None, **blocks) -> None:
        rows = rows or [{"system": "Be brief.", "prompt": f"question {row}", "answer": "x"} for row in range(8)]
        (audit.path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        accuracy = {"eval_method": "exact_match", "ground_truth": "answer"}
        blocks = {
            "type": "online",
            "audit": None,
            "submission_ref": ENDPOINTS,
            "model_params": {"name": "m", "streaming": "off"},
            "datasets": [
                {"name": "perf", "path": "prompts.jsonl"},
                {"name": "acc", "path": "prompts.jsonl", "type": "accuracy", "accuracy_config": accuracy},
            ],
            "settings": {"load_pattern": {"type": "concurrency", "target_concurrency": 4}},
            "endpoint_config": {"api_type": "openai", "simulated": simulated or {"service_time_ms": 1}},
            **blocks,
        }
        audit.config(None, **blocks)

    return write


def digests(audit, phase: str) -> list[str]:
    """Return the digest of each request, in the order they were issued."""
    lines = map(json.loads, (audit.report() / phase / "queries.jsonl").read_text().splitlines())
    return [line["request"] for line in sorted(lines, key=lambda line: line["query"])]


def test_each_query_of_the_performance_run_is_new_and_the_accuracy_run_is_not_salted(audit, salted):
    settings = {
        "load_pattern": {"type": "concurrency", "target_concurrency": 4},
        "runtime": {"n_samples_to_issue": 24},
    }
    salted(settings=settings)
    result = audit.run("-v")
    assert result.ret == 0, str(result.stdout)
    for name in ("salted", "whole_passes"):
        result.stdout.fnmatch_lines([f"*wan22.yaml::performance::{name} PASSED*"])
    sent, scored = digests(audit, "performance"), digests(audit, "accuracy/acc")
    assert len(set(sent)) == len(sent) == 24
    assert len(set(scored)) == len(scored) == 8
    assert not set(sent) & set(scored)
    spec = json.loads((audit.report() / "performance/phase.json").read_text())["spec"]
    assert (spec["nonce"], spec["nonce_seed"]) == ("salt", SAMPLE_INDEX)
    assert audit.run(f"--mlperf-recheck={audit.report()}", config=None).ret == 0
    assert audit.run().ret == 0
    assert digests(audit, "performance") == sent, "the salts are those of the seed set in every run"


def test_part_of_a_pass_is_undecided_with_the_cure(audit, salted):
    salted(settings={
        "load_pattern": {"type": "concurrency", "target_concurrency": 4}, "runtime": {"n_samples_to_issue": 10},
    })  # fmt: skip
    result = audit.run()
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*10 queries of 8 rows are 1.25 passes over the data set*"])


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_floor_takes_the_run_to_the_end_of_a_pass(audit, salted, num_workers):
    load = {"type": "concurrency", "target_concurrency": 4}
    settings = {
        "load_pattern": load,
        "runtime": {"min_duration_ms": 100},
        "client": {"num_workers": num_workers},
    }
    salted(settings=settings)
    assert audit.run("-m", "performance").ret == 0
    issued = len(digests(audit, "performance"))
    assert issued > 8
    assert issued % 8 == 0


def test_no_other_ruleset_salts(audit, salted):
    salted(submission_ref={"model": "llama3.1-8b", "ruleset": "mlperf-endpoints-v0.7"})
    assert audit.run().ret == 0
    assert json.loads((audit.report() / "performance/phase.json").read_text())["spec"]["nonce"] == "none"
    assert set(digests(audit, "performance")) == set(digests(audit, "accuracy/acc"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"input_tokens": [5, 6, 7]}, "*its prompt is the token ids of 'input_tokens'*"),
        (
            {"messages": [{"role": role, "content": "a"} for role in ("system", "user", "assistant", "user")]},
            "*it has 2 messages of the user*",
        ),
    ],
    ids=["token ids", "turns"],
)
def test_a_row_that_cannot_be_salted_is_a_fault(audit, salted, row, message):
    api = "openai_completions" if "input_tokens" in row else "openai"
    salted([row] * 4, datasets=[{"name": "perf", "path": "prompts.jsonl"}], endpoint_config={"api_type": api})
    result = audit.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*prompts.jsonl line 1: the ruleset mlperf-endpoints-v1.0*asks for a salt*{message}"])
