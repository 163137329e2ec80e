"""Who and what was measured, and the command line: no secret and no directory of the machine is in either."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlperf_audit.config.benchmark import Benchmark
from pytest_mlperf_audit.session.identity import command_line, identity_of, without_secrets

HERE = Path("/somewhere/of/mine")


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (["--mlperf-config=wan22.yaml", "-m", "test04"], "pytest --mlperf-config=wan22.yaml -m test04"),
        (["--mlperf-config=/somewhere/of/mine/a/b.yaml"], "pytest --mlperf-config=a/b.yaml"),
        (["/elsewhere/of/mine/b.yaml::test04::score"], "pytest b.yaml::test04::score"),
        (
            ["--mlperf-endpoint=http://me:word@host:1/v1?key=x"],
            "pytest '--mlperf-endpoint=http://**********@host:1/v1?**********'",
        ),
        (["--api-key=abc", "--auth-token", "abc", "-x"], "pytest '--api-key=**********' --auth-token '**********' -x"),
        (["-o", "api_key=abc"], "pytest -o 'api_key=**********'"),
        ([HERE / "wan22.yaml"], "pytest wan22.yaml"),
    ],
)
def test_the_command_line_is_shown_without_secrets_and_directories(typed, shown):
    assert command_line(typed, HERE) == shown


def test_what_the_yaml_keeps_secret_is_taken_out():
    assert without_secrets("pytest -k sk-very-secret", ("sk-very-secret", "")) == "pytest -k **********"


def test_who_and_what_was_measured_is_what_the_yaml_names():
    given = {
        "type": "offline",
        "datasets": [{"name": "prompts", "path": "prompts.jsonl", "type": "performance"}],
        "submission_ref": {
            "model": "wan-2.2-t2v-a14b",
            "ruleset": "mlperf-inference-v6.1",
            "submitter": "Us",
            "system": "8x A",
        },
        "endpoint_config": {"api_type": "videogen"},
    }
    assert identity_of(Benchmark.model_validate(given)) == {
        "submitter": "Us",
        "system": "8x A",
        "benchmark": "wan-2.2-t2v-a14b",
        "ruleset": "mlperf-inference-v6.1",
    }
