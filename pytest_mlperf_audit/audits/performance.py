"""The main performance run: not an audit, but planned, run and checked like one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ..config.block import AuditBlock
from ..runs.order import without_replacement
from ..runs.phase import MeasuredPhase
from ..runs.spec import RunSpec
from ..stats.percentiles import P90_FLOOR
from .completion import completion, duration, unless_turned_away
from .contract import Audit, AuditContext, Samples
from .verdict import Check, Verdict

PHASE = "performance"
_FLOOR = "early_stopping"


class PerformanceBlock(AuditBlock):
    """The main run has no block in the YAML; `settings` say all."""

    test: Literal["performance"] = "performance"


class Performance(Audit[PerformanceBlock]):
    """MLPerf's performance run: `n_samples_to_issue` queries (default: every row once), for the duration floor."""

    id = "performance"
    title = "Main performance run"
    config = PerformanceBlock

    def plan(self, cfg: PerformanceBlock, samples: Samples, context: AuditContext) -> list[RunSpec]:  # noqa: ARG002
        """One phase over shuffled rows, shuffled anew when they are used up, as MLPerf's LoadGen does."""
        order = without_replacement(context.sample_order_seed, wrap=True)
        return [context.phase(PHASE, context.n_samples_to_issue or len(samples), order=order)]

    def checks(self, cfg: PerformanceBlock, phases: Sequence[RunSpec]) -> list[str]:  # noqa: ARG002
        """`completion` and `count`; `duration` where the YAML sets a floor; `early_stopping` where LoadGen has one."""
        (spec,) = phases
        names = ["completion", "count"]
        return names + [name for name, due in (("duration", spec.min_duration_ms), (_FLOOR, _has_floor(spec))) if due]

    def verify(self, cfg: PerformanceBlock, runs: Mapping[str, MeasuredPhase]) -> Verdict:  # noqa: ARG002
        """Every query was sent and completed; the floors held."""
        run = runs[PHASE]
        checks = [completion(run, 1.0, name="completion"), _count(run)]
        if run.spec.min_duration_ms:
            checks.append(duration(run, name="duration"))
        if _has_floor(run.spec):
            checks.append(_early_stopping(run))
        figures = {"qps": run.figures.qps, "n_completed": run.figures.n_completed, "window_s": run.figures.window_s}
        return Verdict(audit=self.id, checks=tuple(checks), figures=figures, notes=_notes(run))


def _has_floor(spec: RunSpec) -> bool:
    """Whether the score is SingleStream's percentile, and LoadGen's estimate can be had of that many queries."""
    return spec.load.scenario == "SingleStream" and spec.n_samples >= P90_FLOOR


def _count(run: MeasuredPhase) -> Check:
    issued, asked = run.figures.n_issued, run.spec.n_samples
    reason = f"{issued} queries were issued, {asked} asked for"
    return Check(name="count", passed=issued >= asked, observed=issued, limit=asked, reason=reason)


def _early_stopping(run: MeasuredPhase) -> Check:
    estimate_s, completed = run.figures.early_stopping_p90_s, run.figures.n_completed
    reason = f"{completed} queries completed, LoadGen's early-stopping 90th percentile needs {P90_FLOOR}"
    if estimate_s is not None:
        reason += f" and is {estimate_s * 1000:.4g} ms"
    check = Check(name=_FLOOR, passed=estimate_s is not None, observed=completed, limit=P90_FLOOR, reason=reason)
    return unless_turned_away(check, run)


def _notes(run: MeasuredPhase) -> tuple[str, ...]:
    if run.spec.load.scenario != "SingleStream" or run.spec.n_samples >= P90_FLOOR:
        return ()
    note = (
        f"SingleStream: with {run.spec.n_samples} queries LoadGen has no early-stopping 90th percentile, which needs "
        f"{P90_FLOOR}; an endpoints submission is scored by the mean latency instead (mlcommons/inference#2493)"
    )
    return (note,)
