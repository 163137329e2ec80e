"""A run of this session against an earlier one: what can be compared is settled before the first query, then judged.

`--mlperf-compare` names a report directory, a history, or another YAML of this session. Compared is one phase: the main
run's where both have it, else the first phase of an audit that sends different rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path

import msgspec

from ..errors import ConfigError, NoVerdictError, RecordError
from ..load.group import PlannedPhase
from ..runs.order import Sequential, WithoutReplacement, WithReplacement
from ..runs.spec import Poisson, RunSpec
from ..runs.speed import is_at_once
from ..runs.trajectories import Trajectories
from ..stats.estimates import Estimate
from ..verdicts.comparison import (
    Compared,
    Comparison,
    Metric,
    TrendPoint,
    compared,
    decided,
    metrics_of,
    status_of,
)
from ..verdicts.document import VerdictDocument
from ..verdicts.history import PastRun, append
from .earlier import (
    OPTION,
    Earlier,
    Figures,
    beside,
    figures_in,
    finished,
    history_in,
    past,
    phases_in,
    rate_of,
    workload,
)
from .judge import PlannedAudit
from .run import AuditRun

#: The class of the tests of a comparison, and their marker.
COMPARE = "compare"
#: More failed queries than this share, and a figure is of another workload.
_MOST_FAILED = 0.01


@dataclass(frozen=True)
class PlannedComparison:
    """A comparison before it is made: of which phase of this run, by which figures, against what."""

    planned: PlannedAudit
    phase: PlannedPhase
    metrics: tuple[Metric, ...]
    threshold: float
    earlier: Earlier

    @property
    def audit_id(self) -> str:
        """The audit, or main run, whose phase is compared."""
        return self.planned.id

    def judge(self) -> Comparison:
        """Return what the comparison comes to. Raises NoVerdictError or RecordError where a run gives none."""
        now, failed_now = figures_in(self.phase.directory, self.metrics)
        before, failed_before = self.earlier.figures()
        figures = [compared(metric, before.get(metric), now.get(metric), self.threshold) for metric in self.metrics]
        failed = max(failed_now, failed_before)
        if failed > _MOST_FAILED:
            which = "this run" if failed_now >= failed_before else "the earlier run"
            figures = [_of_failing(figure, which, failed) for figure in figures]
        return Comparison(
            status=status_of(tuple(figures)),
            against=self.earlier.against,
            phase=f"{self.audit_id} {self.phase.spec.label}",
            threshold=self.threshold,
            figures=tuple(figures),
            notes=self.earlier.notes,
            trend=(*self.earlier.trend, TrendPoint(finished_at="", rate=rate_of(now))) if self.earlier.trend else (),
        )


def _of_failing(figure: Compared, which: str, failed: float) -> Compared:
    why = f"{figure.title}: undecided: {failed:.1%} of the queries of {which} failed, which changes its speed"
    return msgspec.structs.replace(figure, passed=None, sentence=f"{why}; mend the errors and run it again")


def comparable(run: AuditRun) -> list[tuple[PlannedAudit, PlannedPhase]]:
    """Return the phases of a run whose speed can be compared, the main run's first."""
    found = [
        (planned, phase)
        for planned in run.plans
        for phase in planned.phases
        if planned.audit.id != "accuracy" and _is_fit(phase.spec)
    ]
    return sorted(found, key=lambda one: one[0].audit.id != "performance")


def _is_fit(spec: RunSpec) -> bool:
    return not spec.conditional and isinstance(
        spec.order, WithoutReplacement | WithReplacement | Sequential | Trajectories
    )


def metrics_for(run: AuditRun, spec: RunSpec) -> tuple[Metric, ...]:
    """Return the figures that a phase is compared by."""
    return metrics_of(
        n=spec.n_samples,
        paced=isinstance(spec.load, Poisson),
        at_once=is_at_once(spec.load),
        streamed=run.benchmark.streaming,
    )


def comparison_of(run: AuditRun) -> Comparison | None:
    """Return the comparison by what is on disk, None where none was asked for, or a run gives none."""
    if run.comparison is None:
        return None
    try:
        return run.comparison.judge()
    except (NoVerdictError, RecordError):
        return None  # its tests say why


