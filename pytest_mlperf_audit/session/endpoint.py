"""The endpoint as the YAML and the command line name it: redirected, its secrets and certificates at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from ..config.endpoint import EndpointConfig, without_query
from ..config.load import LoadedConfig
from ..endpoints.simulated.known import with_known_prompts
from ..errors import ConfigError, DatasetError
from ..load.target import Target


def redirected(loaded: LoadedConfig, url: str) -> LoadedConfig:
    """Return the configuration with --mlperf-endpoint in place of the YAML's endpoints."""
    before = loaded.benchmark.endpoint_config
    kept = {name: getattr(before, name) for name in before.model_fields_set - {"endpoints", "simulated", "metrics"}}
    try:
        config = EndpointConfig(endpoints=(url,), **kept)
    except ValidationError as error:
        raise ConfigError(f"--mlperf-endpoint: {error.errors()[0]['msg']}") from None
    return _with_metrics_of_the_host(_with_endpoint(loaded, config), before)


def _with_metrics_of_the_host(loaded: LoadedConfig, before: EndpointConfig) -> LoadedConfig:
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


def _with_endpoint(loaded: LoadedConfig, config: EndpointConfig) -> LoadedConfig:
    return replace(loaded, benchmark=loaded.benchmark.model_copy(update={"endpoint_config": config}))


def target_of(loaded: LoadedConfig) -> Target | None:
    """Return the endpoint under test, None for the embedded simulated one. Raises ConfigError."""
    config, client = loaded.benchmark.endpoint_config, loaded.benchmark.settings.client
    if not config.endpoints:
        for key, has_no in (("metrics", "metrics page"), ("path", "path but its API's own")):
            if getattr(config, key):
                raise ConfigError(
                    f"{loaded.where('endpoint_config', key)}: the embedded simulated endpoint has no {has_no}; "
                    "drop it, or name the servers in endpoints"
                )
        return None
    headers = {name: value.get_secret_value() for name, value in config.headers.items()}
    secret_values = list(headers.values())
    if config.api_key and (key := config.api_key.get_secret_value()):
        headers = {"Authorization": f"Bearer {key}", **headers}
        secret_values.append(key)
    return Target(
        urls=config.endpoints,
        path=config.path,
        headers=headers,
        metrics=config.metrics,
        secrets=tuple(filter(None, (*secret_values, *loaded.secrets))),
        insecure=client.insecure,
        ca_file=Path(loaded.path.parent, client.ca_file) if client.ca_file else None,
        connect_timeout_s=client.connect_timeout_s,
        max_idle_s=client.max_idle_time,
    )
