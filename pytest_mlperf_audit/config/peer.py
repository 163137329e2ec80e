"""Keys of the endpoints tool's YAML, of today and of before: which are read under another name, and which are ignored.

Sources: mlcommons/endpoints `config/schema.py` at commits ea332753 (2026-08) and 0479710d (2026-09), between which all
waits moved into `settings.timeouts`, and `docs/CLI_QUICK_REFERENCE.md`. There `min_issue_duration_ms` (for a while
`min_duration_ms`) sizes a Poisson run as target_qps times that duration; here `min_duration_ms` is a floor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from ..errors import ConfigError
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
    "stream_all_chunks",
    "transport",
    "warmup_connections",
    "worker_force_kill_timeout",
    "worker_gc_mode",
    "worker_graceful_shutdown_wait",
    "worker_initialization_timeout",
)
_TIMEOUTS = (
    "interrupted_teardown_grace_s",
    "metrics_drain_timeout_s",
    "worker_force_kill_timeout_s",
    "worker_graceful_shutdown_wait_s",
    "worker_initialization_timeout_s",
)

#: Keys that have no meaning here: accepted, taken out, and named in one warning. In these key paths "*" stands for any
#: list index.
IGNORED: Final[tuple[KeyPath, ...]] = (
    ("verbose",),
    ("enable_cpu_affinity",),
    ("model_params", "osl_distribution"),
    ("model_params", "tokenizer_name"),
    ("datasets", "*", "generate_params"),
    ("datasets", "*", "generation_config_override", "osl_distribution"),
    ("settings", "metrics"),
    ("settings", "metrics_tokenizer_workers"),
    ("settings", "profiling"),
    ("settings", "early_stopping"),
    ("settings", "service_ready_timeout_s"),
    ("settings", "load_pattern", "use_legacy_loadgen_qps_metrics"),
    *(("settings", "client", key) for key in _CLIENT),
    *(("settings", "timeouts", key) for key in _TIMEOUTS),
    ("settings", "drain", "metrics_drain_timeout_s"),
    ("settings", "drain", "metrics_tokenizer_workers"),
)

_DRAIN = ("settings", "drain")
_WAITS = ("settings", "timeouts")
_RUNTIME = ("settings", "runtime")

#: Keys that are read under the name that they have today, or have here.
MOVED: Final[Mapping[KeyPath, KeyPath]] = {
    ("timeout",): (*_WAITS, "run_timeout_s"),
    ("settings", "drain", "warmup_timeout_s"): (*_WAITS, "warmup_drain_timeout_s"),
    ("settings", "drain", "performance_timeout_s"): (*_WAITS, "performance_drain_timeout_s"),
    ("settings", "drain", "accuracy_timeout_s"): (*_WAITS, "accuracy_drain_timeout_s"),
    (*_RUNTIME, "max_issue_duration_ms"): (*_RUNTIME, "max_duration_ms"),
}

_FLOOR = (*_RUNTIME, "min_duration_ms")
_SIZE = (*_RUNTIME, "min_issue_duration_ms")


def is_ignored(path: KeyPath) -> bool:
    """Whether a key, or one above it, is ignored."""
    return any(len(pattern) <= len(path) and all(map(_matches, pattern, path)) for pattern in IGNORED)


def _matches(wanted: str | int, part: str | int) -> bool:
    return wanted == part or (wanted == "*" and isinstance(part, int))


def without_ignored(source: YamlSource) -> tuple[YamlSource, list[KeyPath]]:
    """Return the file without ignored keys, and the paths of those it had, in the table's order."""
    found = [path for pattern in IGNORED for path in _found(source.data, pattern)]
    return replace(source, data=_without(source.data, set(found), ())), found


def _found(data: Any, pattern: KeyPath, at: KeyPath = ()) -> Iterator[KeyPath]:
    if not pattern:
        yield at
        return
    head, rest = pattern[0], pattern[1:]
    if head == "*":
        for index, item in enumerate(data if isinstance(data, list) else ()):
            yield from _found(item, rest, (*at, index))
    elif isinstance(data, dict) and head in data:
        yield from _found(data[head], rest, (*at, head))


def _without(data: Any, dropped: set[KeyPath], at: KeyPath) -> Any:
    if isinstance(data, dict):
        return {key: _without(value, dropped, (*at, key)) for key, value in data.items() if (*at, key) not in dropped}
    if isinstance(data, list):
        return [_without(value, dropped, (*at, index)) for index, value in enumerate(data)]
    return data


def renamed(source: YamlSource, *, as_run: bool) -> tuple[YamlSource, tuple[str, ...]]:
    """Return the file with keys of before under their names of today, and what the user should know of that.

    A file that says what was run (`as_run`) means by `min_duration_ms` what it meant then. Raises ConfigError for a key
    that is there under both names.
    """
    told: list[str] = []
    moved = {old: new for old, new in MOVED.items() if [*_found(source.data, old)]}
    if isinstance(drained := _at(source.data, _DRAIN), dict):  # a slip in it is a slip in settings.timeouts
        moved = {(*_DRAIN, key): (*_WAITS, key) for key in drained} | moved
    if not as_run and _sizes_a_run(source.data):
        moved[_FLOOR] = _SIZE
        told.append(
            f"{source.where(*_FLOOR)}: read as the endpoints tool reads it in a file with settings.timeouts: it sizes "
            "the run, as target_qps times this duration, and is no least duration; n_samples_to_issue wins over it"
        )
    data, lines = source.data, dict(source.lines)
    for old, new in moved.items():
        value = _at(data, old)
        data = _without(data, {old}, ())
        if value is None:  # null says "no limit" there, as does leaving the key out
            continue
        if [*_found(data, new)]:
            raise ConfigError(f"{source.where(*old)}: is {dotted(new)}, which is there as well; keep one")
        if not _is_open(data, new):
            continue  # what stands around it is no mapping, which is told of soon
        data = _with(data, new, value)
        if old == ("timeout",):
            told.append(
                f"{source.where(*old)}: read as {dotted(new)}, which ends a run that takes longer, without a verdict"
            )
        lines |= {new[: end + 1]: lines[old] for end in range(len(new)) if new[: end + 1] not in lines}
    if _at(data, _DRAIN) in ({}, None):
        data = _without(data, {_DRAIN}, ())
    return replace(source, data=data, lines=lines), tuple(told)


def _sizes_a_run(data: Any) -> bool:
    """Whether `min_duration_ms` is there, and in the sense that it has beside the tool's own waits."""
    waits = _at(data, _WAITS)
    of_the_tool = isinstance(waits, dict) and bool(waits.keys() - {"service_ready_timeout_s"})
    return of_the_tool and _at(data, ("settings", "load_pattern", "type")) == "poisson" and bool(_at(data, _FLOOR))


def _at(data: Any, path: KeyPath) -> Any:
    """Return what stands at a path of mappings, None where nothing does."""
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _is_open(data: Any, path: KeyPath) -> bool:
    """Whether every block above `path` is a mapping, or not there yet."""
    return all(isinstance(_at(data, path[:end]), (dict, type(None))) for end in range(1, len(path)))


def _with(data: Any, path: KeyPath, value: Any) -> Any:
    if not path:
        return value
    block = data if isinstance(data, dict) else {}
    return {**block, path[0]: _with(block.get(path[0]), path[1:], value)}
