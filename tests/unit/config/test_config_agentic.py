"""The load pattern agentic_inference and the block of its data set."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.config.agentic import AgenticInference

AGENTIC = """\
type: online
model_params: {name: m}
datasets:
  - path: c.jsonl
    agentic_inference: {enable_salt: true}
settings:
  load_pattern: {type: agentic_inference, target_concurrency: 1}
"""


def test_the_block_is_what_the_endpoints_tool_has(load):
    block = load(AGENTIC).benchmark.performance_dataset.agentic_inference
    assert block == AgenticInference(enable_salt=True)
    assert (block.turn_timeout_s, block.routing_headers, block.num_trajectories_to_issue) == (
        86400.0,
        ("X-Session-ID",),
        None,
    )


def test_under_the_load_pattern_the_file_holds_conversations_with_no_word_of_it(load):
    benchmark = load(AGENTIC.replace("    agentic_inference: {enable_salt: true}\n", "")).benchmark
    assert benchmark.performance_dataset.agentic_inference == AgenticInference()
    assert benchmark.scenario == "SingleStream"


@pytest.mark.parametrize(
    ("ruleset", "salted"),
    [("mlperf-endpoints-v1.0-2026-10-C1-A", True), ("mlperf-endpoints-v0.7", False)],
)
def test_a_ruleset_that_asks_for_a_salt_has_conversations_salted(load, ruleset, salted):
    """And so config.yaml says it, which goes to MLPerf beside the point."""
    text = AGENTIC.replace("enable_salt: true", "turn_timeout_s: 9")
    block = load(f"{text}submission_ref: {{model: m, ruleset: {ruleset}}}\n").benchmark.performance_dataset
    assert block.agentic_inference == AgenticInference(enable_salt=salted, turn_timeout_s=9)


MISTAKES = {
    "no concurrency": (
        (", target_concurrency: 1", ""),
        "settings.load_pattern.type: agentic_inference needs target_concurrency, the conversations played at a time",
    ),
    "another load pattern": (
        ("type: agentic_inference,", "type: concurrency,"),
        "datasets[0].agentic_inference: is for the load_pattern agentic_inference, and this is load_pattern concurr",
    ),
    "an accuracy data set": (
        ("path: c.jsonl\n", "path: c.jsonl\n  - path: d.jsonl\n    type: accuracy\n"),
        "datasets[1].agentic_inference: conversations are played in the performance run alone",
    ),
    "several processes": (
        ("settings:\n", "settings:\n  client: {num_workers: 2}\n"),
        "settings.client.num_workers: conversations are played by one process; take it out",
    ),
    "hosts": (
        ("settings:\n", "settings:\n  client: {hosts: ['2*popen']}\n"),
        "settings.client.hosts: conversations are played by one process; take it out",
    ),
    "a count of queries": (
        ("settings:\n", "settings:\n  runtime: {n_samples_to_issue: 9}\n"),
        "settings.runtime.n_samples_to_issue: has no meaning for conversations; use num_trajectories_to_issue",
    ),
    "no time for a turn": (
        ("enable_salt: true", "turn_timeout_s: 0"),
        "datasets[0].agentic_inference.turn_timeout_s: ",
    ),
    "a header of our own": (
        ("enable_salt: true", "routing_headers: [Content-Length]"),
        "datasets[0].agentic_inference.routing_headers[0]: belongs to the HTTP client",
    ),
    "no header": (
        ("enable_salt: true", "routing_headers: ['a: b']"),
        "datasets[0].agentic_inference.routing_headers[0]: is not a header name",
    ),
    "a header twice": (
        ("enable_salt: true", "routing_headers: [X-A, x-a]"),
        "datasets[0].agentic_inference.routing_headers[1]: is there twice",
    ),
    "a header of the endpoint": (
        ("settings:\n", "endpoint_config: {endpoints: ['http://h:1'], headers: {x-session-id: a}}\nsettings:\n"),
        "datasets[0].agentic_inference.routing_headers[0]: is among endpoint_config.headers, too",
    ),
    "an API without chat": (
        ("settings:\n", "endpoint_config: {api_type: sglang}\nsettings:\n"),
        "endpoint_config.api_type: conversations are sent as chat messages; use api_type openai",
    ),
    "a submission without its last turns": (
        (
            "type: online\n",
            "type: submission\nbenchmark_mode: online\n",
        ),
        "datasets[0].agentic_inference.stop_issuing_on_first_user_complete: no submission may leave turns out",
    ),
    "a wait longer than any run": (
        ("enable_salt: true", "turn_timeout_s: 1.0e+16"),
        "datasets[0].agentic_inference.turn_timeout_s: is longer than any run; leave it out for no limit",
    ),
    "an unknown key": (
        ("enable_salt", "enable_salts"),
        "datasets[0].agentic_inference.enable_salts: unknown key; did you mean 'enable_salt'?",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake(fault, name):
    (before, after), message = MISTAKES[name]
    assert before in AGENTIC
    text = AGENTIC.replace(before, after, 1)
    if "submission" in after:
        text = text.replace("enable_salt: true", "stop_issuing_on_first_user_complete: true")
    assert message in fault(text)
