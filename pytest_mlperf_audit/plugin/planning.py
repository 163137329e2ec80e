"""Options and YAMLs to AuditRuns. Every mistake that can be known before the first query surfaces here."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from ..audits import registry
from ..audits.contract import Audit, AuditContext
from ..audits.performance import PerformanceBlock
from ..config.audit import AuditBlock
from ..config.benchmark import Benchmark
from ..config.endpoint import EndpointConfig, without_query
from ..config.load import LoadedConfig, load_config
from ..config.settings import Settings
from ..datasets import load_dataset
from ..endpoints.base import EndpointAdapter
from ..endpoints.simulated.known import with_known_prompts
from ..endpoints.source import RequestSource
from ..errors import ConfigError, DatasetError, PlanError
from ..load.group import PlannedPhase
from ..load.target import Target
from ..runs.order import Scripted, without_replacement
from ..runs.script import Script
from ..runs.spec import Concurrency, Load, MaxThroughput, Poisson, RunSpec
from . import third_party
from .collection import node_id
from .judging import PlannedAudit
from .report_dir import check_disjoint, check_harmless
from .run import AuditRun

#: A query may take this long where the YAML does not say, or as long as the phase's ceiling if that is longer: under
#: max_throughput the last of some hundred videos waits for all the others. It is MLPerf's ceiling for WAN2.2.
DEFAULT_QUERY_TIMEOUT_S = 4 * 3600.0

Adapters = Mapping[str, type[EndpointAdapter]]


@dataclass(frozen=True)
class Request:
    """What the command line and the ini file ask for; paths are absolute."""

    configs: tuple[Path, ...]
    endpoint: str | None
    report_dir: Path | None
    cwd: Path
    rootpath: Path
    environ: Mapping[str, str]


def plan_runs(request: Request, audits: registry.Registry, adapters: Adapters) -> list[AuditRun]:
    """Return one AuditRun for each YAML. Raises UserError for whatever keeps a run from starting."""
    runs = [_plan_run(path, request, audits, adapters) for path in request.configs]
    check_disjoint((run.path, run.report_dir) for run in runs)
    return runs


def gather_adapters(offered: Iterable[type[EndpointAdapter]]) -> dict[str, type[EndpointAdapter]]:
    """Return adapters by api_type. Raises ConfigError when two claim one."""
    adapters: dict[str, type[EndpointAdapter]] = {}
    for adapter in offered:
        if (other := adapters.setdefault(adapter.api_type, adapter)) is not adapter:
            raise ConfigError(
                f"two endpoint adapters are called {adapter.api_type!r}: {other} and {adapter}; rename one"
            )
    return adapters


def _plan_run(path: Path, request: Request, audits: registry.Registry, adapters: Adapters) -> AuditRun:
    loaded = load_config(path, registry.models(audits), environ=request.environ)
    if request.endpoint:
        loaded = _redirected(loaded, request.endpoint)
    loaded = _with_known_prompts(loaded, request.cwd)
    source = _source(loaded, adapters, request.cwd)
    report_dir = _report_dir(path, loaded.benchmark, request)
    inputs = [path, request.cwd, request.rootpath, source.dataset.path]
    known_prompts = loaded.benchmark.endpoint_config.simulated.known_prompts
    check_harmless(report_dir, [*inputs, *([known_prompts] if known_prompts else [])])
    return AuditRun(
        path=path,
        loaded=loaded,
        node_id=node_id(path, request.rootpath),
        plans=tuple(_plans(loaded, source, audits, report_dir)),
        source=source,
        target=_target(loaded),
        report_dir=report_dir,
    )


def _redirected(loaded: LoadedConfig, url: str) -> LoadedConfig:
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


def _with_known_prompts(loaded: LoadedConfig, cwd: Path) -> LoadedConfig:
    """Return the configuration with the simulated endpoint's known prompts found, and known to load."""
    try:
        config = with_known_prompts(loaded.benchmark.endpoint_config, [loaded.path.parent, cwd])
    except DatasetError as error:
        where = loaded.where("endpoint_config", "simulated", "known_prompts")
        raise DatasetError(f"{where}: {error}") from error
    return _with_endpoint(loaded, config)


def _with_endpoint(loaded: LoadedConfig, config: EndpointConfig) -> LoadedConfig:
    return replace(loaded, benchmark=loaded.benchmark.model_copy(update={"endpoint_config": config}))


def _source(loaded: LoadedConfig, adapters: Adapters, cwd: Path) -> RequestSource:
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


def _report_dir(config: Path, benchmark: Benchmark, request: Request) -> Path:
    stem = config.stem
    if request.report_dir:
        return request.report_dir if len(request.configs) == 1 else request.report_dir / stem
    return Path(request.cwd, (benchmark.report_dir or Path("mlperf-reports", stem)).expanduser()).resolve()


