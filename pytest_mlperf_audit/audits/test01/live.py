"""TEST01, accuracy in performance mode: does the SUT give the same answers while it is being measured?

Rule: mlcommons/inference `compliance/TEST01` (README, <model>/audit.config): a seeded sample of the outputs of a
performance run match those of the accuracy run, or, where a SUT is not deterministic, both score alike on the same
samples; and keeping outputs changes the performance by 10 % at most.

Three phases. `accuracy` sends every row once and comes first, so that the other two find a system in the same state.
`reference` is a performance run that keeps nothing, as a submission's own is, and `performance` the same again with its
sample of outputs kept: MLPerf compares the two, and back to back they are compared under the same conditions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from pydantic import Field, model_validator
from typing_extensions import Self, override

from ...config.block import AuditBlock, reject
from ...errors import PlanError
from ...runs.order import without_replacement
from ...runs.phase import MeasuredPhase
from ...runs.spec import Keep, Parameter, RunSpec, Scoring
from ..completion import phase_check_names, phase_checks, unless_turned_away
from ..contract import Audit, AuditContext, Samples
from ..disturbed import unless_disturbed
from ..models import accuracy_delta_percent
from ..published.score import TOLERANCE, within
from ..scored import score_figures, scoring_for
from ..verdict import Check, Figure, Verdict
from . import MLPERF_NAME, SEED, n_sampled_outputs
from .live_outputs import Matching, Scores, comparison, diffs_of, scores_of

ACCURACY, REFERENCE, PERFORMANCE = "accuracy", "reference", "performance"


class Test01Block(AuditBlock):
    """TEST01; without further keys, outputs must be the same, byte by byte."""

    __test__ = False

    test: Literal["test01", "accuracy_in_performance_test"] = Field(description="TEST01, by either name")
    match: Literal["exact", "tokens", "score_delta"] = Field(
        default="exact",
        description="exact: sampled outputs are equal; tokens: their token ids are; score_delta: they score alike, "
        "which is MLPerf's way for systems that are not deterministic and needs an accuracy data set as `dataset`",
    )
    samples: int | None = Field(
        default=None,
        ge=1,
        description="Queries of each performance run (default: settings.runtime.n_samples_to_issue, or every row once)",
    )
    sampling_target: int | None = Field(
        default=None,
        ge=1,
        description="Outputs of the performance run that are kept and compared (default: MLPerf's number for the "
        "model, or 4096)",
    )
    delta_percent: float | None = Field(
        default=None,
        gt=0,
        lt=100,
        description="By how many per cent the two scores of score_delta may differ (default: MLPerf's for the model: "
        "0.1 for one named -99.9, else 1)",
    )
    threshold: float = Field(
        default=TOLERANCE, gt=0, lt=1, description="By how much the throughput may differ, both ways; 0.10 is MLPerf's"
    )
    min_matches: int = Field(default=1, ge=1, description="Least number of outputs that must match")
    min_completion: float = Field(default=1.0, gt=0, le=1, description="Share of queries that must complete")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.delta_percent is not None and self.match != "score_delta":
            reject("has no effect without 'match: score_delta'; add it, or take this out", at=["delta_percent"])
        if self.match == "score_delta" and self.dataset is None:
            reject("score_delta needs an accuracy data set to score; name one as 'dataset'", at=["match"])
        return self


class Test01(Audit[Test01Block]):
    """MLPerf TEST01 against an HTTP endpoint."""

    __test__ = False

    id = "test01"
    title = "TEST01 accuracy in performance mode"
    aliases = (MLPERF_NAME,)
    mlperf_name = MLPERF_NAME
    config = Test01Block

    @override
    def plan(self, cfg: Test01Block, samples: Samples, context: AuditContext) -> list[RunSpec]:
        scoring = _scoring(cfg, context)
        dataset, seed, tokens = cfg.dataset or "", context.sample_order_seed, cfg.match == "tokens"
        expected = scoring.ground_truth if scoring else None
        n_samples = cfg.samples or context.n_samples_to_issue or len(samples)
        sample = Keep(token_ids=tokens, expected=expected, target=_target(cfg, context.model), seed=SEED)
        order = without_replacement(seed, wrap=True)
        return [
            context.phase(
                ACCURACY,
                len(samples),
                order=without_replacement(seed),
                min_duration_ms=0,  # each row once, however long that takes
                keep=Keep(token_ids=tokens, expected=expected),
                dataset=dataset,
                scoring=scoring,
            ),
            context.phase(REFERENCE, n_samples, order=order, dataset=dataset),
            context.phase(
                PERFORMANCE,
                n_samples,
                order=order,
                keep=sample,
                dataset=dataset,
                scoring=scoring,
                parameters=_parameters(cfg, context.model),
            ),
        ]

    @override
    def checks(self, cfg: Test01Block, phases: Sequence[RunSpec]) -> list[str]:
        return [
            *phase_check_names(phases),
            "matches",
            "score_delta" if cfg.match == "score_delta" else "outputs_match",
            "score_within",
        ]

    @override
    def verify(self, cfg: Test01Block, runs: Mapping[str, MeasuredPhase]) -> Verdict:
        accuracy, reference, performance = runs[ACCURACY], runs[REFERENCE], runs[PERFORMANCE]
        checks = phase_checks((accuracy, reference, performance), cfg.min_completion)
        found = comparison(accuracy, performance, tokens=cfg.match == "tokens")
        scores = scores_of(accuracy, performance) if cfg.match == "score_delta" else None
        checks += _of_outputs(cfg, found, scores, (accuracy, performance))
        checks.append(unless_turned_away(_score_within(cfg, reference, performance), reference, performance))
        return Verdict(
            audit=self.id,
            checks=tuple(checks),
            figures=_figures(found, scores, reference, performance),
            notes=_notes(cfg, found),
            diffs=diffs_of(found, accuracy, performance),
        )


def _scoring(cfg: Test01Block, context: AuditContext) -> Scoring | None:
    """Return how both runs are scored, None where they are not. Raises PlanError."""
    if cfg.match != "score_delta":
        return None
    scoring = scoring_for(cfg.dataset or "", context)
    if scoring.method == "command":
        raise PlanError(
            "match: score_delta compares the scores of the sampled rows alone, and an external scorer judges whole "
            "runs; give the data set the eval_method exact_match, rouge or wer without a command, or use match: exact"
        )
    return scoring


def _target(cfg: Test01Block, name: str) -> int:
    return cfg.sampling_target or n_sampled_outputs(name)


def _parameters(cfg: Test01Block, name: str) -> dict[str, Parameter]:
    if cfg.match != "score_delta":
        return {}
    # MLPerf's exceptions are for models whose scores are not built in.
    return {"delta_percent": cfg.delta_percent or accuracy_delta_percent(name, "")}


def _of_outputs(
    cfg: Test01Block, found: Matching, scores: Scores | None, runs: tuple[MeasuredPhase, MeasuredPhase]
) -> list[Check]:
    """Return what the accuracy and the performance run come to; outputs that differ do so whatever was refused."""
    if scores is None:
        return [unless_turned_away(found.matches(cfg.min_matches), *runs), found.outputs_match()]
    limit = msgspec.convert(runs[1].spec.parameters, _Parameters).delta_percent
    checks = [scores.matches(cfg.min_matches), scores.score_delta(limit)]
    return [unless_turned_away(check, *runs) for check in checks]


class _Parameters(msgspec.Struct):
    delta_percent: float


def _score_within(cfg: Test01Block, reference: MeasuredPhase, performance: MeasuredPhase) -> Check:
    check = within(reference.figures.qps or 0.0, performance.figures.qps or 0.0, cfg.threshold, unit="queries/s")
    if not isinstance(check.observed, float):
        return check
    if check.observed > 1:
        return unless_disturbed(check, reference, check.observed, 1 + cfg.threshold)
    return unless_disturbed(check, performance, 1 / check.observed, 1 / (1 - cfg.threshold))


def _figures(
    compared: Matching, scores: Scores | None, reference: MeasuredPhase, performance: MeasuredPhase
) -> dict[str, Figure]:
    before, after = reference.figures.qps, performance.figures.qps
    figures: dict[str, Figure] = {
        "ref_qps": before,
        "audit_qps": after,
        "ratio": after / before if before and after else None,
        "outputs_sampled": compared.n_sampled,
        "outputs_compared": compared.n_compared,
        "outputs_matching": compared.n_matching,
        "outputs_differing": len(compared.differing),
    }
    if scores:
        figures |= score_figures(scores.accuracy, "accuracy_") | score_figures(scores.performance, "performance_")
    return figures


def _notes(cfg: Test01Block, compared: Matching) -> tuple[str, ...]:
    notes = []
    if lacking := compared.n_sampled - compared.n_compared:
        notes.append(f"{lacking} of {compared.n_sampled} sampled outputs had nothing to be compared with, or failed.")
    if compared.differing and cfg.match != "score_delta":
        notes.append(
            "Where a system is not deterministic, MLPerf lets the scores of both runs stand in for equal outputs: "
            "match: score_delta."
        )
    return tuple(notes)
