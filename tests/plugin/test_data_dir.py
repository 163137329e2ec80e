"""--mlperf-data-dir: data sets that the YAML knows by name alone are files there, and nothing is ever downloaded."""

from __future__ import annotations

import json

import pytest
import yaml

CHAT = {"api_type": "openai"}
LLM = {"name": "m", "streaming": "off"}
SETS = [
    {"name": "cnn_dailymail::llama3_8b", "type": "performance", "samples": 6, "parser": {"input": "prompt"}},
    {
        "name": "cnn_dailymail::llama3_8b",
        "type": "accuracy",
        "parser": {"input": "prompt"},
        "accuracy_config": {"eval_method": "exact_match", "ground_truth": "highlights"},
    },
]


@pytest.fixture
def named(audit):
    """Write a YAML of two data sets by name, and MLPerf's file of them with stand-in texts."""

    def write(datasets=SETS, file: str = "cnn_eval.json", rows: list[dict[str, str]] | None = None) -> None:
        (audit.path / "data").mkdir(exist_ok=True)
        rows = rows or [
            {"instruction": "Sum it up:\n{input}\nSummary:", "input": f"news {row}", "output": f"short {row}"}
            for row in range(8)
        ]
        (audit.path / "data" / file).write_text(json.dumps(rows))
        simulated = {"service_time_ms": 1}
        audit.config(
            None, audit=None, datasets=datasets, model_params=LLM, endpoint_config={**CHAT, "simulated": simulated}
        )

    return write


@pytest.mark.parametrize("way", ["option", "ini"])
def test_a_data_set_by_name(audit, named, way):
    named()
    given = ["--mlperf-data-dir=data"] if way == "option" else ["-o", "mlperf_data_dir=data"]
    result = audit.run(*given)
    assert result.ret == 0, str(result.stdout)
    config = yaml.safe_load((audit.report() / "config.yaml").read_text())
    assert [one["path"] for one in config["datasets"]] == [str((audit.path / "data/cnn_eval.json").resolve())] * 2
    queries = (audit.report() / "accuracy/cnn_dailymail-llama3_8b/queries.jsonl").read_text().splitlines()
    assert {json.loads(line)["expected"] for line in queries} == {f"short {row}" for row in range(8)}
    assert audit.run(f"--mlperf-recheck={audit.report()}", config=None).ret == 0


def test_the_prompt_is_the_instruction_filled_in(audit, named):
    named()
    result = audit.run("--mlperf-data-dir=data", "--mlperf-plan")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*first row: {*'prompt': 'Sum it up:?nnews 0?nSummary:'*"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "*'cnn_dailymail::llama3_8b': has no path, and nothing is downloaded; name the directory*"),
        (["--mlperf-data-dir=nowhere"], "*--mlperf-data-dir: *nowhere is no directory; *"),
        (["--mlperf-data-dir=empty"], "*datasets[[]0]: *no file of it in *empty; looked for *cnn_eval.json*"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_sent(audit, named, given, message):
    named()
    (audit.path / "empty").mkdir()
    result = audit.run(*given)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    assert len([line for line in result.errlines if line.strip()]) == 1


def test_an_accuracy_data_set_that_is_not_there_is_left_out(audit, named):
    aime = {"name": "aime25::gptoss", "type": "accuracy", "accuracy_config": {"eval_method": "pass_at_1"}}
    named([SETS[0], aime])
    result = audit.run("--mlperf-data-dir=data")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*data set 'aime25::gptoss': no file of it in *"])
    assert [entry["id"] for entry in audit.verdict()["audits"]] == ["performance"]
