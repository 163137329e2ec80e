"""Options and YAMLs to AuditRuns: every mistake that can be known before the first query surfaces here.

A run's phases are in the order they are sent: main run, accuracy run, audits; a warm-up where asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..audits import registry
from ..audits.contract import Audit, AuditContext
from ..audits.scored import first_unscorable, scoring_of
from ..config.benchmark import Benchmark
from ..config.block import AuditBlock
from ..config.load import LoadedConfig, load_config
from ..config.rulesets import salt_seed
from ..config.settings import Settings
from ..endpoints.source import RequestSource
from ..errors import ConfigError, DatasetError, PlanError
from ..load.group import PlannedPhase
from ..load.pattern import turn_warnings
from ..load.redaction import Redactor
from ..load.target import Target, unused_proxy, used_proxy
from ..runs.order import without_replacement
from ..runs.spec import Concurrency, Load, MaxThroughput, Poisson, RunSpec, Scoring
from ..runs.tokens import Limits
from . import third_party
from .accuracy import accuracy_block, accuracy_runs, unscored
from .commands import Between, Hook
from .crews import each_share
from .inputs import Adapters, Sources, redirected, require_videos, target_of, with_data_found, with_prompts_found
from .judge import PlannedAudit, with_beside
from .official import require_countable
from .places import check_disjoint, check_harmless
from .played import played
from .run import AuditRun
from .scorer import command_problem
from .submitted import lacking


@dataclass(frozen=True)
class Request:
    """What the command line and the ini file ask for; paths are absolute."""

    configs: tuple[Path, ...]
    endpoint: str | None
    report_dir: Path | None
    cwd: Path
    rootpath: Path
    environ: Mapping[str, str]
    between: Hook | None = None
    data_dir: Path | None = None


def plan_runs(request: Request, audits: registry.Registry, adapters: Adapters) -> list[AuditRun]:
    """Return one AuditRun for each YAML. Raises UserError for whatever keeps a run from starting."""
    runs = [_plan_run(path, request, audits, adapters) for path in request.configs]
    check_disjoint((run.path, run.report_dir) for run in runs)
    return runs


def _plan_run(path: Path, request: Request, audits: registry.Registry, adapters: Adapters) -> AuditRun:
    loaded = load_config(path, registry.models(audits), environ=request.environ)
    if request.endpoint:
        loaded = redirected(loaded, request.endpoint)
    loaded = with_prompts_found(with_data_found(loaded, request.data_dir), request.cwd)
    require_videos(loaded)
    sources = Sources(loaded, adapters, request.cwd)
    report_dir = _report_dir(path, loaded.benchmark, request)
    groups = _Groups(loaded, sources, report_dir)
    plans = groups.plan(audits)
    inputs = [path, request.cwd, request.rootpath, *sources.paths]
    known_prompts = loaded.benchmark.endpoint_config.simulated.known_prompts
    check_harmless(report_dir, [*inputs, *([known_prompts] if known_prompts else [])])
    target = target_of(loaded, sources.key_headers)
    crowded = turn_warnings(each_share(loaded.benchmark, [one for planned in plans for one in planned.phases]), target)
    hidden = target.redactor if target else Redactor(loaded.secrets)
    return AuditRun(
        path=path,
        loaded=loaded,
        node_id=node_id(path, request.rootpath),
        plans=tuple(plans),
        source=sources.main(),
        between=Between(
            loaded.benchmark.settings.between_phases, request.between, path.parent, request.environ, hidden.redact
        ),
        left_out=(
            *unscored(loaded.benchmark),
            *lacking(loaded.benchmark, plans),
            *sources.warnings,
            *groups.warnings,
            *crowded,
            *_proxies(target, request.environ),
        ),
        target=target,
        report_dir=report_dir,
    )


def _proxies(target: Target | None, environ: Mapping[str, str]) -> list[str]:
    """Return what there is to say of the proxy that is used, or of one that others would use."""
    if target is None:
        return []
    said = used_proxy(target) or unused_proxy((*target.urls, *target.metrics), environ)
    return [said] if said else []


def _report_dir(config: Path, benchmark: Benchmark, request: Request) -> Path:
    stem = config.stem
    if request.report_dir:
        return request.report_dir if len(request.configs) == 1 else request.report_dir / stem
    return Path(request.cwd, (benchmark.report_dir or Path("mlperf-reports", stem)).expanduser()).resolve()


def node_id(path: Path, rootpath: Path) -> str:
    """Return a file's node id; pytest's own would be empty for a file outside the rootdir."""
    return (path.relative_to(rootpath) if path.is_relative_to(rootpath) else path).as_posix()


#: A query may take this long where the YAML does not say, or as long as the phase's ceiling if that is longer: under
#: max_throughput the last of some hundred videos waits for all the others. It is MLPerf's ceiling for WAN2.2.
_DEFAULT_QUERY_TIMEOUT_S = 4 * 3600.0


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
        drain_timeout_s=settings.timeouts.performance_drain_timeout_s,
        accuracy_drain_timeout_s=settings.timeouts.accuracy_drain_timeout_s,
        query_timeout_s=settings.client.query_timeout_s or max(ceiling_s, _DEFAULT_QUERY_TIMEOUT_S),
        n_samples_to_issue=runtime.n_samples_to_issue,
        ruleset=benchmark.submission_ref.ruleset if benchmark.submission_ref else "",
        division=benchmark.submission_ref.division if benchmark.submission_ref else None,
        salt_seed=salt_seed(benchmark.submission_ref.ruleset) if benchmark.submission_ref else None,
        api_type=benchmark.endpoint_config.api_type,
        streaming=benchmark.streaming,
        model=benchmark.submission_ref.model if benchmark.submission_ref else benchmark.model_params.name,
        tokenizer=None if benchmark.model_params.tokenizer is None else str(benchmark.model_params.tokenizer),
        limits=None if settings.goodput is None else Limits(**settings.goodput.model_dump()),
        scorings={dataset.name: scoring_of(dataset) for dataset in benchmark.accuracy_datasets},
    )


def _load(settings: Settings) -> Load:
    pattern = settings.load_pattern
    if pattern.type in ("concurrency", "agentic_inference"):
        return Concurrency(target=pattern.target_concurrency or 1)
    if pattern.type == "poisson":
        return Poisson(target_qps=pattern.target_qps or 1.0, seed=settings.runtime.scheduler_random_seed)
    return MaxThroughput(max_in_flight=settings.client.max_connections)


class _Groups:
    """Plans what a YAML asks for: the main run, the accuracy run, and each audit, which may have `warnings`."""

    def __init__(self, loaded: LoadedConfig, sources: Sources, report_dir: Path) -> None:
        self._loaded = loaded
        self._benchmark = loaded.benchmark
        self._sources = sources
        self._report_dir = report_dir
        self._context = msgspec.structs.replace(
            context(loaded.benchmark), text_output=sources.text_output, own_costs=sources.own_costs
        )
        self.warnings: list[str] = []

    def plan(self, audits: registry.Registry) -> list[PlannedAudit]:
        """Return all in the order they are sent. Raises PlanError, naming where the YAML asks for what cannot be."""
        requested = [(registry.find(audits, cfg.test), cfg) for cfg in self._benchmark.audit]
        main = [] if any(cfg.only for _, cfg in requested) else [*self._performance(), *self._accuracy()]
        audited = self._audits(requested)
        if self._benchmark.audit_order == "before":
            return [*audited, *main]
        sent = [phase for planned in main for phase in planned.phases]
        return [*main, *(with_beside(planned, sent) for planned in audited)]

    def _performance(self) -> Iterator[PlannedAudit]:
        if self._benchmark.effective_mode:
            audit, cfg, source = *registry.runs()["performance"], self._sources.of(None)
            if self._context.salt_seed is not None and not source.dataset.of_conversations:
                source.require_saltable(f"the ruleset {self._context.ruleset}")
            require_countable(self._loaded, source)
            directory = self._report_dir / audit.id
            context = played(self._loaded, source, self._context)
            sent = [(spec, source) for spec in self._specs(audit, cfg, source, context)]
            yield self._planned(audit, cfg, sent, [directory], self._warmup(source, directory / "warmup"))

    def _accuracy(self) -> Iterator[PlannedAudit]:
        audit, cfg = registry.runs()["accuracy"][0], accuracy_block(self._benchmark)
        sent = []
        for dataset, scoring in accuracy_runs(self._benchmark):
            source = self._sources.source(dataset)
            self._require_scorable(scoring, source)
            repeats = dataset.accuracy_config.num_repeats if dataset.accuracy_config else 1
            block = cfg.model_copy(update={"dataset": dataset.name, "num_repeats": repeats})
            sent += [(spec, source) for spec in audit.plan(block, source, self._context)]
        if sent or cfg.lacking:
            yield self._planned(audit, cfg, sent, [self._report_dir / audit.id / spec.label for spec, _ in sent])

    def _audits(self, requested: Sequence[tuple[Audit[Any], AuditBlock]]) -> list[PlannedAudit]:
        sources = [self._sources.prompts(cfg.dataset) for _, cfg in requested]
        drawn = [self._specs(audit, cfg, source) for (audit, cfg), source in zip(requested, sources, strict=True)]
        labels = Counter(spec.label for specs in drawn for spec in specs)
        self.warnings += _known_rows(requested)
        planned = []
        for (audit, cfg), source, specs in zip(requested, sources, drawn, strict=True):
            # Two audits may both have a phase called "reference"; then the directory says whose.
            entry = registry.entry_id(audit, cfg)
            names = [spec.label if labels[spec.label] == 1 else f"{entry}.{spec.label}" for spec in specs]
            directories = [self._report_dir / "audit" / name for name in names]
            warmup = self._warmup(source, self._report_dir / "audit" / f"{entry}.warmup")
            planned.append(self._planned(audit, cfg, [(spec, source) for spec in specs], directories, warmup))
        return planned

    def _specs(
        self, audit: Audit[Any], cfg: AuditBlock, source: RequestSource, context: AuditContext | None = None
    ) -> list[RunSpec]:
        of_rows = msgspec.structs.replace(self._context, conversations=source.dataset.of_conversations)
        try:
            specs = third_party.plan(audit, cfg, source, context or of_rows)
            for spec in specs:
                source.keeping(spec.keep)
                if spec.scoring:
                    self._require_scorable(spec.scoring, source)
        except PlanError as error:
            size = self._loaded.benchmark.model_params.batch_size
            batches = (
                f"; each is a batch of {size} here (model_params.batch_size)"
                if size > 1 and "loaded" in str(error)
                else ""
            )
            raise PlanError(f"{self._loaded.where('audit')}: {error}{batches}") from error
        entry = registry.entry_id(audit, cfg)
        self.warnings += [f"{entry}: {each}" for each in third_party.warnings(audit, cfg, specs, source)]
        return [msgspec.structs.replace(spec, dataset=cfg.dataset or "") for spec in specs]

    def _require_scorable(self, scoring: Scoring, source: RequestSource) -> None:
        """Raise DatasetError or ConfigError for outputs that nothing could be compared with, or no program judge."""
        if scoring.ground_truth:
            expected = (source.value(row, scoring.ground_truth) for row in range(len(source)))
            if found := first_unscorable(scoring, expected):
                row, why = found
                raise DatasetError(f"{source.where(row)}, column {scoring.ground_truth!r}: {why}")
        if problem := command_problem(scoring, self._loaded.path.parent):
            raise ConfigError(f"{self._loaded.where('datasets')}: {problem}")

    def _planned(
        self,
        audit: Audit[Any],
        cfg: AuditBlock,
        sent: Sequence[tuple[RunSpec, RequestSource]],
        directories: Sequence[Path],
        warmup: PlannedPhase | None = None,
    ) -> PlannedAudit:
        return PlannedAudit(
            audit=audit,
            cfg=cfg,
            phases=tuple(
                PlannedPhase(spec, directory, source=source)
                for (spec, source), directory in zip(sent, directories, strict=True)
            ),
            checks=third_party.checks(audit, cfg, [spec for spec, _ in sent]),
            warmup=warmup,
        )

    def _warmup(self, source: RequestSource, directory: Path) -> PlannedPhase | None:
        """Return the warm-up before a group of phases.

        Its prompts carry a nonce, drawn when it is sent, whatever `warmup.salt` says: sent as they are, they would fill
        the very cache that the reference phase must find cold.
        """
        warmup = self._benchmark.settings.warmup
        if not warmup.enabled:
            return None
        spec = self._context.phase(
            "warmup",
            warmup.n_requests or len(source),
            order=without_replacement(warmup.warmup_random_seed, wrap=True),
            min_duration_ms=0,
            drain_timeout_s=self._benchmark.settings.timeouts.warmup_drain_timeout_s,
            nonce="prefix",
        )
        return PlannedPhase(spec, directory, source=source)


def _known_rows(requested: Sequence[tuple[Audit[Any], AuditBlock]]) -> Iterator[str]:
    """Yield a sentence on each entry that sends rows which an earlier entry of the same audit has sent."""
    seen: dict[tuple[str, str | None], str] = {}
    for audit, cfg in requested:
        entry, key = registry.entry_id(audit, cfg), (audit.id, cfg.dataset)
        first = seen.setdefault(key, entry)
        if first != entry:
            yield (
                f"{entry} sends rows of the data set that {first} sends before it, so that a cache may know them; give "
                "it a data set of its own, or look at the first alone"
            )
