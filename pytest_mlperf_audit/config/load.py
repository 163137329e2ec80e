"""The one way in: a YAML file to a validated Benchmark, with the line of every key at hand for later messages."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from ..errors import ConfigError
from .benchmark import Benchmark, benchmark_model
from .block import AuditBlock
from .bound import bound
from .explain import explain
from .redact import is_command, is_public, is_secret_name, is_telling, looks_secret, secrets_below
from .yaml_reader import MAX_BYTES, read_yaml
from .yaml_source import (
    KeyPath,
    YamlSource,
    as_written,
    dotted,
    fault_list,
    has_variable,
    interpolate,
    names_in,
    values_in,
)

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

#: Keys of the endpoints tool's YAML that have no meaning here: accepted, taken out, and named in one warning. In these
#: key paths "*" stands for any list index.
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


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration file as loaded; `path` is absolute.

    `written` has the text, as it stands in the file, of values that hold a variable. `secrets` are values that are to
    be seen nowhere, beside those of `endpoint_config`.
    """

    path: Path
    benchmark: Benchmark
    warnings: tuple[str, ...]
    source: YamlSource = field(repr=False)
    written: Mapping[KeyPath, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def where(self, *key_path: str | int) -> str:
        """Return file, line and key path for a message: 'wan22.yaml:14: audit.sample_index'."""
        return self.source.where(*key_path)


def load_config(
    path: Path, audit_models: Mapping[str, type[AuditBlock]], *, environ: Mapping[str, str] | None
) -> LoadedConfig:
    """Read, interpolate and validate a configuration file.

    `audit_models` are the configurations of the audits that `audit:` may name, by audit id. Without `environ`,
    variables stay as they are written. In the arguments of a command they always do, since arguments are recorded, and
    are replaced when it is run.
    Raises ConfigError, one line for each fault found.
    """
    with _no_garbage_collection():
        return _load(path, audit_models, environ)


def _load(path: Path, audit_models: Mapping[str, type[AuditBlock]], environ: Mapping[str, str] | None) -> LoadedConfig:
    substitute = as_written if environ is None else partial(interpolate, environ=environ)
    source = read_yaml(_read(path), path.name, substitute, _holds_text, is_command)
    if environ is not None and (public := [*_credentials_shown(source)]):
        raise ConfigError(fault_list(public, len(public), source.name))
    data, ignored = _strip_ignored(source)
    model = benchmark_model(audit_models)
    try:
        benchmark = model.model_validate(data)
    except ValidationError as error:
        message = explain(error, source, model)
    else:
        # The source is kept for its lines alone; its data hold secrets in the clear.
        lines = YamlSource(source.name, {}, source.lines, {})
        # A finished run's file says what was run, whatever a ruleset says today.
        benchmark, told = bound(benchmark, source.where) if environ is not None else (benchmark, ())
        return LoadedConfig(
            path.resolve(),
            benchmark,
            (*_ignored_warning(source, ignored), *told),
            lines,
            written={at: text for at, text in source.from_env.items() if has_variable(text)},
            secrets=tuple(_secrets(source, benchmark, environ)) if environ is not None else (),
        )
    # Raised outside the handler, so that no traceback carries pydantic's error, which holds the input.
    raise ConfigError(message)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect none meanwhile: all that is made lives to the end, and of a large file half the time went to that."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file (looked in {Path.cwd()}); check --mlperf-config") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory; name the YAML file in it") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def _holds_text(path: KeyPath) -> bool:
    """Credentials are text even where they look like numbers: 0123 must not become 83."""
    return path[-1] in {"api_key", "client_key_password"} or "headers" in path


def _credentials_shown(source: YamlSource) -> Iterator[str]:
    """Yield a line for each variable that its name calls a credential, where its value would be seen by all."""
    for path, text in source.from_env.items():
        for name in filter(is_secret_name, names_in(text)):
            if is_public(path):
                yield (
                    f"{source.where(*path)}: ${{{name}}} is a credential by its name, and what stands here is shown in "
                    "reports; take it out, or give the variable another name"
                )


def _secrets(source: YamlSource, benchmark: Benchmark, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the values that a key's or a variable's name, or the type of a key, calls secret."""
    for path, text in source.from_env.items():
        telling = any(is_telling(path[: end + 1]) for end, part in enumerate(path) if isinstance(part, str))
        for name, value in values_in(text, environ):
            if telling or looks_secret(name):
                yield value
        if path[0] == "endpoint_config" and "://" in text:
            # A part of a URL's path, such as a key; neither the whole of a URL nor its host is a secret.
            yield from (value for _, value in values_in(text.partition("://")[2].partition("/")[2], environ))
    for params in (benchmark.model_params, *(dataset.generation_config_override for dataset in benchmark.datasets)):
        yield from secrets_below(params and params.chat_template_kwargs)
    for dataset in benchmark.datasets:
        yield from secrets_below(dataset.accuracy_config and dataset.accuracy_config.extras)
    for block in benchmark.audit:
        yield from (value.get_secret_value() for _, value in block if isinstance(value, SecretStr))


def _strip_ignored(source: YamlSource) -> tuple[dict[str, Any], list[KeyPath]]:
    """Return the file's data without ignored keys, and the paths of those it had, in the table's order."""
    found = [path for pattern in IGNORED for path in _matches(source.data, pattern)]
    return _without(source.data, set(found), ()), found


def _ignored_warning(source: YamlSource, paths: list[KeyPath]) -> tuple[str, ...]:
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
