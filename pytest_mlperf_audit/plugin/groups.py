"""The phases of a YAML in the order they are sent: main run and audits, each with a warm-up where asked for."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..audits import registry
from ..audits.contract import Audit, AuditContext
from ..audits.performance import PerformanceBlock
from ..config.audit import AuditBlock
from ..config.benchmark import Benchmark
from ..config.load import LoadedConfig
from ..config.settings import Settings
from ..endpoints.source import RequestSource
from ..errors import PlanError
from ..load.group import PlannedPhase
from ..runs.order import Scripted, without_replacement
from ..runs.script import Script
from ..runs.spec import Concurrency, Load, MaxThroughput, Poisson, RunSpec
from . import third_party
from .judging import PlannedAudit

#: A query may take this long where the YAML does not say, or as long as the phase's ceiling if that is longer: under
#: max_throughput the last of some hundred videos waits for all the others. It is MLPerf's ceiling for WAN2.2.
DEFAULT_QUERY_TIMEOUT_S = 4 * 3600.0


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


def planned_audits(
    loaded: LoadedConfig, source: RequestSource, audits: registry.Registry, report_dir: Path
) -> Iterable[PlannedAudit]:
    """Yield what is to be run, in order. Raises PlanError, naming where the YAML asks for what cannot be."""
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
