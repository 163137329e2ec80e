"""What a YAML names besides its audits: the endpoint, with its secrets and certificates, and the data sets as requests.

--mlperf-endpoint takes the place of the YAML's endpoint here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from ..config.dataset import DatasetConfig
from ..config.endpoint import EndpointConfig, without_query
from ..config.load import LoadedConfig
from ..datasets import Conversations, Dataset, find_named, load_conversations, load_dataset
from ..endpoints.base import EndpointAdapter
from ..endpoints.simulated.model import with_known_prompts
from ..endpoints.source import RequestSource
from ..errors import ConfigError, DatasetError
from ..load.proxy import Proxy
from ..load.target import Target
from ..load.tls import Identity, IdentityError
from ..text import nearest


def redirected(loaded: LoadedConfig, url: str) -> LoadedConfig:
    """Return the configuration with --mlperf-endpoint in place of the YAML's endpoints."""
    before = loaded.benchmark.endpoint_config
    kept = {name: getattr(before, name) for name in before.model_fields_set - {"endpoints", "simulated", "metrics"}}
    try:
        config = EndpointConfig(endpoints=(url,), **kept)
    except ValidationError as error:
        raise ConfigError(f"--mlperf-endpoint: {error.errors()[0]['msg']}") from None
    return _with_metrics_on_host(_with_endpoint(loaded, config), before)


def _with_metrics_on_host(loaded: LoadedConfig, before: EndpointConfig) -> LoadedConfig:
    """Return the configuration with the metrics pages on the endpoint's host: others' tell of another system."""
    config = loaded.benchmark.endpoint_config
    host = urlsplit(config.endpoints[0]).hostname
    metrics = tuple(url for url in before.metrics if urlsplit(url).hostname == host)
    left_out = [
        f"endpoint_config.metrics: {without_query(url)} is not on the host of --mlperf-endpoint, and is not read"
        for url in before.metrics
        if url not in metrics
    ]
    redirected = _with_endpoint(loaded, config.model_copy(update={"metrics": metrics}))
    return replace(redirected, warnings=(*loaded.warnings, *left_out))


def with_prompts_found(loaded: LoadedConfig, cwd: Path) -> LoadedConfig:
    """Return the configuration with the simulated endpoint's known prompts found, and known to load."""
    try:
        config = with_known_prompts(loaded.benchmark.endpoint_config, [loaded.path.parent, cwd])
    except DatasetError as error:
        where = loaded.where("endpoint_config", "simulated", "known_prompts")
        raise DatasetError(f"{where}: {error}") from error
    return _with_endpoint(loaded, config)


def require_videos(loaded: LoadedConfig) -> None:
    """Raise ConfigError for an accuracy_config.videos that is no directory."""
    for at, dataset in enumerate(loaded.benchmark.datasets):
        videos = dataset.accuracy_config.videos if dataset.accuracy_config else None
        if videos is not None and not (directory := loaded.path.parent / videos).is_dir():
            raise ConfigError(
                f"{loaded.where('datasets', at, 'accuracy_config', 'videos')}: {directory} is no directory; name the "
                "one that the endpoint writes its videos into"
            )


def with_data_found(loaded: LoadedConfig, directory: Path | None) -> LoadedConfig:
    """Return the configuration with a path for each data set that --mlperf-data-dir has by its name.

    Raises DatasetError where the performance data set is not there; an accuracy data set is left without a path.
    """
    if directory is None:
        return loaded
    if not directory.is_dir():
        raise ConfigError(f"--mlperf-data-dir: {directory} is no directory; name the one that holds the data sets")
    datasets, warnings = [], list(loaded.warnings)
    for at, config in enumerate(loaded.benchmark.datasets):
        datasets.append(config)
        if config.path is not None or not config.name:
            continue
        try:
            path, columns = find_named(config.name, directory)
        except DatasetError as error:
            told = f"{loaded.where('datasets', at)}: {error}"
            if config.type == "performance":
                raise DatasetError(told) from error
            warnings.append(told)
            continue
        parser = {**columns, **(config.parser or {})} or None
        datasets[-1] = config.model_copy(update={"path": path, "parser": parser})
    benchmark = loaded.benchmark.model_copy(update={"datasets": tuple(datasets)})
    return replace(loaded, benchmark=benchmark, warnings=tuple(warnings))


def _with_endpoint(loaded: LoadedConfig, config: EndpointConfig) -> LoadedConfig:
    return replace(loaded, benchmark=loaded.benchmark.model_copy(update={"endpoint_config": config}))


def target_of(loaded: LoadedConfig, key_headers: Mapping[str, str]) -> Target | None:
    """Return the endpoint under test, None for the embedded simulated one. Raises ConfigError.

    `key_headers` carry the key, which takes the place of {key} in them.
    """
    config, client = loaded.benchmark.endpoint_config, loaded.benchmark.settings.client
    if not config.endpoints:
        for key, has_no in (("metrics", "metrics page"), ("path", "path but its API's own")):
            if getattr(config, key):
                raise ConfigError(
                    f"{loaded.where('endpoint_config', key)}: the embedded simulated endpoint has no {has_no}; "
                    "drop it, or name the servers in endpoints"
                )
        if client.proxy:
            raise ConfigError(
                f"{loaded.where('settings', 'client', 'proxy')}: no proxy leads to the embedded simulated endpoint; "
                "drop it, or name the servers in endpoint_config.endpoints"
            )
        return None
    headers = {name: value.get_secret_value() for name, value in config.headers.items()}
    secret_values = list(headers.values())
    if config.api_key and (key := config.api_key.get_secret_value()):
        own = {name.lower() for name in headers}
        carried = {name: value.replace("{key}", key) for name, value in key_headers.items() if name.lower() not in own}
        headers = {**carried, **headers}
        secret_values.append(key)
    return Target(
        urls=config.endpoints,
        path=config.path,
        headers=headers,
        metrics=config.metrics,
        secrets=tuple(filter(None, (*secret_values, *loaded.secrets))),
        insecure=client.insecure,
        ca_file=Path(loaded.path.parent, client.ca_file) if client.ca_file else None,
        identity=_identity(loaded),
        proxy=Proxy.of(client.proxy) if client.proxy else None,
        connect_timeout_s=client.connect_timeout_s,
        max_idle_s=client.max_idle_time,
        key_from=loaded.written.get(("endpoint_config", "api_key"), ""),
    )


