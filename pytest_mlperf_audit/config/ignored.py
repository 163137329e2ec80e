"""Keys of the endpoints tool's YAML that have no meaning here: accepted, taken out, and named in one warning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .yaml_source import KeyPath, YamlSource, dotted

_CLIENT = (
    "adapter",
    "accumulator",
    "api_key",
    "api_type",
    "auto_warmup_budget_fraction",
    "cpu_affinity",
    "endpoint_urls",
    "event_logs_dir",
    "log_level",
    "max_concurrent_warmup_connects",
    "min_required_connections",
    "num_workers",
    "stream_all_chunks",
    "transport",
    "warmup_connections",
    "worker_force_kill_timeout",
    "worker_gc_mode",
    "worker_graceful_shutdown_wait",
    "worker_initialization_timeout",
)
_TIMEOUTS = (
    "run_timeout_s",
    "warmup_drain_timeout_s",
    "performance_drain_timeout_s",
    "accuracy_drain_timeout_s",
    "metrics_drain_timeout_s",
    "worker_initialization_timeout_s",
    "worker_graceful_shutdown_wait_s",
    "worker_force_kill_timeout_s",
)
_DRAIN = ("accuracy_timeout_s", "metrics_drain_timeout_s", "metrics_tokenizer_workers", "warmup_timeout_s")

#: Key paths; "*" stands for any list index.
IGNORED: tuple[KeyPath, ...] = (
    ("timeout",),
    ("verbose",),
    ("enable_cpu_affinity",),
    ("model_params", "osl_distribution"),
    ("model_params", "tokenizer_name"),
    ("datasets", "*", "generate_params"),
    ("datasets", "*", "agentic_inference"),
    ("datasets", "*", "generation_config_override", "osl_distribution"),
    ("settings", "profiling"),
    ("settings", "early_stopping"),
    ("settings", "service_ready_timeout_s"),
    ("settings", "load_pattern", "use_legacy_loadgen_qps_metrics"),
    *(("settings", "client", key) for key in _CLIENT),
    *(("settings", "timeouts", key) for key in _TIMEOUTS),
    *(("settings", "drain", key) for key in _DRAIN),
)


def strip_ignored(source: YamlSource) -> tuple[dict[str, Any], list[KeyPath]]:
    """Return the file's data without ignored keys, and the paths of those it had, in the table's order."""
    found = [path for pattern in IGNORED for path in _matches(source.data, pattern)]
    return _without(source.data, set(found), ()), found


def warning(source: YamlSource, paths: list[KeyPath]) -> tuple[str, ...]:
    """Return one warning that lists the ignored keys with their lines, or none."""
    if not paths:
        return ()
    listed = ", ".join(f"{dotted(path)} (line {source.line(path)})" for path in paths)
    return (f"{source.name}: keys of the endpoints tool that have no meaning here, ignored: {listed}",)


def _matches(data: Any, pattern: KeyPath, at: KeyPath = ()) -> Iterator[KeyPath]:
    if not pattern:
        yield at
        return
    head, rest = pattern[0], pattern[1:]
    if head == "*":
        for index, item in enumerate(data if isinstance(data, list) else ()):
            yield from _matches(item, rest, (*at, index))
    elif isinstance(data, dict) and head in data:
        yield from _matches(data[head], rest, (*at, head))


def _without(data: Any, dropped: set[KeyPath], at: KeyPath) -> Any:
    if isinstance(data, dict):
        return {key: _without(value, dropped, (*at, key)) for key, value in data.items() if (*at, key) not in dropped}
    if isinstance(data, list):
        return [_without(value, dropped, (*at, index)) for index, value in enumerate(data)]
    return data
