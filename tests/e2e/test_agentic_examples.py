"""The endpoints tool's own YAMLs of conversations, unchanged, with stand-in data on the simulated endpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated.process import start
from tests.e2e.test_peer_examples import example

_EDGE = "examples/11_Edge_Agentic_Example"
_AGENTIC = "examples/10_Agentic_Inference"
_CALL = {"id": "t", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
EXAMPLES = {
    "kimi": (f"{_AGENTIC}/kimi_agentic_benchmark.yaml", 613, 8),
    "qwen": (f"{_AGENTIC}/qwen_agentic_benchmark.yaml", 613, 8),
    "edge": (f"{_EDGE}/online_edge_full_run.yaml", 20, 1),
}


def lines() -> Iterator[str]:
    """Yield 20 conversations of one turn and of two."""
    for number in range(20):
        rows: list[dict[str, Any]] = [{"role": "user", "system": "You fix bugs.", "content": f"fix {number}"}]
        if number % 2:
            rows += [{"role": "assistant", "tool_calls": [_CALL]}]
            rows += [{"role": "tool", "tool_results": [{"tool_call_id": "t", "content": f"file {number}"}]}]
        rows.append({"role": "assistant", "content": "done"})
        for turn, row in enumerate(rows, 1):
            yield json.dumps({"conversation_id": f"c{number}", "turn": turn, **row})


@pytest.fixture
def written(audit, monkeypatch):
    """Write an example, with its data where it names them and its variables set; return its name."""

    def write(name: str) -> str:
        path = EXAMPLES[name][0]
        text = example(path).replace("/path/to/", "./")  # a place that nobody has
        (audit.path / Path(path).name).write_text(text)
        (audit.path / _EDGE).mkdir(parents=True)
        for place in (audit.path, audit.path / _EDGE):
            for file in ("agentic_combined.jsonl", "agentic_coding_2.5h.jsonl"):
                (place / file).write_text("\n".join(lines()))
        monkeypatch.setenv("SWEBENCH_SERVICE_AUTH_TOKEN", "a-token-of-nobody")
        return Path(path).name

    return write


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[str]:
    """A simulated endpoint that the examples' own addresses are replaced by on the command line."""
    process = start(
        SimulatedConfig(service_time_ms=1, lanes=64), watch_pid=os.getpid(), log_file=tmp_path / "simulated.log"
    )
    yield process.url
    process.stop()


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_planned(audit, written, name):
    _, count, target = EXAMPLES[name]
    result = audit.run("--mlperf-plan", config=written(name))
    assert result.ret == 0
    passes, rest = divmod(count, 20)
    n_turns = passes * 30 + rest + rest // 2
    result.stdout.fnmatch_lines([f"*performance: {n_turns} queries, {count} conversations, {target} at a time*"])
    result.stdout.fnmatch_lines(["*warning: *is not scored (eval_method agentic_inference_inline)*"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_runs(audit, written, simulated, name):
    config = written(name)
    report = audit.path / "report"
    result = audit.run(f"--mlperf-endpoint={simulated}", f"--mlperf-report-dir={report}", config=config)
    verdict = json.loads((report / "verdict.json").read_text())
    statuses = {entry["id"]: entry["status"] for entry in verdict["audits"]}
    assert statuses == {"performance": "PASS"}, "\n".join(result.outlines[-30:])
    assert result.ret == 0
    order = verdict["audits"][0]["phases"][0]["spec"]["order"]
    assert (order["salt_seed"] is None) == (name == "edge")
    assert order["headers"] == ["X-Session-ID"]
