"""TEST07, accuracy floor: is the SUT accurate while it is being measured?

Rule: mlcommons/inference `compliance/TEST07` (README, <model>/audit.config, run_verification.py): every sample of an
accuracy data set is sent once in performance mode, and the score of all outputs reaches the model's threshold. A query
that failed counts as a wrong answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from pydantic import Field
from typing_extensions import override

from ...config.block import AuditBlock
from ...errors import PlanError
from ...runs.order import without_replacement
from ...runs.phase import MeasuredPhase
from ...runs.spec import Keep, Parameter, RunSpec
from ..completion import completion, unless_turned_away
from ..contract import Audit, AuditContext, Samples
from ..scored import SampleCount, score_check, score_figures, score_of, scoring_for
from ..verdict import Check, Figure, Verdict
from . import MLPERF_NAME, Threshold, threshold_of

PHASE = "test07"


class Test07Block(AuditBlock):
    """TEST07; a model that MLPerf has no threshold for needs one here."""

    __test__ = False

    test: Literal["test07", "accuracy_in_performance_full_test"] = Field(description="TEST07, by either name")
    dataset: str = Field(
        description="Name of an accuracy data set with accuracy_config, whose rows are sent and scored"
    )
    threshold: float | None = Field(
        default=None, description="Least score, in the scorer's own unit (default: that of the MLPerf model)"
    )
    samples: int | None = Field(
        default=None,
        ge=1,
        description="Rows to send, each once (default: all; MLPerf's thresholds hold for its own number)",
    )
    min_completion: float = Field(default=1.0, gt=0, le=1, description="Share of queries that must complete")


class Test07(Audit[Test07Block]):
    """MLPerf TEST07 against an HTTP endpoint."""

    __test__ = False

    id = "test07"
    title = "TEST07 accuracy in performance mode, all samples"
    aliases = (MLPERF_NAME,)
    mlperf_name = MLPERF_NAME
    config = Test07Block

    @override
    def plan(self, cfg: Test07Block, samples: Samples, context: AuditContext) -> list[RunSpec]:
        scoring = scoring_for(cfg.dataset, context)
        official = _official(cfg, context.model)
        n_samples = _n_samples(cfg, official, len(samples))
        parameters: dict[str, Parameter] = {
            "threshold": official.score if cfg.threshold is None and official else cfg.threshold,
            "threshold_of": "audit.threshold" if cfg.threshold is not None else context.model,
        }
        return [
            context.phase(
                PHASE,
                n_samples,
                order=without_replacement(context.sample_order_seed),
                min_duration_ms=0,  # each row once, however long that takes
                keep=Keep(outputs=True, expected=scoring.ground_truth),
                dataset=cfg.dataset,
                scoring=scoring,
                parameters=parameters,
            )
        ]

    @override
    def checks(self, cfg: Test07Block, phases: Sequence[RunSpec]) -> list[str]:
        return [f"completion[{PHASE}]", "samples", "score"]

    @override
    def verify(self, cfg: Test07Block, runs: Mapping[str, MeasuredPhase]) -> Verdict:
        run = runs[PHASE]
        parameters = msgspec.convert(run.spec.parameters, _Parameters)
        score = score_of(run)
        checks = (
            completion(run, cfg.min_completion, name=f"completion[{PHASE}]"),
            _each_once(run),
            unless_turned_away(score_check(score, parameters.threshold), run),
        )
        figures: dict[str, Figure] = {
            **score_figures(score),
            "threshold": parameters.threshold,
            "threshold_of": parameters.threshold_of,
            "qps": run.figures.qps,
        }
        return Verdict(audit=self.id, checks=checks, figures=figures)


class _Parameters(msgspec.Struct):
    threshold: float
    threshold_of: str


def _each_once(run: MeasuredPhase) -> Check:
    """Require that as many rows as were planned were sent, each once."""
    seen = SampleCount()
    for row in run.queries.samples.tolist():
        seen.add(row)
    return seen.check(run.spec.n_samples, unique=True)


def _official(cfg: Test07Block, name: str) -> Threshold | None:
    """Return MLPerf's threshold where it is the one to reach. Raises PlanError where there is neither."""
    if cfg.threshold is not None:
        return None
    if (official := threshold_of(name)) is None:
        raise PlanError(
            f"threshold: MLPerf has none for the model {name!r}; give `threshold`, or name a model that it has one for "
            "in submission_ref.model (gpt-oss-120b)"
        )
    return official


def _n_samples(cfg: Test07Block, official: Threshold | None, n_rows: int) -> int:
    """Return how many rows to send. Raises PlanError where there are too few, or not as many as the threshold is of."""
    n_samples = cfg.samples or n_rows
    if n_samples > n_rows:
        raise PlanError(
            f"samples: {n_samples} distinct rows are asked for, but {n_rows} were loaded; lower `samples`, or raise "
            "the data set's own `samples`"
        )
    if official is not None and n_samples != official.n_samples:
        raise PlanError(
            f"samples: MLPerf's threshold {official.score:g} is of {official.n_samples} samples, and {n_samples} rows "
            "would be sent; load that data set whole, or give a `threshold` of your own"
        )
    return n_samples
