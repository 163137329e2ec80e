"""`pytest --mlperf-init`: files to begin with, which run as they are; nothing is overwritten."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from pytest_mlperf_audit.config.starter.written import KINDS
from tests.support.scripted_server import Server

WRITTEN = ["wan22.yaml", "prompts.jsonl", ".github/workflows/mlperf-audit.yml"]


def test_what_it_writes_runs(audit):
    (audit.path / "prompts.jsonl").unlink()
    result = audit.run("--mlperf-init", config=None)
    assert result.ret == 0
    result.stdout.fnmatch_lines([*(f"wrote {name}" for name in WRITTEN), "next: pytest --mlperf-config=wan22.yaml *"])
    audit.run("-k", "completion").assert_outcomes(passed=2, deselected=4)
    workflow = yaml.safe_load((audit.path / WRITTEN[2]).read_text())
    commands = [step.get("run", "") for step in workflow["jobs"]["audit"]["steps"]]
    assert "pytest --mlperf-config=wan22.yaml --junitxml=junit.xml" in commands


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_planned_and_is_valid(audit, kind):
    assert audit.run("--mlperf-init=k", f"--mlperf-api={kind}", "--mlperf-model=a'b", config=None).ret == 0
    path = next((audit.path / "k").glob("*.yaml"))
    assert audit.run("--mlperf-plan", config=path).ret == 0
    schema = json.loads(str(audit.run("--mlperf-schema", config=None).stdout))
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    assert yaml.safe_load(path.read_text())["model_params"]["name"] == "a'b"


@pytest.mark.parametrize("name", WRITTEN)
def test_nothing_is_overwritten(audit, name):
    (audit.path / "prompts.jsonl").unlink()
    path = audit.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    result = audit.run("--mlperf-init", config=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --mlperf-init: {name} exists and is not overwritten; *"])
    assert path.read_text() == "mine"
    assert [one for one in WRITTEN if (audit.path / one).exists()] == [name]


def test_an_endpoint_is_asked_and_named(audit):
    server = Server()
    server.get = lambda path: (200, {"data": [{"id": "the-model"}]}) if path == "/v1/models" else (404, {})
    try:
        result = audit.run("--mlperf-init=own", f"--mlperf-endpoint={server.url}", config=None)
    finally:
        server.close()
    assert result.ret == 0
    content = yaml.safe_load((audit.path / "own" / "audit.yaml").read_text())
    assert content["model_params"]["name"] == "the-model"
    assert content["endpoint_config"]["endpoints"] == [server.url]
    assert server.posts == []
    result.stdout.fnmatch_lines(["move .github to the top of your repository, *"])


def test_an_endpoint_that_is_not_there_leaves_nothing(audit, closed_port):
    result = audit.run("--mlperf-init=own", f"--mlperf-endpoint=http://127.0.0.1:{closed_port}", config=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (audit.path / "own").exists()


def test_a_file_in_the_way(audit):
    result = audit.run("--mlperf-init=prompts.jsonl", config=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --mlperf-init: *prompts.jsonl* cannot be written *"])


def test_an_api_without_built_in_inputs(audit):
    result = audit.run("--mlperf-init", "--mlperf-api=kserve_v2", config=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --mlperf-api: there are no built-in inputs for 'kserve_v2'; *"])