def _identity(loaded: LoadedConfig) -> Identity | None:
    """Return the client's certificate, whose files can be used, or None. Raises ConfigError."""
    client, directory = loaded.benchmark.settings.client, loaded.path.parent
    if client.client_cert is None:
        return None
    identity = Identity(
        Path(directory, client.client_cert),
        Path(directory, client.client_key) if client.client_key else None,
        client.client_key_password.get_secret_value() if client.client_key_password else None,
    )
    try:
        identity.check()
    except IdentityError as error:
        raise ConfigError(f"{loaded.where('settings', 'client', error.key)}: {error}") from None
    return identity


Adapters = Mapping[str, type[EndpointAdapter]]


def gather_adapters(offered: Iterable[type[EndpointAdapter]]) -> dict[str, type[EndpointAdapter]]:
    """Return adapters by api_type. Raises ConfigError when two claim one, and for what is no adapter."""
    adapters: dict[str, type[EndpointAdapter]] = {}
    for adapter in offered:
        if not (isinstance(adapter, type) and issubclass(adapter, EndpointAdapter)):
            raise ConfigError(
                f"an endpoint adapter was offered that is {adapter!r:.200}: offer subclasses of "
                "pytest_mlperf_audit.EndpointAdapter, not instances"
            )
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
        self._prompts: dict[str, RequestSource] = {}

    @property
    def text_output(self) -> bool:
        """Whether replies are texts."""
        return self._adapter.text_output

    @property
    def own_costs(self) -> bool:
        """Whether rows cost so unlike each other that each is compared with its twins."""
        return self._adapter.own_costs

    @property
    def key_headers(self) -> Mapping[str, str]:
        """The headers that carry a key."""
        return self._adapter.key_headers

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

    def prompts(self, name: str | None) -> RequestSource:
        """Return a data set by name as single prompts: of conversations, the middle turn of each.

        Turns of one conversation share their history, and what a system has kept of one helps with the next, which is
        allowed; so no two of them are among an audit's rows.
        """
        source = self.of(name)
        if not isinstance(source.dataset, Conversations):
            return source
        if (found := self._prompts.get(source.dataset.name)) is None:
            found = RequestSource(source.dataset.of_each(), source.adapter, search=source.search)
            self._prompts[source.dataset.name] = found
        return found

    def source(self, config: DatasetConfig) -> RequestSource:
        """Return a data set as requests. Raises ConfigError or DatasetError."""
        key = (config.type, config.name)
        if key not in self._sources:
            benchmark = self._loaded.benchmark
            dataset = self._load(config)
            params = config.params(benchmark.model_params)
            if config.type == "accuracy":  # each row has its own score
                params = params.model_copy(update={"batch_size": 1})
            adapter = self._adapter(params, streaming=benchmark.streaming)
            adapter.directories = [self._loaded.path.parent, self._cwd]
            source = RequestSource(dataset, adapter, search=[self._loaded.path.parent, self._cwd])
            source.check_rows()
            self._sources[key] = source
        return self._sources[key]

    def _load(self, config: DatasetConfig) -> Dataset | Conversations:
        """Return a data set; what is wrong with its file as a whole is told with the YAML's line."""
        search = [self._loaded.path.parent, self._cwd]
        try:
            if config.agentic_inference is not None:
                return load_conversations(config, search)
            return load_dataset(config, search, self._adapter.own_columns)
        except DatasetError as error:
            if not error.key:
                raise
            datasets = self._loaded.benchmark.datasets
            at = next((at for at, one in enumerate(datasets) if (one.type, one.name) == (config.type, config.name)), 0)
            raise DatasetError(f"{self._loaded.where('datasets', at, error.key)}: {error}") from error

    def main(self) -> RequestSource:
        """Return the performance data set or, for `type: eval`, the first that there is."""
        benchmark = self._loaded.benchmark
        if benchmark.effective_mode is None and benchmark.accuracy_datasets:
            return self.source(benchmark.accuracy_datasets[0])
        return self.of(None)


_OWN_ADAPTER = "one of your own is found in a conftest.py of the directory where pytest starts, or in a plugin"


def _adapter(loaded: LoadedConfig, adapters: Adapters) -> type[EndpointAdapter]:
    api_type = loaded.benchmark.endpoint_config.api_type
    if api_type not in adapters:
        close = nearest(api_type, adapters)
        hint = f"did you mean {close!r}?" if close else f"known are {', '.join(sorted(adapters))}; {_OWN_ADAPTER}"
        raise ConfigError(f"{loaded.where('endpoint_config', 'api_type')}: no adapter for {api_type!r}; {hint}")
    adapter, batch_size = adapters[api_type], loaded.benchmark.model_params.batch_size
    if batch_size > adapter.max_batch:
        takes = f"takes {adapter.max_batch} at most" if adapter.max_batch > 1 else "takes one; drop the key"
        raise ConfigError(
            f"{loaded.where('model_params', 'batch_size')}: {batch_size} rows in a query, but api_type {api_type} "
            f"{takes}"
        )
    return adapter