def _target(loaded: LoadedConfig) -> Target | None:
    config, client = loaded.benchmark.endpoint_config, loaded.benchmark.settings.client
    if not config.endpoints:
        if config.metrics:
            raise ConfigError(
                f"{loaded.where('endpoint_config', 'metrics')}: the embedded simulated endpoint has no metrics page; "
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
        headers=headers,
        metrics=config.metrics,
        secrets=tuple(filter(None, secret_values)),
        insecure=client.insecure,
        ca_file=Path(loaded.path.parent, client.ca_file) if client.ca_file else None,
        connect_timeout_s=client.connect_timeout_s,
        max_idle_s=client.max_idle_time,
    )


def context(benchmark: Benchmark) -> AuditContext:
    """Return what the YAML asks of every phase."""
    settings = benchmark.settings
    runtime = settings.runtime
    ceiling_s = runtime.max_duration_ms / 1000
    return AuditContext(
        load=_load(settings),
        sample_order_seed=runtime.dataloader_random_seed,
        min_duration_ms=runtime.min_duration_ms,
        max_duration_ms=runtime.max_duration_ms,
        drain_timeout_s=settings.drain.performance_timeout_s,
        query_timeout_s=settings.client.query_timeout_s or max(ceiling_s, DEFAULT_QUERY_TIMEOUT_S),
        n_samples_to_issue=runtime.n_samples_to_issue,
        ruleset=benchmark.submission_ref.ruleset if benchmark.submission_ref else "",
        api_type=benchmark.endpoint_config.api_type,
        streaming=benchmark.streaming,
    )


def _load(settings: Settings) -> Load:
    pattern = settings.load_pattern
    if pattern.type == "concurrency":
        return Concurrency(target=pattern.target_concurrency or 1)
    if pattern.type == "poisson":
        return Poisson(target_qps=pattern.target_qps or 1.0, seed=settings.runtime.scheduler_random_seed)
    return MaxThroughput(max_in_flight=settings.client.max_connections)


def _plans(
    loaded: LoadedConfig, source: RequestSource, audits: registry.Registry, report_dir: Path
) -> Iterable[PlannedAudit]:
    benchmark = loaded.benchmark
    asked: list[tuple[Audit[Any], AuditBlock]] = [(registry.find(audits, cfg.test), cfg) for cfg in benchmark.audit]
    drawn = [(audit, cfg, _phases(loaded, audit, cfg, source)) for audit, cfg in asked]
    if benchmark.effective_mode and not any(cfg.only for _, cfg in asked):
        main, block = registry.performance(), PerformanceBlock()
        directory = report_dir / main.id
        warmup = _warmup(benchmark, source, directory / "warmup")
        yield _planned(main, block, _phases(loaded, main, block, source), [directory], source, warmup)
    labels = Counter(spec.label for _, _, phases in drawn for spec in phases)
    for audit, cfg, phases in drawn:
        # Two audits may both have a phase called "reference"; then the directory says whose.
        names = [spec.label if labels[spec.label] == 1 else f"{audit.id}.{spec.label}" for spec in phases]
        warmup = _warmup(benchmark, source, report_dir / "audit" / f"{audit.id}.warmup")
        directories = [report_dir / "audit" / name for name in names]
        yield _planned(audit, cfg, phases, directories, source, warmup)


def _phases(loaded: LoadedConfig, audit: Audit[Any], cfg: AuditBlock, source: RequestSource) -> list[RunSpec]:
    try:
        return third_party.plan(audit, cfg, source, context(loaded.benchmark))
    except PlanError as error:
        raise PlanError(f"{loaded.where('audit')}: {error}") from error


def _planned(
    audit: Audit[Any],
    cfg: AuditBlock,
    phases: Sequence[RunSpec],
    directories: Sequence[Path],
    source: RequestSource,
    warmup: PlannedPhase | None,
) -> PlannedAudit:
    return PlannedAudit(
        audit=audit,
        cfg=cfg,
        phases=tuple(
            PlannedPhase(spec, directory, _script(audit, cfg, spec, source))
            for spec, directory in zip(phases, directories, strict=True)
        ),
        checks=third_party.checks(audit, cfg, phases),
        warmup=warmup,
        is_audit=audit.id != "performance",
    )


def _script(audit: Audit[Any], cfg: AuditBlock, spec: RunSpec, source: RequestSource) -> Callable[[], Script] | None:
    return partial(third_party.script, audit, cfg, spec, source) if isinstance(spec.order, Scripted) else None


def _warmup(benchmark: Benchmark, source: RequestSource, directory: Path) -> PlannedPhase | None:
    """Return the warm-up before a group of phases.

    Its prompts carry a fresh nonce whatever `warmup.salt` says: sent as they are, they would fill the very cache that
    the reference phase must find cold.
    """
    settings = benchmark.settings
    if not settings.warmup.enabled:
        return None
    spec = context(benchmark).phase(
        "warmup",
        settings.warmup.n_requests or len(source),
        order=without_replacement(settings.warmup.warmup_random_seed, wrap=True),
        min_duration_ms=0,
        nonce="prefix",
        nonce_seed=secrets.randbits(63),
    )
    return PlannedPhase(spec, directory)
