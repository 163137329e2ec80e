"""A phase as mlperf_log_detail.txt: one JSON object a line, with LoadGen's keys where we have what they mean.

A figure that the phase does not have is left out, where LoadGen would write 0. Nothing says that LoadGen wrote it: its
version is given as ours, and its build information is not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from .._version import __version__
from ..runs.spec import Concurrency, MaxThroughput
from .phase_log import PERCENTILES, PhaseLog
from .write_summary import one_line

Entry = tuple[str, Any]


def detail_text(log: PhaseLog) -> str:
    """Return the whole file. Times of entries are milliseconds after the phase's start."""
    done_ms = (log.record.figures.window_s or 0.0) * 1000
    lines = [
        *(_line(entry, 0.0) for entry in (*_origin(log), *_settings(log), *_issued(log))),
        *(_line(("error_runtime", error), done_ms, is_error=True) for error in log.errors()),
        *(_line(entry, done_ms) for entry in (*_validity(log), *_rates(log), *_latencies(log))),
        _line(("num_errors", len(log.errors())), done_ms),
    ]
    return "\n".join(lines) + "\n"


def _line(entry: Entry, time_ms: float, *, is_error: bool = False) -> str:
    key, value = entry
    content = {
        "key": key,
        "value": one_line(value) if isinstance(value, str) else value,
        "time_ms": round(time_ms, 6),
        "namespace": "mlperf::logging",
        "event_type": "POINT_IN_TIME",
        "metadata": {
            "is_error": is_error,
            "is_warning": False,
            "file": "pytest_mlperf_audit",
            "line_no": 0,
            "pid": 0,
            "tid": 0,
        },
    }
    return f":::MLLOG {json.dumps(content)}"


def _origin(log: PhaseLog) -> Iterator[Entry]:
    yield "loadgen_version", f"pytest-mlperf-audit {__version__}"
    if started := _utc(log.record.started_at):
        yield "test_datetime", started
    yield "sut_name", log.declared.sut_name
    yield "qsl_name", log.declared.qsl_name
    yield "qsl_reported_total_count", log.declared.qsl_size
    yield "qsl_reported_performance_count", log.declared.qsl_size


def _utc(timestamp: str) -> str | None:
    """Return an ISO 8601 time as LoadGen writes it, None where it is not one."""
    try:
        moment = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _settings(log: PhaseLog) -> Iterator[Entry]:
    settings = log.settings()
    asked = {setting.key: setting.value for setting in settings} | {"min_query_count": log.record.spec.n_samples}
    yield "requested_scenario", log.scenario
    yield "requested_test_mode", "PerformanceOnly"
    yield from ((f"requested_{name}", asked[name]) for name in _REQUESTED)
    yield "effective_scenario", log.scenario
    yield "effective_test_mode", "PerformanceOnly"
    for setting in settings:
        yield f"effective_{setting.key}", setting.value
        if setting.key == "max_query_count":
            yield "effective_min_sample_count", log.record.spec.n_samples
    yield "effective_target_latency_percentile", 0.9 if log.scenario == "SingleStream" else 0.99
    yield "effective_sample_concatenate_permutation", False


#: What LoadGen repeats of its settings as they were asked for; the rest it derives.
_REQUESTED = (
    "min_duration_ms",
    "max_duration_ms",
    "min_query_count",
    "max_query_count",
    "qsl_rng_seed",
    "sample_index_rng_seed",
    "schedule_rng_seed",
    "accuracy_log_rng_seed",
    "accuracy_log_probability",
    "accuracy_log_sampling_target",
    "print_timestamps",
    "performance_issue_unique",
    "performance_issue_same",
    "performance_issue_same_index",
)


def _issued(log: PhaseLog) -> Iterator[Entry]:
    yield "generic_message", f"Driven by pytest-mlperf-audit, {_load(log)}; phase {log.record.label}"
    yield "generated_query_count", log.n_queries
    yield "generated_samples_per_query", log.samples_per_query


def _load(log: PhaseLog) -> str:
    load = log.record.spec.load
    if isinstance(load, Concurrency):
        return f"{load.target} in flight at any time"
    if isinstance(load, MaxThroughput):
        return "every query issued at once" + (f", {load.max_in_flight} in flight" if load.max_in_flight > 0 else "")
    return f"Poisson arrivals at {load.target_qps:g} queries per second"


def _validity(log: PhaseLog) -> Iterator[Entry]:
    early_stopping = log.early_stopping
    yield "result_validity", "VALID" if log.valid else "INVALID"
    if log.scenario == "Server":
        yield "result_perf_constraints_met", log.perf_constraints_met
    yield "result_min_duration_met", log.duration_met
    yield "result_min_queries_met", log.queries_met
    yield "early_stopping_met", early_stopping.met
    if why := " ".join(log.recommendations()):
        yield "result_invalid_reason", why
    yield "early_stopping_result", early_stopping.text
    yield "result_query_count", log.n_queries


def _rates(log: PhaseLog) -> Iterator[Entry]:
    for key, value in _scores(log):
        if value is not None:
            yield key, value


def _scores(log: PhaseLog) -> Iterator[Entry]:
    """Yield the figures of the scenario, None for those that the phase does not have."""
    if log.scenario == "Offline":
        yield "result_samples_per_second", log.record.figures.qps
    elif log.scenario == "Server":
        yield "result_scheduled_samples_per_sec", log.per_issue_span()
        yield "result_completed_samples_per_sec", log.completed_per_s
    else:
        yield "result_qps_with_loadgen_overhead", log.per_issue_span()
        yield "result_qps_without_loadgen_overhead", log.unhindered_per_s()
        yield "early_stopping_latency_ss", log.early_stopping.p90_ns
        yield "early_stopping_latency_ms", log.early_stopping.p99_ns


def _latencies(log: PhaseLog) -> Iterator[Entry]:
    if not log.n_samples:
        return
    yield "result_min_latency_ns", int(log.latencies_ns[0])
    yield "result_max_latency_ns", int(log.latencies_ns[-1])
    yield "result_mean_latency_ns", log.mean_ns()
    yield from ((f"result_{p * 100:.2f}_percentile_latency_ns", log.percentile_ns(p)) for p in PERCENTILES)
