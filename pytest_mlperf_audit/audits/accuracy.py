"""The accuracy run: not an audit, but planned, run and checked like one; a phase for each accuracy data set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from typing_extensions import override

from ..config.block import AuditBlock
from ..config.dataset import DatasetConfig
from ..errors import PlanError
from ..runs.order import without_replacement
from ..runs.phase import MeasuredPhase
from ..runs.spec import Keep, RunSpec, Scoring
from .completion import completion, unless_turned_away
from .contract import Audit, AuditContext, Samples
from .scored import score_check, score_figures, score_of
from .verdict import Check, Figure, Verdict


class AccuracyBlock(AuditBlock):
    """The accuracy run has no block in the YAML; the data sets say all."""

    test: Literal["accuracy"] = "accuracy"


class Accuracy(Audit[AccuracyBlock]):
    """MLPerf's accuracy run: every row of each accuracy data set, as often as it says, scored."""

    id = "accuracy"
    title = "Accuracy run"
    config = AccuracyBlock

    @override
    def plan(self, cfg: AccuracyBlock, samples: Samples, context: AuditContext) -> list[RunSpec]:
        raise PlanError("the accuracy run is planned by data set; see `phase`")

    @override
    def checks(self, cfg: AccuracyBlock, phases: Sequence[RunSpec]) -> list[str]:
        return [f"{name}[{phase.label}]" for phase in phases for name in ("completion", "score")]

    @override
    def verify(self, cfg: AccuracyBlock, runs: Mapping[str, MeasuredPhase]) -> Verdict:
        checks: list[Check] = []
        figures: dict[str, Figure] = {}
        for label, run in runs.items():
            score = score_of(run)
            floor = run.spec.scoring.threshold if run.spec.scoring else None
            checks += [
                completion(run, 1.0, name=f"completion[{label}]"),
                unless_turned_away(score_check(score, floor, name=f"score[{label}]"), run),
            ]
            figures |= {f"{name}_{label}": value for name, value in score_figures(score).items()}
        return Verdict(audit=self.id, checks=tuple(checks), figures=figures)


def phase(dataset: DatasetConfig, n_rows: int, scoring: Scoring, context: AuditContext) -> RunSpec:
    """Return the phase that sends every row of a data set as often as it is to be repeated, keeping the outputs."""
    repeats = dataset.accuracy_config.num_repeats if dataset.accuracy_config else 1
    return context.phase(
        label_of(dataset.name),
        n_rows * repeats,
        order=without_replacement(context.sample_order_seed, wrap=True),
        min_duration_ms=0,
        max_duration_ms=0,
        keep=Keep(outputs=True, expected=scoring.ground_truth),
        dataset=dataset.name,
        scoring=scoring,
    )


def label_of(name: str) -> str:
    """Return a data set's name as a phase's label, which is a directory's name: gpqa::gptoss becomes gpqa-gptoss."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-") or "accuracy"
