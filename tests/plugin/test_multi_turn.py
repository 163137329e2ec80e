"""Conversations from the YAML to the verdict: the load pattern agentic_inference as a user meets it."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest

from tests.support.forge import believed, edit_phase
from tests.support.scripted_server import ANSWER, Server

CALL = {"id": "t", "type": "function", "function": {"name": "bash", "arguments": "{}"}}


def conversation(name, n_tools, system="You help."):
    """A user's question, as many calls of a tool, and an answer."""
    rows = [{"role": "user", "content": f"{name} asks", **({"system": system} if system else {})}]
    for at in range(n_tools):
        rows.append({"role": "assistant", "tool_calls": [CALL]})
        rows.append({"role": "tool", "tool_results": [{"tool_call_id": "t", "content": f"{name} {at}"}]})
    rows.append({"role": "assistant", "content": "done"})
    return [{"conversation_id": name, "turn": turn, **row} for turn, row in enumerate(rows, 1)]


@pytest.fixture
def agentic(audit):
    """Write a YAML that plays conversations of 1, 2 and 3 turns, on the embedded endpoint without a server."""

    def write(server=None, system="You help.", *, audits=None, settings=None, submission_ref=None, **block):
        rows = [row for at in range(3) for row in conversation(f"c{at}", at, system)]
        (audit.path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        endpoint = {"endpoints": [server.url]} if server else {"simulated": {"service_time_ms": 1}}
        audit.config(
            type="online",
            audit=audits,
            submission_ref=submission_ref,
            datasets=[{"path": "c.jsonl", "agentic_inference": block}],
            settings=settings or {"load_pattern": {"type": "agentic_inference", "target_concurrency": 2}},
            endpoint_config={"api_type": "openai", "endpoints": None, **endpoint},
        )

    return write


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def queries(audit):
    text = (audit.report() / "performance/queries.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def main_run(audit):
    return next(entry for entry in audit.verdict()["audits"] if entry["id"] == "performance")


def test_a_run_and_its_recheck(audit, agentic):
    agentic(enable_salt=True, num_trajectories_to_issue=4)
    audit.run().assert_outcomes(passed=2)
    found = main_run(audit)
    assert found["status"] == "PASS"
    assert {(query["conversation"], query["turn"]) for query in queries(audit)} == {
        ("c0", 1),
        ("c1", 1),
        ("c1", 3),
        ("c2", 1),
        ("c2", 3),
        ("c2", 5),
        ("c0__repeat_2", 1),
    }
    assert any("carried a salt of 64 bits" in note for note in found["notes"])
    assert audit.run(f"--mlperf-recheck={audit.report()}", config=None).ret == 0


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"salt_seed": None}, "enable_salt False"),
        ({"headers": []}, "routing_headers ()"),
        ({"tool_delays": True}, "inject_tool_delay True"),
    ],
)
def test_records_of_another_way_to_play_contradict_the_configuration(audit, agentic, change, key):
    """Whoever edits the record computes verdict and digests anew."""
    agentic(enable_salt=True, num_trajectories_to_issue=4)
    assert audit.run().ret == 0
    phase = audit.report() / "performance"
    order = json.loads((phase / "phase.json").read_text())["spec"]["order"]
    edit_phase(phase, spec={"order": {**order, **change}})
    believed(audit.report())
    result = audit.run(f"--mlperf-recheck={audit.report()}", config=None)
    assert result.ret == 1
    assert f"phase performance was played with {key}, config.yaml asks for" in str(result.stdout)


def test_the_plan_says_what_is_played(audit, agentic):
    agentic(num_trajectories_to_issue=4)
    audit.run("--mlperf-plan").stdout.fnmatch_lines(
        ["*data set: c, 6 rows loaded", "*performance: 7 queries, 4 conversations, 2 at a time*"]
    )


@pytest.mark.parametrize("division", [None, "standardized-con", "standardized-cop"])
def test_prefixes_of_conversations_are_forbidden_by_a_ruleset_alone(audit, agentic, division):
    ruleset = {"model": "wan22", "ruleset": "mlperf-endpoints-v1.0-2026-10-C1-A", "division": division}
    probe = {"test": "cache_probe", "samples": None, "sample_index": None, "threshold": None, "probe": None}
    agentic(audits=probe, submission_ref=ruleset if division else None)
    text = (audit.path / "wan22.yaml").read_text()
    (audit.path / "wan22.yaml").write_text(text.replace("test: cache_probe", "test: cache_probe\n  samples: made_up"))
    checks = [line for line in audit.run("--mlperf-plan").outlines if "checks:" in line]
    assert "no_cache[response]" in checks[0]
    assert ("no_cache[prefix]" in checks[0]) is (division == "standardized-con")


def test_a_turn_that_fails_in_mid_conversation_is_no_pass(audit, agentic, server):
    def post(_path, body):
        return (500, {}) if body["messages"][-1]["content"] == "c2 0" else (200, ANSWER)

    server.post = post
    agentic(server)
    result = audit.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "4 of 6 queries completed, at least 6 needed",
            "*failed: 1 http_500; 1 never sent, behind a turn of their conversation that failed",
        ]
    )
    assert main_run(audit)["phases"][0]["stopped_by"] == "failed_turns"
    assert audit.run(f"--mlperf-recheck={audit.report()}", config=None).ret == 1


def test_a_turn_that_was_turned_away_leaves_no_verdict(audit, agentic, server):
    def post(_path, body):
        return (429, {}) if body["messages"][-1]["content"] == "c2 0" else (200, ANSWER)

    server.post = post
    agentic(server)
    assert audit.run().ret == 6
    assert main_run(audit)["status"] == "NO_VERDICT"


