"""The one way in: a YAML file to a validated Benchmark, with the line of every key at hand for later messages."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pydantic import SecretStr, ValidationError

from ..errors import ConfigError
from .benchmark import Benchmark, benchmark_model
from .block import AuditBlock
from .bound import bound
from .explain import explain
from .peer import is_ignored, renamed, without_ignored
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
    source = read_yaml(_read(path), path.name, substitute, _holds_text, is_command, _is_unread)
    if environ is not None and (public := [*_credentials_shown(source)]):
        raise ConfigError(fault_list(public, len(public), source.name))
    source, ignored = without_ignored(source)
    source, renaming = renamed(source, as_run=environ is None)
    model = benchmark_model(audit_models)
    try:
        benchmark = model.model_validate(source.data)
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
            (*_ignored_warning(source, ignored), *renaming, *told),
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


def _is_unread(path: KeyPath) -> bool:
    """Whether nothing here reads a key, so that its variables need not be set."""
    return is_ignored(path) or "extras" in path


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
    yield from secrets_below(benchmark.model_params.image and benchmark.model_params.image.extra)
    for dataset in benchmark.datasets:
        yield from secrets_below(dataset.accuracy_config and dataset.accuracy_config.extras)
    for block in benchmark.audit:
        yield from (value.get_secret_value() for _, value in block if isinstance(value, SecretStr))


def _ignored_warning(source: YamlSource, paths: list[KeyPath]) -> tuple[str, ...]:
    """Return one warning that lists the ignored keys with their lines, or none."""
    if not paths:
        return ()
    listed = ", ".join(f"{dotted(path)} (line {source.line(path)})" for path in paths)
    return (f"{source.name}: keys of the endpoints tool that have no meaning here, ignored: {listed}",)