def rejudged(stored: Comparison, directory: Path) -> Comparison:
    """Return a stored comparison with what the records of this run, and its own intervals, give now.

    The earlier run's records are not looked at: they lie elsewhere. What was undecided stays so.
    Raises NoVerdictError or RecordError.
    """
    now, _ = figures_in(directory, tuple(figure.metric for figure in stored.figures))
    figures = tuple(_again(figure, now.get(figure.metric), stored.threshold) for figure in stored.figures)
    return msgspec.structs.replace(stored, figures=figures, status=status_of(figures))


def _again(figure: Compared, now: Estimate | None, threshold: float) -> Compared:
    if figure.slower is None or figure.slower_low is None or figure.slower_high is None:
        return msgspec.structs.replace(figure, passed=None)
    after = None if now is None else 1 / now.value if figure.metric == "throughput" else now.value
    if after is not None and figure.after is not None and isclose(after, figure.after, rel_tol=1e-9):
        after = figure.after
    passed = decided(figure.slower, figure.slower_low, figure.slower_high, threshold)
    return msgspec.structs.replace(figure, after=after, passed=None if figure.passed is None else passed)


def remember(run: AuditRun, verdict: VerdictDocument, path: Path) -> None:
    """Add a run to a history, a line for each phase whose speed can be compared. Raises OSError."""
    for planned, phase in comparable(run):
        metrics = metrics_for(run, phase.spec)
        try:
            figures, failed = figures_in(phase.directory, metrics)
        except (NoVerdictError, RecordError):
            continue
        _append(run, verdict, path, planned, phase, figures, failed)


def _append(
    run: AuditRun,
    verdict: VerdictDocument,
    path: Path,
    planned: PlannedAudit,
    phase: PlannedPhase,
    figures: Figures,
    failed: float,
) -> None:
    ratios = [ratio.decisive for audit in verdict.audits for ratio in audit.ratios if ratio.check]
    append(
        path,
        PastRun(
            finished_at=verdict.finished_at,
            workload=workload(run, planned, phase),
            name=verdict.name,
            model=verdict.model,
            endpoint=verdict.endpoint,
            status=verdict.status,
            phase=f"{planned.id} {phase.spec.label}",
            figures=dict(figures),
            failed_share=failed,
            ratio=max(ratios, default=None),
        ),
    )


def with_comparisons(runs: Sequence[AuditRun], asked: Path | None, threshold: float) -> None:
    """Give each run its comparison, where one is asked for. Raises ConfigError where it cannot be made."""
    if asked is None:
        return
    other = next((run for run in runs if run.path == asked), None)
    for run in runs:
        if run is not other:
            run.comparison = _planned(run, other, asked, threshold, several=len(runs) > 1)
    if other is not None and len(runs) == 1:
        raise ConfigError(
            f"{OPTION}: {asked.name} is the YAML that is run itself; name the report directory of an earlier run, or "
            "give a second --mlperf-config"
        )


def _planned(
    run: AuditRun, other: AuditRun | None, asked: Path, threshold: float, *, several: bool
) -> PlannedComparison:
    phases = comparable(run)
    if not phases:
        raise ConfigError(
            f"{OPTION}: {run.path.name} sends no phase whose speed can be compared; give it a main run or test04"
        )
    place = asked / run.path.stem if several and (asked / run.path.stem).is_dir() else asked
    planned, phase = phases[0]
    if other is not None:
        pairs = [(one, there) for one in phases for there in comparable(other) if _place(one) == _place(there)]
        if not pairs:
            raise ConfigError(f"{OPTION}: {other.path.name} and {run.path.name} have no phase in common")
        (planned, phase), (entry, counterpart) = pairs[0]
        earlier = beside(other, entry.id, counterpart, phase, _metrics(run, phase.spec))
    elif place.is_dir():
        there = phases_in(place)
        planned, phase = next((one for one in phases if _place(one) in there), phases[0])
        earlier = finished(run, planned, phase, _metrics(run, phase.spec), place)
    else:
        kept = history_in(place)
        planned, phase = next((one for one in phases if kept.of(workload(run, *one))), phases[0])
        earlier = past(kept, workload(run, planned, phase), place)
    return PlannedComparison(planned, phase, _metrics(run, phase.spec), threshold, earlier)


def _place(one: tuple[PlannedAudit, PlannedPhase]) -> tuple[str, str]:
    return one[0].id, one[1].spec.label


def _metrics(run: AuditRun, spec: RunSpec) -> tuple[Metric, ...]:
    if metrics := metrics_for(run, spec):
        return metrics
    raise ConfigError(f"{OPTION}: {spec.n_samples} queries at a set pace are too few to compare; ask for 24 or more")
