"""What the blocks hold once loaded: defaults, durations, properties that others rely on."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pytest_mlperf_audit.config.benchmark import Benchmark, benchmark_model
from pytest_mlperf_audit.config.block import AuditBlock, parse_duration_ms
from pytest_mlperf_audit.config.endpoint import EndpointConfig
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.config.settings import Runtime
from pytest_mlperf_audit.errors import ConfigError

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


@pytest.mark.parametrize(
    ("given_as", "milliseconds"),
    [
        (0, 0),
        (600000, 600000),
        ("600000", 600000),
        ("600000ms", 600000),
        ("600s", 600000),
        ("10m", 600000),
        ("4h", 14400000),
        ("1.5h", 5400000),
        (" 10 m ", 600000),
        ("0.001s", 1),
    ],
)
def test_durations(given_as: int | str, milliseconds: int):
    assert Runtime(max_duration_ms=given_as).max_duration_ms == milliseconds


@pytest.mark.parametrize(
    "value", [-1, "-1s", True, None, 1.5, "", "s", "10 minutes", "1e3", "1.5ms", "0.0001s", "٣s", []]
)
def test_what_is_no_duration(value: object):
    with pytest.raises(ValidationError):
        Runtime.model_validate({"max_duration_ms": value})


@given(st.integers(min_value=0, max_value=10**12), st.sampled_from(sorted(UNITS)))
def test_a_whole_duration_is_exact(number: int, unit: str):
    assert parse_duration_ms(f"{number}{unit}") == number * UNITS[unit]


@given(st.decimals(min_value=0, max_value=10**6, places=3))
def test_a_fraction_of_a_second_is_exact(seconds: Decimal):
    assert parse_duration_ms(f"{seconds}s") == seconds * 1000


@given(st.text())
def test_any_text_is_a_duration_or_refused(text: str):
    try:
        milliseconds = Runtime.model_validate({"max_duration_ms": text}).max_duration_ms
    except ValidationError:
        return
    assert milliseconds >= 0
    assert text.strip()[0] in "0123456789"


def test_defaults(load, minimal: str):
    benchmark = load(minimal).benchmark
    assert benchmark.name == "offline_benchmark"
    assert benchmark.version == "1.0"
    assert benchmark.audit == ()
    assert benchmark.report_dir is None
    assert benchmark.datasets[0].name == "rows"
    assert benchmark.datasets[0].type == "performance"
    assert benchmark.settings.runtime.min_duration_ms == 0
    assert benchmark.settings.timeouts.performance_drain_timeout_s is None
    assert benchmark.settings.client.query_timeout_s is None
    assert benchmark.settings.client.max_connections == -1
    assert benchmark.endpoint_config.endpoints == ()
    assert benchmark.endpoint_config.api_type == "openai"
    assert benchmark.endpoint_config.simulated.cache == "none"
    assert benchmark.model_params.max_new_tokens == 1024


@pytest.mark.parametrize(
    ("text", "mode", "scenario", "streaming"),
    [
        ("type: offline\n", "offline", "Offline", False),
        ("type: submission\nbenchmark_mode: offline\n", "offline", "Offline", False),
        (
            "type: online\nsettings: {load_pattern: {type: concurrency, target_concurrency: 1}}\n",
            "online",
            "SingleStream",
            True,
        ),
        (
            "type: online\nsettings: {load_pattern: {type: concurrency, target_concurrency: 8}}\n",
            "online",
            "Offline",
            True,
        ),
        ("type: online\nsettings: {load_pattern: {type: poisson, target_qps: 2}}\n", "online", "Server", True),
        (
            (
                "type: submission\nbenchmark_mode: online\n"
                "settings: {load_pattern: {type: concurrency, target_concurrency: 1}}\n"
            ),
            "online",
            "SingleStream",
            True,
        ),
        ("type: eval\n", None, "Offline", False),
    ],
)
def test_mode_scenario_and_streaming(load, text: str, mode: str | None, scenario: str, streaming: bool):
    benchmark = load(text + "model_params: {name: x}\ndatasets: [path: a]\n").benchmark
    assert benchmark.effective_mode == mode
    assert benchmark.scenario == scenario
    assert benchmark.streaming is streaming


@pytest.mark.parametrize(
    ("written", "streaming"),
    [("on", True), ("off", False), ('"on"', True), ('"off"', False), ("true", True), ("auto", False)],
)
def test_streaming_as_yaml_reads_it(load, written: str, streaming: bool):
    text = f"type: offline\nmodel_params: {{name: x, streaming: {written}}}\ndatasets: [path: a]\n"
    assert load(text).benchmark.streaming is streaming


@pytest.mark.parametrize(
    ("text", "tests"),
    [
        ("", []),
        ("audit:\n", []),
        ("audit: {test: test04, samples: 4}\n", ["test04"]),
        ("audit: {test: output_caching_test, samples: 4}\n", ["output_caching_test"]),
        ("audit:\n  - {test: test04, samples: 4, sample_index: [3, 1]}\n  - {test: judged}\n", ["test04", "judged"]),
    ],
)
def test_one_audit_several_or_none(load, minimal: str, text: str, tests: list[str]):
    assert [block.test for block in load(minimal + text).benchmark.audit] == tests


def test_a_single_known_audit_and_none(audits):
    one = benchmark_model({"test04": audits["test04"]})
    data = {"type": "offline", "model_params": {"name": "x"}, "datasets": [{"path": "a"}]}
    assert one.model_validate({**data, "audit": {"test": "test04", "samples": 1}}).audit[0].test == "test04"
    with pytest.raises(ValidationError):
        one.model_validate({**data, "audit": {"test": "judged"}})
    assert benchmark_model({}) is Benchmark


def test_an_audit_without_a_model_of_its_own_is_told_apart_by_its_id(audits):
    model = benchmark_model({**audits, "plain": AuditBlock})
    data = {"type": "offline", "model_params": {"name": "x"}, "datasets": [{"path": "a"}]}
    block = model.model_validate({**data, "audit": {"test": "plain", "only": True}}).audit[0]
    assert isinstance(block, AuditBlock)
    assert block.only
    with pytest.raises(ValidationError):
        model.model_validate({**data, "audit": {"test": "plane"}})


def test_the_models_name_may_come_from_the_submission(load):
    text = "type: offline\nsubmission_ref: {model: wan22, ruleset: mlperf-inference-v6.1}\ndatasets: [path: a]\n"
    assert load(text).benchmark.model_params.name == "wan22"


def test_an_eval_has_no_performance_data_set(load):
    benchmark = load("type: eval\nmodel_params: {name: x}\ndatasets: [{path: a, type: accuracy}]\n").benchmark
    with pytest.raises(ConfigError, match="none has type performance, which audits need"):
        benchmark.performance_dataset  # noqa: B018


def test_a_data_sets_own_generation_settings(load):
    text = (
        "type: offline\nmodel_params: {name: x, top_p: 0.5, max_new_tokens: 10}\n"
        "datasets:\n  - path: a\n    generation_config_override: {temperature: 0, top_p: null}\n"
    )
    benchmark = load(text).benchmark
    params = benchmark.performance_dataset.params(benchmark.model_params)
    assert (params.name, params.temperature, params.top_p, params.max_new_tokens) == ("x", 0, None, 10)
    assert isinstance(params, ModelParams)


def test_endpoints_are_normalized():
    endpoint = EndpointConfig(endpoints=["http://h:8000/", "https://h/v1/", "http://[::1]:9/a?x=1"])
    assert endpoint.endpoints == ("http://h:8000", "https://h/v1", "http://[::1]:9/a?x=1")
    assert endpoint.shown[2] == "http://[::1]:9/a"
    assert EndpointConfig(endpoints=None).endpoints == ()


def test_the_path_is_shown_without_its_query():
    endpoint = EndpointConfig(endpoints=["http://h"], path="/chat/completions?api-version=2&code=5ecret")
    assert endpoint.shown_path == "/chat/completions"
    assert "5ecret" not in repr(endpoint)
    assert (EndpointConfig().shown_path, EndpointConfig(path="").shown_path) == (None, "")


def test_formats_may_be_written_as_suffixes(load, minimal: str):
    assert load(minimal + "    format: .jsonl\n").benchmark.datasets[0].format == "jsonl"


def test_paths_stay_as_written(load, minimal: str):
    assert load(minimal).benchmark.datasets[0].path == Path("rows.jsonl")


def test_nothing_can_be_changed(load, minimal: str):
    benchmark = load(minimal).benchmark
    for block in (benchmark, benchmark.settings.runtime, benchmark.endpoint_config, benchmark.datasets[0]):
        with pytest.raises(ValidationError, match="frozen"):
            block.name = "x"


@pytest.mark.parametrize("value", ["true", "no"])
def test_a_truth_value_is_no_number(load, value: str) -> None:
    with pytest.raises(ConfigError, match=r"audit\.samples: expected a number, got (true|false)"):
        load(
            "type: offline\nmodel_params: {name: m}\ndatasets: [{path: p.jsonl}]\n"
            f"audit: {{test: test04, samples: {value}}}\n"
        )


def test_nul_is_refused_where_a_path_belongs(load) -> None:
    with pytest.raises(ConfigError, match="report_dir: has a NUL character; take it out"):
        load('type: offline\nmodel_params: {name: m}\ndatasets: [{path: p.jsonl}]\nreport_dir: "a\\0b"\n')
