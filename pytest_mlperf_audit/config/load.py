"""The one way in: a YAML file to a validated Benchmark, with the line of every key at hand for later messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from ..errors import ConfigError
from .audit import AuditBlock
from .benchmark import Benchmark, benchmark_model
from .explain import explain
from .ignored import strip_ignored, warning
from .interpolate import interpolate
from .yaml_source import MAX_BYTES, KeyPath, YamlSource, read_yaml


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration file as loaded; `path` is absolute."""

    path: Path
    benchmark: Benchmark
    warnings: tuple[str, ...]
    source: YamlSource = field(repr=False)

    def where(self, *key_path: str | int) -> str:
        """Return file, line and key path for a message: 'wan22.yaml:14: audit.sample_index'."""
        return self.source.where(*key_path)


def load_config(
    path: Path, audit_models: Mapping[str, type[AuditBlock]], *, environ: Mapping[str, str]
) -> LoadedConfig:
    """Read, interpolate and validate a configuration file.

    `audit_models` are the configurations of the audits that `audit:` may name, by audit id.
    Raises ConfigError, one line for each fault found.
    """
    source = read_yaml(_read(path), path.name, partial(interpolate, environ=environ), _holds_text)
    data, ignored = strip_ignored(source)
    model = benchmark_model(audit_models)
    try:
        benchmark = model.model_validate(data)
    except ValidationError as error:
        message = explain(error, source, model)
    else:
        # The source is kept for its lines alone; its data hold secrets in the clear.
        lines = YamlSource(source.name, {}, source.lines, frozenset())
        return LoadedConfig(path.resolve(), benchmark, warning(source, ignored), lines)
    # Raised outside the handler, so that no traceback carries pydantic's error, which holds the input.
    raise ConfigError(message)


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
    return path[-1] == "api_key" or "headers" in path
