"""Files of the endpoints tool, as their users have them, load unchanged. Their content, in our words."""

from __future__ import annotations

import pytest

WAN_OFFLINE = """\
name: "video-offline"
version: "1.0"
type: "submission"
benchmark_mode: "offline"
model_params:
  name: "wan22"
  max_new_tokens: 1
  streaming: "off"
datasets:
  - name: video_perf
    path: examples/video/prompts.jsonl
    type: "performance"
    samples: 144
  - name: video_quality
    path: examples/video/prompts.jsonl
    type: "accuracy"
    samples: 248
    accuracy_config:
      eval_method: "vbench"
      ground_truth: "prompt"
      num_repeats: 1
audit:
  test: "output_caching_test"
  samples: 144
  audit_samples: 144
  sample_index: 3
  threshold: 0.10
settings:
  runtime:
    max_duration_ms: 14400000
    scheduler_random_seed: 42
    dataloader_random_seed: 42
    n_samples_to_issue: 144
  load_pattern:
    type: "max_throughput"
endpoint_config:
  endpoints:
    - "http://localhost:8000"
  api_type: "videogen"
  api_key: null
report_dir: logs/video
"""

WAN_SINGLE_STREAM = (
    WAN_OFFLINE.replace('benchmark_mode: "offline"', 'benchmark_mode: "online"')
    .replace("14400000", "7200000")
    .replace("144", "20")
    .replace("0.10", "0.20")
    .replace('type: "max_throughput"', 'type: "concurrency"\n    target_concurrency: 1')
)

LLM_ONLINE = """\
name: "chat"
version: "1.0"
type: "online"
model_params:
  name: "some/model-8b"
  temperature: 0.0
  top_p: 1.0
  max_new_tokens: 128
  osl_distribution: {type: fixed, mean: 100}
datasets:
  - name: summaries::model
    type: accuracy
    samples: 100
    parser: {input: prompt}
    accuracy_config: {eval_method: rouge, ground_truth: highlights, extractor: identity_extractor}
  - name: summaries::model
    type: performance
    samples: 100
    parser: {prompt: article}
settings:
  runtime:
    min_duration_ms: 10m
    max_duration_ms: 1800000
  load_pattern: {type: poisson, target_qps: 10.0, use_legacy_loadgen_qps_metrics: false}
  client: {num_workers: 4, log_level: INFO, max_connections: 50, warmup_connections: 0}
  drain: {performance_timeout_s: 240.0, metrics_drain_timeout_s: 60}
endpoint_config:
  endpoints: ["http://localhost:8000", "http://localhost:8001"]
  api_key: null
enable_cpu_affinity: true
verbose: false
"""


@pytest.mark.parametrize(
    ("text", "mode", "scenario", "n", "threshold", "ceiling_h"),
    [(WAN_OFFLINE, "offline", "Offline", 144, 0.1, 4), (WAN_SINGLE_STREAM, "online", "SingleStream", 20, 0.2, 2)],
    ids=["offline", "single_stream"],
)
def test_video_submissions(load, text: str, mode: str, scenario: str, n: int, threshold: float, ceiling_h: int):
    loaded = load(text)
    benchmark = loaded.benchmark
    assert loaded.warnings == ()
    assert (benchmark.effective_mode, benchmark.scenario, benchmark.streaming) == (mode, scenario, False)
    assert benchmark.performance_dataset.name == "video_perf"
    assert benchmark.performance_dataset.samples == n
    assert benchmark.datasets[1].accuracy_config.eval_method == "vbench"
    assert benchmark.settings.runtime.n_samples_to_issue == n
    assert benchmark.settings.runtime.max_duration_ms == ceiling_h * 3_600_000
    (audit,) = benchmark.audit
    assert (audit.samples, audit.audit_samples, audit.sample_index, audit.threshold) == (n, n, 3, threshold)
    assert not audit.only
    assert benchmark.endpoint_config.endpoints == ("http://localhost:8000",)
    assert benchmark.endpoint_config.api_type == "videogen"
    assert str(benchmark.report_dir) == "logs/video"


def test_audit_alone(load):
    (audit,) = load(WAN_OFFLINE.replace("audit:\n", "audit:\n  only: true\n")).benchmark.audit
    assert audit.only


def test_an_llm_benchmark(load):
    loaded = load(LLM_ONLINE)
    assert loaded.benchmark.scenario == "Server"
    assert loaded.benchmark.streaming
    assert loaded.benchmark.settings.runtime.min_duration_ms == 600000
    assert loaded.benchmark.settings.timeouts.performance_drain_timeout_s == 240
    assert loaded.benchmark.performance_dataset.parser == {"prompt": "article"}
    assert loaded.benchmark.settings.client.num_workers == 4
    (warning,) = loaded.warnings
    ignored = (
        "enable_cpu_affinity (line 30)",
        "verbose (line 31)",
        "model_params.osl_distribution (line 9)",
        "settings.load_pattern.use_legacy_loadgen_qps_metrics (line 24)",
        "settings.client.log_level (line 25)",
        "settings.client.warmup_connections (line 25)",
        "settings.drain.metrics_drain_timeout_s (line 26)",
    )
    for key in ignored:
        assert key in warning
    assert warning.count("(line") == len(ignored)
