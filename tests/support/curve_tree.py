"""A submission to MLPerf Endpoints as a tree: one curve of seven points that the rules have nothing to say of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

CONCURRENCIES = (1, 4, 16, 32, 64, 128, 256)
ACCURATE = frozenset({1, 4, 16, 64, 256})
ROWS = 6396
SEEDS = {
    "scheduler_rng_seed": 10487924139932647040,
    "sample_index_rng_seed": 586478644936801402,
    "model_seed": 9315206023656308754,
}

#: Changes the files of a point, by their names; what is None is not written.
Change = Callable[[int, dict[str, Any]], None]


def write_curve(
    root: Path, change: Change = lambda *_: None, *, concurrencies: tuple[int, ...] = CONCURRENCIES
) -> Path:
    """Write acme/sub-1 below `root` and return it; `change` may spoil each point's files before they are written."""
    submission = root / "acme" / "sub-1"
    for shared in ("src/vllm", "docs"):
        (submission / shared).mkdir(parents=True)
        (submission / shared / "README.md").write_text("how to reproduce a point\n")
    for concurrency in concurrencies:
        files = _files(concurrency, max(concurrencies))
        change(concurrency, files)
        point = submission / "results" / "H200x8" / "gpt-oss-120b" / f"r{concurrency}"
        point.mkdir(parents=True)
        for name, content in files.items():
            if content is not None:
                text = content if isinstance(content, str) else _text(name, content)
                (point / name).write_text(text)
    return submission


def _text(name: str, content: Any) -> str:
    return json.dumps(content) if name.endswith(".json") else yaml.safe_dump(content)


def _files(concurrency: int, most: int) -> dict[str, Any]:
    return {
        "point.yaml": _disclosure(concurrency, most),
        "config.yaml": {
            "datasets": [{"name": "mlperf_gpt_oss_performance", "salt": True}],
            "settings": {"load_pattern": {"type": "concurrency", "target_concurrency": concurrency}},
        },
        "result_summary.json": _summary(concurrency),
        "system_desc.json": {
            "division": "RDI",
            "system_name": "eight H200",
            "shortened_system_name": "H200x8",
            "system_availability_status": "RDI",
            "system_size": "8 accelerators",
            "system_node_ensemble_count": 1,
            "system_node_ensemble_total": 1,
            "node_types": [
                {
                    "system_node_ensemble_id": 0,
                    "number_of_nodes": 1,
                    "host_processor_core_count": 64,
                    "host_memory_configuration": "32 x 64 GB",
                    "host_network_card_count": "1 x 400 Gb",
                    "driver": "580",
                    "filesystem": "ext4",
                }
            ],
            "max_supported_concurrency": most,
            "tps_utilization": (concurrency / most) ** 0.5,
        },
        "accuracy_results.json": {"accuracy_scores": [{"dataset_name": "gpqa", "score": 83.0, "unit_samples": 4395}]}
        if concurrency in ACCURATE
        else None,
    }


def _disclosure(concurrency: int, most: int) -> dict[str, Any]:
    return {
        "concurrency": concurrency,
        "dataset": "mlperf_gpt_oss_performance",
        "runtime_settings": {
            "load_pattern": "concurrency",
            "min_duration_ms": 600_000,
            "stream_all_chunks": True,
            "runtime": dict(SEEDS),
        },
        "warmup": {
            "duration_s": 60,
            "requests_issued": 100,
            "requests_completed": 100,
            "data_source": "random text",
            "concurrency": 8,
            "initialization_steps": ["graphs captured"],
            "logs_retained": True,
        },
        "division": "RDI",
        "max_supported_concurrency": most,
        "model_name": "gpt-oss-120b",
        "model_precision": "FP8",
        "link_to_model": "https://example.org/model",
        "dataset_name": "gpt-oss",
        "dataset_type": "Accuracy + Performance",
        "dataset_link": "https://example.org/data",
        "shared_src": "src/vllm",
        "shared_docs": "docs",
        "seed_set": "A",
        "target_cohort": "2026-11-C0",
        "offline": "elected" if concurrency == most else "none",
    }


def _summary(concurrency: int) -> dict[str, Any]:
    """Throughput grows with the square root of the queries in flight, and latencies do."""
    seconds, tokens = 1300, 1_000_000 * concurrency**0.5
    tpot_ns, ttft_ns = 5e6 * concurrency**0.5, 1e8 * concurrency**0.5
    latency_ns = concurrency * seconds * 1e9 * 0.98 / (2 * ROWS)
    return {
        "n_samples_issued": 2 * ROWS,
        "n_samples_completed": 2 * ROWS,
        "n_samples_failed": 0,
        "duration_ns": seconds * 10**9,
        "ttft": {"total": 1.0, "percentiles": {"50.0": ttft_ns, "90.0": 2 * ttft_ns, "99.0": 3 * ttft_ns}},
        "tpot": {"total": 1.0, "percentiles": {"50.0": tpot_ns / 2, "90.0": tpot_ns, "99.0": tpot_ns * 2}},
        "latency": {
            "total": latency_ns * 2 * ROWS,
            "min": latency_ns / 2,
            "max": latency_ns * 3,
            "median": latency_ns,
            "avg": latency_ns,
            "percentiles": {"50": latency_ns, "90": latency_ns * 2, "99": latency_ns * 2.5},
        },
        "output_sequence_lengths": {"total": tokens, "percentiles": {"50": 100, "90": 200}},
        "legacy_loadgen_window_duration_ns": None,
        "qps": 2 * ROWS / seconds,
        "tps": tokens / seconds,
        "system_tps": tokens / seconds,
        "tps_per_user": 1e9 / tpot_ns,
    }