def test_a_salt_without_a_system_prompt_is_a_mistake(audit, agentic, server):
    agentic(server, system=None, enable_salt=True)
    result = audit.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*c.jsonl line 1 (conversation 'c0'): has no system prompt, where enable_salt *"])
    assert not server.posts


@pytest.mark.parametrize(("count", "whole"), [(None, True), (4, False), (6, True)])
def test_a_ruleset_that_asks_for_a_salt_and_whole_passes(audit, agentic, server, count, whole):
    ruleset = {"model": "wan22", "ruleset": "mlperf-endpoints-v1.0-2026-10-C1-A"}
    agentic(server, submission_ref=ruleset, **({"num_trajectories_to_issue": count} if count else {}))
    assert audit.run().ret == (0 if whole else 6)
    checks = {check["name"]: check["status"] for check in main_run(audit)["checks"]}
    assert checks["salted"] == "passed"
    assert checks["whole_passes"] == ("passed" if whole else "error")
    contents = [body["messages"][0]["content"] for _, body in server.posts[1:]]
    assert all(content.count("[salt: ") == 2 for content in contents)
    assert "enable_salt: true" in (audit.report() / "config.yaml").read_text()
    assert audit.run(f"--mlperf-recheck={audit.report()}", config=None).ret == (0 if whole else 6)


def test_a_line_that_is_wrong_is_a_mistake(audit, agentic, server):
    agentic(server)
    with (audit.path / "c.jsonl").open("a") as file:
        file.write(json.dumps({"conversation_id": "c9", "turn": 2, "role": "user", "content": "x"}) + "\n")
    result = audit.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["*c.jsonl line 13 (conversation 'c9', turn 2): its turn should be 1; number the lines*"]
    )
    assert not server.posts


@pytest.mark.parametrize("count", [3, 4])
def test_a_conversation_must_not_be_called_as_a_repeat_is(audit, agentic, server, count):
    agentic(server, num_trajectories_to_issue=count)
    text = (audit.path / "c.jsonl").read_text()
    (audit.path / "c.jsonl").write_text(text.replace('"c0"', '"c1__repeat_2"'))
    result = audit.run()
    assert result.ret == (0 if count == 3 else 4)
    if count == 4:
        result.stderr.fnmatch_lines(["*c.jsonl line 1: a conversation is called 'c1__repeat_2', as a repeat would be*"])


@pytest.mark.parametrize(("kind", "ret"), [("online", 0), ("submission", 6)])
def test_replies_that_are_to_be_scored_inline_are_not(audit, agentic, server, kind, ret):
    agentic(server)
    text = (audit.path / "wan22.yaml").read_text().replace("type: online", f"type: {kind}\nbenchmark_mode: online")
    scored = "- path: c.jsonl\n  accuracy_config: {eval_method: agentic_inference_inline}"
    text = text.replace("- path: c.jsonl", scored)
    (audit.path / "wan22.yaml").write_text(text)
    result = audit.run()
    assert result.ret == ret
    result.stdout.fnmatch_lines(["*warning: the performance data set 'c' is not scored*(eval_method*"])
    statuses = {entry["id"]: entry["status"] for entry in audit.verdict()["audits"]}
    assert statuses == {"performance": "PASS"} | ({"accuracy": "NO_VERDICT"} if ret else {})


@pytest.mark.own_process
def test_ctrl_c_in_mid_conversation(audit, agentic, server, until):
    over = threading.Event()

    def post(_path, body):
        if body["messages"][-1]["content"] == "c1 0":
            over.wait(60)
        return 200, ANSWER

    server.post = post
    agentic(server, settings={"load_pattern": {"type": "agentic_inference", "target_concurrency": 1}})
    session = audit.start()
    until(lambda: any(body["messages"][-1]["content"] == "c1 0" for _, body in server.posts), "the turn that hangs")
    os.killpg(session.pid, signal.SIGINT)
    output, _ = session.communicate()
    over.set()
    assert session.returncode == 2, output
    phase = json.loads((audit.report() / "performance/phase.json").read_text())
    assert (phase["status"], phase["figures"]["n_issued"]) == ("interrupted", 3)
    assert [query.get("outcome") for query in queries(audit)] == [None, None, "cancelled"]
    assert audit.verdict()["status"] == "NO_VERDICT"


@pytest.mark.parametrize("layout", ["endpoints", "both"])
def test_mlperf_files_have_the_measured_time_alone(audit, agentic, server, layout):
    agentic(server, num_trajectories_to_issue=3)
    assert audit.run(f"--mlperf-layout={layout}").ret == 0
    summary = json.loads((audit.report() / "performance/result_summary.json").read_text())
    figures = main_run(audit)["phases"][0]["figures"]
    assert figures["n_issued"] == 6
    assert summary["n_samples_issued"] == summary["n_samples_completed"] == 6 - figures["n_late"]
    assert summary["qps"] == figures["qps"]


def test_audits_send_the_middle_turn_of_each_conversation(audit, agentic, server):
    agentic(server, audits={"test": "test04", "only": True, "samples": 3, "sample_index": 2, "threshold": 0.9})
    audit.run()
    reference = audit.phase("reference")
    assert reference["figures"]["n_distinct_samples"] == 3
    assert reference["spec"]["load"] == {"type": "concurrency", "target": 2}
    sent = [body["messages"][-1]["content"] for _, body in server.posts]
    assert {"c0 asks", "c1 0", "c2 0"} <= set(sent)
    assert not {"c1 asks", "c2 asks", "c2 1"} & set(sent)
