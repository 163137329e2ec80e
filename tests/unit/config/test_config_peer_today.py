"""The endpoints tool's YAML as it is since its waits stand in `settings.timeouts`; and keys of before beside it."""

from __future__ import annotations

import pytest
import yaml

from pytest_mlperf_audit.config.peer import is_ignored
from pytest_mlperf_audit.config.redact import resolved_yaml

HEAD = "type: online\nmodel_params: {name: m, tokenizer_name: '${UNSET}'}\ndatasets: [path: a]\n"
POISSON = "  load_pattern: {type: poisson, target_qps: 10}\n"
CLOSED = "  load_pattern: {type: concurrency, target_concurrency: 2}\n"

TODAY = """\
settings:
  runtime:
    min_issue_duration_ms: 60s
    max_issue_duration_ms: 10m
    n_samples_to_issue: null
  timeouts:
    run_timeout_s: 900
    endpoint_response_idle_timeout_s: 300
    interrupted_teardown_grace_s: 30
    service_ready_timeout_s: 20
    warmup_drain_timeout_s: 12.5
    performance_drain_timeout_s: 30
    accuracy_drain_timeout_s: null
    metrics_drain_timeout_s: 300
  metrics: {tokenizer_workers: 2}
  metrics_tokenizer_workers: 4
  profiling: {engine: vllm, urls: ["http://${NOWHERE}:1"]}
  load_pattern: {type: poisson, target_qps: 10}
"""

BEFORE = """\
timeout: 900
settings:
  drain: {warmup_timeout_s: 12.5, performance_timeout_s: 30.0, accuracy_timeout_s: null, metrics_drain_timeout_s: 0}
  load_pattern: {type: poisson, target_qps: 10}
"""


def test_every_key_of_today(load):
    loaded = load(HEAD + TODAY)
    settings = loaded.benchmark.settings
    assert settings.timeouts.model_dump() == {
        "run_timeout_s": 900,
        "endpoint_response_idle_timeout_s": 300,
        "service_ready_timeout_s": 20,
        "warmup_drain_timeout_s": 12.5,
        "performance_drain_timeout_s": 30,
        "accuracy_drain_timeout_s": None,
    }
    assert (settings.runtime.n_samples_to_issue, settings.runtime.min_duration_ms) == (600, 0)
    assert settings.runtime.max_duration_ms == 600_000
    (warning,) = loaded.warnings
    for key in ("tokenizer_name", "interrupted_teardown_grace_s", "metrics_drain_timeout_s", "metrics", "profiling"):
        assert f"{key} (line " in warning


def test_keys_of_before_are_read_under_their_name_of_today(load):
    loaded = load(HEAD + BEFORE)
    waits = loaded.benchmark.settings.timeouts
    assert (waits.run_timeout_s, waits.warmup_drain_timeout_s, waits.performance_drain_timeout_s) == (900, 12.5, 30)
    told = "read as settings.timeouts.run_timeout_s, which ends a run that takes longer, without a verdict"
    assert loaded.warnings[1:] == (f"wan22.yaml:4: timeout: {told}",)


@pytest.mark.parametrize("nothing", ["timeout: null\n", "settings: {drain: null}\n", "settings: {drain: {}}\n"])
def test_nothing_given_is_no_limit(load, minimal, nothing):
    waits = load(minimal + nothing).benchmark.settings.timeouts
    assert waits.run_timeout_s is waits.performance_drain_timeout_s is None


@pytest.mark.parametrize(
    ("settings", "n_samples"),
    [
        ("  runtime: {min_issue_duration_ms: 60s}\n", 600),
        ("  runtime: {min_issue_duration_ms: 60s, n_samples_to_issue: 7}\n", 7),
        ("  runtime: {min_issue_duration_ms: null}\n", None),
        ("  runtime: {min_duration_ms: 60s}\n  timeouts: {run_timeout_s: 900}\n", 600),
    ],
)
def test_a_poisson_run_may_be_sized_by_time(load, settings, n_samples):
    loaded = load(HEAD + "settings:\n" + POISSON + settings)
    runtime = loaded.benchmark.settings.runtime
    assert (runtime.n_samples_to_issue, runtime.min_duration_ms) == (n_samples, 0)
    said = [warning for warning in loaded.warnings if "min_duration_ms" in warning]
    assert len(said) == (" min_duration_ms" in settings or "{min_duration_ms" in settings)
    assert all("it sizes the run, as target_qps times this duration" in warning for warning in said)


