"""The data sets of a YAML as the requests they are sent as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from ..config.load import LoadedConfig
from ..datasets import load_dataset
from ..endpoints.base import EndpointAdapter
from ..endpoints.source import RequestSource
from ..errors import ConfigError

Adapters = Mapping[str, type[EndpointAdapter]]


def gather_adapters(offered: Iterable[type[EndpointAdapter]]) -> dict[str, type[EndpointAdapter]]:
    """Return adapters by api_type. Raises ConfigError when two claim one."""
    adapters: dict[str, type[EndpointAdapter]] = {}
    for adapter in offered:
        if (other := adapters.setdefault(adapter.api_type, adapter)) is not adapter:
            raise ConfigError(
                f"two endpoint adapters are called {adapter.api_type!r}: {other} and {adapter}; rename one"
            )
    return adapters


def performance_source(loaded: LoadedConfig, adapters: Adapters, cwd: Path) -> RequestSource:
    """Return the performance data set, all rows known to be sendable. Raises ConfigError or DatasetError."""
    benchmark = loaded.benchmark
    api_type = benchmark.endpoint_config.api_type
    if api_type not in adapters:
        close = get_close_matches(api_type, adapters, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(adapters))}"
        raise ConfigError(f"{loaded.where('endpoint_config', 'api_type')}: no adapter for {api_type!r}; {hint}")
    config = benchmark.performance_dataset
    dataset = load_dataset(config, [loaded.path.parent, cwd])
    source = RequestSource(
        dataset, adapters[api_type](config.params(benchmark.model_params), streaming=benchmark.streaming)
    )
    source.check_rows()
    return source
