"""What a run would send, and what that costs: --mlperf-plan, and the lines of it that head a session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..endpoints.source import RequestSource
from ..report.tables import workload
from ..runs.order import Scripted
from ..runs.spec import Concurrency, MaxThroughput, RunSpec
from ..runs.trajectories import Trajectories
from ..text import plain
from .crews import crew_specs, crew_text
from .display_lines import span
from .judge import PlannedAudit
from .places import shown
from .run import AuditRun
from .schedule import duration_s

#: A WAN2.2 video takes minutes, a chat reply seconds; the reader knows which, so both ends are shown.
_SERVICE_TIMES_S = (1.0, 60.0)
#: As much of a row as shows whether the right columns were read.
_ROW = 160


def plan_lines(runs: Iterable[AuditRun]) -> Iterator[str]:
    """Yield the lines of the plan."""
    for run in runs:
        yield f"{run.node_id}: {run.benchmark.name}"
        yield f"  endpoint: {_endpoint_text(run)}"
        yield from (f"  {line}" for line in _crew_lines(run))
        for source in _sources(run):
            yield f"  data set: {source.dataset.name}, {len(source)} rows loaded"
            yield f"    first row: {plain(repr(dict(source.dataset[0])), _ROW)}"
        yield from (f"  warning:  {warning}" for warning in run.warnings)
        yield f"  report:   {shown(run.report_dir)}"
        for planned in run.plans:
            yield from _audit_lines(planned)
        yield f"  in all {_in_all(run)}"


def _in_all(run: AuditRun) -> str:
    """Return how many queries a run sends: '144 to 291 queries, up to 3731 if a check stays open'."""
    sent = [phase.spec for planned in run.plans for phase in planned.all_phases]
    surely = [spec for spec in sent if not spec.conditional]
    fewest, most = sum(map(_least, surely)), sum(spec.n_samples for spec in surely)
    further = sum(spec.n_samples for spec in sent if spec.conditional)
    at_most = f", up to {most + further} if a check stays open" if further else ""
    return f"{most if fewest == most else f'{fewest} to {most}'} queries{at_most}"


def run_lines(run: AuditRun, *, writes: bool) -> Iterator[str]:
    """Yield what the head of a session says of a run; where it `writes` nothing, it has no report."""
    yield f"{run.node_id}: {', '.join(_in_short(planned) for planned in run.plans)}"
    yield f"endpoint {_endpoint_text(run)}"
    yield from _crew_lines(run)
    yield from (f"warning: {warning}" for warning in run.warnings)
    if writes:
        yield f"report {shown(run.report_dir)}"


def _crew_lines(run: AuditRun) -> Iterator[str]:
    """Yield a line on the processes that send, where these are several."""
    if specs := crew_specs(run.benchmark, [phase for planned in run.plans for phase in planned.phases]):
        yield f"sent by {len(specs)} process{'es' if len(specs) > 1 else ''}: {crew_text(specs)}"


def _in_short(planned: PlannedAudit) -> str:
    """Return an audit in a line: 'test04 (64 + 64 queries, max_throughput, limit 1.1x; cache probe 12 queries)'."""
    timed = [spec for spec in planned.surely if not _is_scripted(spec)]
    scripted = [spec for spec in planned.surely if _is_scripted(spec)]
    parts = []
    if timed:
        key = planned.audit.ratio_key
        limit = f", limit {1 + getattr(planned.cfg, key):g}x" if key else ""
        counts = " + ".join(str(spec.n_samples) for spec in timed)
        parts.append(f"{counts} queries, {_load_text(timed[0])}{limit}")
    if scripted:
        fewest, most = sum(map(_least, scripted)), sum(spec.n_samples for spec in scripted)
        name = f"{scripted[-1].label.replace('_', ' ')} " if timed else ""
        parts.append(f"{name}{fewest}{'+' if fewest < most else ''} queries")
    return f"{planned.id} ({'; '.join(parts) or 'nothing to send'})"


def _sources(run: AuditRun) -> list[RequestSource]:
    """Return every data set that a phase sends, the performance data set first."""
    sent = [phase.source for planned in run.plans for phase in planned.all_phases if phase.source is not None]
    return list({source.dataset.name: source for source in (run.source, *sent)}.values())


def _endpoint_text(run: AuditRun) -> str:
    """Return the endpoint as it may be shown."""
    api_type = run.benchmark.endpoint_config.api_type
    if run.target is not None:
        return f"{run.target.label} ({api_type})"
    simulated = run.benchmark.endpoint_config.simulated
    return (
        f"SIMULATED: embedded endpoint ({api_type}, {simulated.lanes} lanes x {simulated.service_time_ms:g} ms, "
        f"cache: {simulated.cache})"
    )


def _load_text(spec: RunSpec) -> str:
    """Return a load pattern in a few words."""
    if isinstance(spec.load, MaxThroughput):
        return "max_throughput"
    if isinstance(spec.load, Concurrency):
        if isinstance(spec.order, Trajectories):
            return f"{spec.order.count} conversations, {spec.load.target} at a time"
        return "SingleStream" if spec.load.target == 1 else f"concurrency {spec.load.target}"
    return f"poisson {spec.load.target_qps:g}/s"


def _is_scripted(spec: RunSpec) -> bool:
    """Whether a script decides what is sent, and how much."""
    return isinstance(spec.order, Scripted)


def _least(spec: RunSpec) -> int:
    """Return how many queries a phase sends at least."""
    return min(spec.order.at_least, spec.n_samples) if isinstance(spec.order, Scripted) else spec.n_samples


def _audit_lines(planned: PlannedAudit) -> Iterator[str]:
    yield f"  {planned.id}: {planned.audit.title}"
    phases = [planned.warmup.spec, *planned.specs] if planned.warmup else list(planned.specs)
    for spec in phases:
        if spec.conditional:
            yield f"    {spec.label}: only if the phases before it leave a check open; at most {spec.n_samples} queries"
        else:
            yield f"    {spec.label}: {_scripted(spec) if _is_scripted(spec) else _load(spec)}"
    yield f"    checks: {', '.join(planned.checks)}"


def _load(spec: RunSpec) -> str:
    floor = f", at least {spec.min_duration_ms / 1000:g} s" if spec.min_duration_ms else ""
    ceiling = f", at most {spec.max_duration_ms / 1000:g} s" if spec.max_duration_ms else ""
    return f"{spec.n_samples} queries, {_load_text(spec)}{floor}{ceiling}{_cost(spec)}"


def _scripted(spec: RunSpec) -> str:
    """Say what a script may send, and what the least of it costs: nobody knows how soon its answer is clear."""
    if spec.n_samples == 1:
        return workload(spec)
    if _least(spec) == spec.n_samples:
        return workload(spec) + _about(spec.n_samples, _SERVICE_TIMES_S)
    return f"{workload(spec)}; stops when the answer is clear{_about(_least(spec), _SERVICE_TIMES_S[:1])} for the least"


def _cost(spec: RunSpec) -> str:
    """Estimate the duration where the load fixes it: n / concurrency x service time."""
    if not isinstance(spec.load, Concurrency):
        return ""
    return _about(spec.n_samples / spec.load.target, _SERVICE_TIMES_S)


def estimate(specs: Sequence[RunSpec], service_s: float) -> str:
    """Return what a run will take if all its queries take as long as one did, "" where its load does not say."""
    times = [duration_s(spec, service_s) for spec in specs]
    known = [time_s for time_s in times if time_s is not None]
    return f"; about {span(sum(known))} in all at this rate" if len(known) == len(times) else ""


def _about(services: float, times_s: Sequence[float]) -> str:
    first, *others = (f"{span(services * time_s)} at {time_s:g} s" for time_s in times_s)
    return f"; about {first} a query" + "".join(f", {other}" for other in others)
