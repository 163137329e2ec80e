"""The main performance run: not an audit, but planned, run and checked like one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ..config.audit import AuditBlock
from ..runs.measured import MeasuredPhase
from ..runs.order import without_replacement
from ..runs.spec import RunSpec
from .completion import completion, duration
from .contract import Audit, AuditContext, Samples
from .verdict import Verdict

PHASE = "performance"


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
        """`completion`, and `duration` where the YAML sets a floor."""
        return ["completion", *(["duration"] if phases[0].min_duration_ms else [])]

    def verify(self, cfg: PerformanceBlock, runs: Mapping[str, MeasuredPhase]) -> Verdict:  # noqa: ARG002
        """Every query completed; the floor held."""
        run = runs[PHASE]
        checks = [completion(run, 1.0, name="completion")]
        if run.spec.min_duration_ms:
            checks.append(duration(run, name="duration"))
        figures = {"qps": run.figures.qps, "n_completed": run.figures.n_completed, "window_s": run.figures.window_s}
        return Verdict(audit=self.id, checks=tuple(checks), figures=figures)
