"""Options and YAMLs to AuditRuns. Every mistake that can be known before the first query surfaces here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..audits import registry
from ..config.benchmark import Benchmark
from ..config.load import load_config
from ..load.files import turns
from ..load.proxies import unused_proxy
from ..load.redaction import Redactor
from .between import Between, Hook
from .endpoint import redirected, target_of, with_prompts_found
from .groups import Groups, unscored
from .places import check_disjoint, check_harmless
from .run import AuditRun
from .sources import Adapters, Sources


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


def plan_runs(request: Request, audits: registry.Registry, adapters: Adapters) -> list[AuditRun]:
    """Return one AuditRun for each YAML. Raises UserError for whatever keeps a run from starting."""
    runs = [_plan_run(path, request, audits, adapters) for path in request.configs]
    check_disjoint((run.path, run.report_dir) for run in runs)
    return runs


def _plan_run(path: Path, request: Request, audits: registry.Registry, adapters: Adapters) -> AuditRun:
    loaded = load_config(path, registry.models(audits), environ=request.environ)
    if request.endpoint:
        loaded = redirected(loaded, request.endpoint)
    loaded = with_prompts_found(loaded, request.cwd)
    sources = Sources(loaded, adapters, request.cwd)
    report_dir = _report_dir(path, loaded.benchmark, request)
    plans = Groups(loaded, sources, report_dir).plan(audits)
    inputs = [path, request.cwd, request.rootpath, *sources.paths]
    known_prompts = loaded.benchmark.endpoint_config.simulated.known_prompts
    check_harmless(report_dir, [*inputs, *([known_prompts] if known_prompts else [])])
    target = target_of(loaded)
    crowded = turns([spec for planned in plans for spec in planned.specs], target)
    hidden = target.redactor if target else Redactor(loaded.secrets)
    proxy = unused_proxy((*target.urls, *target.metrics), request.environ) if target else ""
    return AuditRun(
        path=path,
        loaded=loaded,
        node_id=node_id(path, request.rootpath),
        plans=tuple(plans),
        source=sources.main(),
        between=Between(
            loaded.benchmark.settings.between_phases, request.between, path.parent, request.environ, hidden.redact
        ),
        left_out=(*unscored(loaded.benchmark), *sources.warnings, *crowded, *filter(None, [proxy])),
        target=target,
        report_dir=report_dir,
    )


def _report_dir(config: Path, benchmark: Benchmark, request: Request) -> Path:
    stem = config.stem
    if request.report_dir:
        return request.report_dir if len(request.configs) == 1 else request.report_dir / stem
    return Path(request.cwd, (benchmark.report_dir or Path("mlperf-reports", stem)).expanduser()).resolve()


def node_id(path: Path, rootpath: Path) -> str:
    """Return a file's node id; pytest's own would be empty for a file outside the rootdir."""
    return (path.relative_to(rootpath) if path.is_relative_to(rootpath) else path).as_posix()
