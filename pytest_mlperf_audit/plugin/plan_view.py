"""--mlperf-plan: what a run would send, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..runs.spec import Concurrency, MaxThroughput, RunSpec
from .run import AuditRun, PlannedAudit

#: A WAN2.2 video takes minutes, a chat reply seconds; the reader knows which, so both ends are shown.
_SERVICE_TIMES_S = (1.0, 60.0)


def plan_lines(runs: Iterable[AuditRun]) -> Iterator[str]:
    """Yield the lines of the plan."""
    for run in runs:
        yield f"{run.node_id}: {run.benchmark.name}"
        yield f"  endpoint: {endpoint_text(run)}"
        yield f"  data set: {run.source.dataset.name}, {len(run.source)} rows loaded"
        yield f"  report:   {run.report_dir}"
        for planned in run.plans:
            yield from _audit_lines(planned)
        total = sum(spec.n_samples for planned in run.plans for spec in planned.specs)
        yield f"  in all {total} queries"


def endpoint_text(run: AuditRun) -> str:
    """Return the endpoint as it may be shown."""
    api_type = run.benchmark.endpoint_config.api_type
    if run.target is not None:
        return f"{run.target.label} ({api_type})"
    simulated = run.benchmark.endpoint_config.simulated
    return (
        f"SIMULATED: embedded endpoint ({api_type}, {simulated.lanes} lanes x {simulated.service_time_ms:g} ms, "
        f"cache: {simulated.cache})"
    )


def load_text(spec: RunSpec) -> str:
    """Return a load pattern in a few words."""
    if isinstance(spec.load, MaxThroughput):
        return "max_throughput"
    if isinstance(spec.load, Concurrency):
        return "SingleStream" if spec.load.target == 1 else f"concurrency {spec.load.target}"
    return f"poisson {spec.load.target_qps:g}/s"


def _audit_lines(planned: PlannedAudit) -> Iterator[str]:
    yield f"  {planned.id}: {planned.audit.title}"
    phases = [planned.warmup.spec, *planned.specs] if planned.warmup else list(planned.specs)
    for spec in phases:
        yield f"    {spec.label}: {spec.n_samples} queries, {load_text(spec)}{_bounds(spec)}{_cost(spec)}"
    yield f"    checks: {', '.join(planned.checks)}"


def _bounds(spec: RunSpec) -> str:
    floor = f", at least {spec.min_duration_ms / 1000:g} s" if spec.min_duration_ms else ""
    ceiling = f", at most {spec.max_duration_ms / 1000:g} s" if spec.max_duration_ms else ""
    return floor + ceiling


def _cost(spec: RunSpec) -> str:
    """Estimate the duration where the load fixes it: n / concurrency x service time."""
    if not isinstance(spec.load, Concurrency):
        return ""
    spans = [spec.n_samples / spec.load.target * service_s for service_s in _SERVICE_TIMES_S]
    return f"; about {spans[0]:.0f} s at 1 s a query, {spans[1] / 60:.0f} min at 60 s"
