"""The data sets of a YAML as the requests they are sent as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from ..config.dataset import DatasetConfig
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


class Sources:
    """The data sets that the YAML names. One is loaded, and its rows are known to be sendable, when it is asked for."""

    def __init__(self, loaded: LoadedConfig, adapters: Adapters, cwd: Path) -> None:
        self._loaded = loaded
        self._cwd = cwd
        self._adapter = _adapter(loaded, adapters)
        self._sources: dict[tuple[str, str], RequestSource] = {}

    @property
    def paths(self) -> list[Path]:
        """The files that were read."""
        return [source.dataset.path for source in self._sources.values()]

    @property
    def warnings(self) -> list[str]:
        """What the user should know of the rows, though they can be sent."""
        return [warning for source in self._sources.values() if (warning := source.model_warning())]

    def of(self, name: str | None) -> RequestSource:
        """Return a data set by name, the performance data set without one. Raises ConfigError or DatasetError."""
        benchmark = self._loaded.benchmark
        if not name:
            return self.source(benchmark.performance_dataset)
        # A performance and an accuracy data set may have the same name; an audit that names one means to score it.
        named = [dataset for dataset in benchmark.datasets if dataset.name == name]
        return self.source(max(named, key=lambda dataset: dataset.type == "accuracy"))

    def source(self, config: DatasetConfig) -> RequestSource:
        """Return a data set as requests. Raises ConfigError or DatasetError."""
        key = (config.type, config.name)
        if key not in self._sources:
            benchmark = self._loaded.benchmark
            dataset = load_dataset(config, [self._loaded.path.parent, self._cwd])
            adapter = self._adapter(config.params(benchmark.model_params), streaming=benchmark.streaming)
            source = RequestSource(dataset, adapter, search=[self._loaded.path.parent, self._cwd])
            source.check_rows()
            self._sources[key] = source
        return self._sources[key]

    def main(self) -> RequestSource:
        """Return the performance data set or, for `type: eval`, the first that there is."""
        benchmark = self._loaded.benchmark
        if benchmark.effective_mode is None and benchmark.accuracy_datasets:
            return self.source(benchmark.accuracy_datasets[0])
        return self.of(None)


def _adapter(loaded: LoadedConfig, adapters: Adapters) -> type[EndpointAdapter]:
    api_type = loaded.benchmark.endpoint_config.api_type
    if api_type not in adapters:
        close = get_close_matches(api_type, adapters, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(adapters))}"
        raise ConfigError(f"{loaded.where('endpoint_config', 'api_type')}: no adapter for {api_type!r}; {hint}")
    return adapters[api_type]
