"""load_config: the file itself, the warning about ignored keys, places for later messages."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.config.load import load_config
from pytest_mlperf_audit.config.peer import IGNORED, MOVED
from pytest_mlperf_audit.config.schema import json_schema
from pytest_mlperf_audit.errors import ConfigError


def fault_of(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, {}, environ={})
    return str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path):
    path = tmp_path / "none.yaml"
    assert fault_of(path) == f"{path}: no such file (looked in {Path.cwd()}); check --mlperf-config"


def test_a_directory(tmp_path: Path):
    assert fault_of(tmp_path) == f"{tmp_path}: is a directory; name the YAML file in it"


def test_a_path_through_a_file(tmp_path: Path):
    (tmp_path / "file").touch()
    assert "cannot be read (Not a directory); check its permissions" in fault_of(tmp_path / "file" / "x.yaml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.touch(mode=0o000)
    assert fault_of(path) == f"{path}: cannot be read (Permission denied); check its permissions"


def test_an_endless_file_is_not_read_to_its_end():
    assert fault_of(Path("/dev/zero")) == "zero: larger than 1 MiB; is this the configuration file?"


def test_path_is_absolute_and_where_names_file_line_and_key(audits, minimal: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("wan22.yaml").write_text(minimal + "audit:\n  test: test04\n  samples: 4\n  sample_index: 3\n")
    loaded = load_config(Path("wan22.yaml"), audits, environ={})
    assert loaded.path == tmp_path / "wan22.yaml"
    assert loaded.where("audit", "sample_index") == "wan22.yaml:9: audit.sample_index"
    assert loaded.where("audit", 0, "sample_index") == "wan22.yaml:9: audit.sample_index"
    assert loaded.where("datasets", 0, "path") == "wan22.yaml:5: datasets[0].path"
    assert loaded.where("settings", "load_pattern", "type") == "wan22.yaml:1: settings.load_pattern.type"
    assert loaded.where() == "wan22.yaml:1"


def test_ignored_keys_give_one_warning_that_lists_them(load, minimal: str):
    text = minimal + (
        "    generate_params: {a: 1}\nenable_cpu_affinity: true\nverbose: true\nsettings:\n  client:\n"
        "    log_level: INFO\n    api_key: hunter2\n    transport:\n      type: zmq\n  profiling: {engine: vllm}\n"
    )
    (warning,) = load(text).warnings
    assert warning == (
        "wan22.yaml: keys of the endpoints tool that have no meaning here, ignored: verbose (line 8), "
        "enable_cpu_affinity (line 7), datasets[0].generate_params (line 6), settings.profiling (line 15), "
        "settings.client.api_key (line 12), settings.client.log_level (line 11), settings.client.transport (line 13)"
    )


def test_no_ignored_key_no_warning(load, minimal: str):
    assert load(minimal).warnings == ()


@pytest.mark.parametrize("path", IGNORED, ids=lambda path: ".".join(map(str, path)))
def test_every_ignored_key_is_accepted(load, path: tuple[str, ...]):
    data: object = {"anything": ["at", "all"]}
    for part in reversed(path):
        data = [data] if part == "*" else {part: data}
    base = {"type": "offline", "model_params": {"name": "x"}, "datasets": [{"path": "a"}]}
    merged = _merged(base, data)
    loaded = load(json.dumps(merged))
    assert len(loaded.warnings) == 1
    assert ".".join(map(str, path)).replace(".*", "[0]") in loaded.warnings[0]


def _merged(base: object, extra: object) -> object:
    if isinstance(base, dict) and isinstance(extra, dict):
        return {**base, **{key: _merged(base.get(key), value) for key, value in extra.items()}}
    if isinstance(base, list) and isinstance(extra, list):
        return [_merged(base[0], extra[0])]
    return extra


#: Every key of the endpoints tool's schema at commits ea332753 (2026-08) and 0479710d (2026-09), by block.
PEER_KEYS = {
    "": "name version type submission_ref benchmark_mode model_params datasets settings endpoint_config report_dir "
    "timeout verbose enable_cpu_affinity audit",
    "model_params": "name temperature seed top_k top_p repetition_penalty presence_penalty frequency_penalty "
    "chat_template_kwargs max_new_tokens min_new_tokens skip_special_tokens osl_distribution streaming tokenizer_name",
    "submission_ref": "model ruleset",
    "datasets.*": "name type path format samples eval_method parser generate_params accuracy_config agentic_inference "
    "generation_config_override",
    "datasets.*.accuracy_config": "eval_method ground_truth extractor num_repeats extras",
    "datasets.*.generation_config_override": "temperature seed top_k top_p repetition_penalty presence_penalty "
    "frequency_penalty chat_template_kwargs max_new_tokens min_new_tokens skip_special_tokens osl_distribution",
    "settings": "runtime load_pattern client timeouts warmup profiling early_stopping service_ready_timeout_s metrics "
    "metrics_tokenizer_workers",
    "settings.runtime": "min_duration_ms max_duration_ms n_samples_to_issue scheduler_random_seed "
    "dataloader_random_seed min_issue_duration_ms max_issue_duration_ms",
    "settings.timeouts": "run_timeout_s endpoint_response_idle_timeout_s interrupted_teardown_grace_s "
    "service_ready_timeout_s warmup_drain_timeout_s performance_drain_timeout_s accuracy_drain_timeout_s "
    "metrics_drain_timeout_s worker_initialization_timeout_s worker_graceful_shutdown_wait_s "
    "worker_force_kill_timeout_s",
    "settings.load_pattern": "type target_qps target_concurrency use_legacy_loadgen_qps_metrics",
    "settings.client": "num_workers log_level warmup_connections auto_warmup_budget_fraction "
    "max_concurrent_warmup_connects max_connections transport stream_all_chunks worker_initialization_timeout "
    "worker_graceful_shutdown_wait worker_force_kill_timeout insecure max_idle_time min_required_connections "
    "worker_gc_mode endpoint_urls api_type api_key event_logs_dir cpu_affinity adapter accumulator",
    "settings.drain": "warmup_timeout_s performance_timeout_s accuracy_timeout_s metrics_drain_timeout_s "
    "metrics_tokenizer_workers",
    "settings.warmup": "enabled n_requests salt drain warmup_random_seed",
    "endpoint_config": "endpoints api_key api_type",
}


def _modelled(path: tuple[str, ...], schema: dict[str, Any]) -> bool:
    block = schema
    for part in path[:-1]:
        if part != "*":
            value = block["properties"][part]
            references = [
                kind["$ref"] for kind in [value, value.get("items", {}), *value.get("anyOf", [])] if "$ref" in kind
            ]
            block = schema["$defs"][references[0].removeprefix("#/$defs/")]
    return path[-1] in block["properties"] and not block["properties"][path[-1]].get("deprecated")


@pytest.mark.parametrize("block", PEER_KEYS)
def test_every_key_of_the_endpoints_tool_is_modelled_or_ignored_never_both(audits, block: str):
    schema = json_schema(audits)
    for key in PEER_KEYS[block].split():
        path = (*block.split("."), key) if block else (key,)
        ways = [path in IGNORED, path in MOVED]
        ways += [] if path[:2] == ("settings", "drain") else [_modelled(path, schema)]
        assert ways.count(True) == 1, path