@pytest.mark.parametrize(
    "settings",
    [
        POISSON + "  runtime: {min_duration_ms: 60s}\n",
        POISSON + "  runtime: {min_duration_ms: 60s}\n  timeouts: {service_ready_timeout_s: 1}\n",
        POISSON + "  runtime: {min_duration_ms: 60s}\n  drain: {performance_timeout_s: 240}\n",
        CLOSED + "  runtime: {min_duration_ms: 60s}\n  timeouts: {run_timeout_s: 900}\n",
    ],
)
def test_elsewhere_min_duration_ms_is_a_floor(load, settings):
    runtime = load(HEAD + "settings:\n" + settings).benchmark.settings.runtime
    assert (runtime.min_duration_ms, runtime.n_samples_to_issue) == (60_000, None)


def test_a_finished_runs_file_means_what_it_meant(load, load_as_written):
    """config.yaml names every key, so that its own blocks must not make a floor a count."""
    for text in (HEAD + TODAY, HEAD + BEFORE):
        first = load(text).benchmark
        again = load_as_written(resolved_yaml(first)).benchmark
        assert again.settings == first.settings
    floor = yaml.safe_load(resolved_yaml(load(HEAD + BEFORE).benchmark))
    floor["settings"]["runtime"]["min_duration_ms"] = 5000
    assert load_as_written(yaml.safe_dump(floor)).benchmark.settings.runtime.min_duration_ms == 5000


MISTAKES = {
    "settings:\n  drain: {performance_timeout_s: 0}\n": (
        "wan22.yaml:7: settings.timeouts.performance_drain_timeout_s: must be greater than 0.0, got 0"
    ),
    "timeout: soon\n": "wan22.yaml:6: settings.timeouts.run_timeout_s: expected a number, got 'soon'",
    "timeout: 5\nsettings:\n  timeouts: {run_timeout_s: 6}\n": (
        "wan22.yaml:6: timeout: is settings.timeouts.run_timeout_s, which is there as well; keep one"
    ),
    "settings:\n  runtime: {min_issue_duration_ms: 60s}\n": (
        "wan22.yaml:7: settings.runtime.min_issue_duration_ms: sizes a poisson run, and the load pattern is "
        "max_throughput; use n_samples_to_issue for a count, or min_duration_ms for a least duration"
    ),
    "timeout: 5\nsettings: 7\n": "wan22.yaml:7: settings: expected a mapping of keys, got 7",
    "settings:\n  drain: 7\n": "wan22.yaml:7: settings.drain: unknown key",
}


@pytest.mark.parametrize("text", MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_told_with_its_line(fault, minimal, text):
    assert fault(minimal + text).startswith(MISTAKES[text])


def test_variables_of_keys_that_nobody_reads_need_not_be_set(load, fault, minimal):
    assert is_ignored(("settings", "profiling", "urls", 0))
    assert is_ignored(("datasets", 3, "generate_params", "subset"))
    assert not is_ignored(("settings", "timeouts", "run_timeout_s"))
    load(HEAD + TODAY)
    extras = "datasets:\n  - path: a\n    accuracy_config: {extras: {token: '${SERVICE_TOKEN}'}}\n"
    loaded = load(minimal.replace("datasets:\n  - path: rows.jsonl\n", extras))
    assert loaded.benchmark.datasets[0].accuracy_config.extras == {"token": "${SERVICE_TOKEN}"}
    assert "UNSET is not set" in fault(minimal.replace("rows.jsonl", "${UNSET}"))
