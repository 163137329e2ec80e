"""TEST09, output length: are a language model's outputs as long, on average, as they should be?

Rule: mlcommons/inference `compliance/TEST09` (README, <model>/audit.config, run_verification.py): every sample is sent
once in performance mode, and the mean number of output tokens is within the model's bounds. Truncated outputs make a
SUT faster, padded ones make its tokens per second look better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from pydantic import Field, model_validator
from typing_extensions import Self, override

from ...config.block import AuditBlock, reject
from ...errors import PlanError
from ...runs.order import without_replacement
from ...runs.phase import MeasuredPhase
from ...runs.spec import Parameter, RunSpec
from ..completion import completion, unless_turned_away
from ..contract import Audit, AuditContext, Samples
from ..models import find_model
from ..scored import SampleCount
from ..token_evidence import TokenEvidence, completed, keep_ids
from ..verdict import Check, Verdict
from . import LengthBounds, bounds_of, mean_within

PHASE = "test09"


class Test09Block(AuditBlock):
    """TEST09; a model that MLPerf has no bounds for needs them here."""

    __test__ = False

    test: Literal["test09", "output_length_test"] = Field(description="TEST09, by either name")
    min_output_tokens: float | None = Field(
        default=None, ge=0, description="Least mean output length in tokens (default: that of the MLPerf model)"
    )
    max_output_tokens: float | None = Field(
        default=None, gt=0, description="Greatest mean output length in tokens (default: that of the MLPerf model)"
    )
    samples: int | None = Field(
        default=None,
        ge=1,
        description="Rows to send, each once (default: all; MLPerf's bounds hold for its own number)",
    )
    tokenizer: Path | None = Field(
        default=None,
        description="tokenizer.json of the model, for a server that gives no token ids: they are then made of the "
        "output's text; relative to the YAML's directory or else the working directory",
    )

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        low, high = self.min_output_tokens, self.max_output_tokens
        if low is not None and high is not None and low > high:
            reject(f"min_output_tokens ({low:g}) exceeds max_output_tokens ({high:g})", at=["min_output_tokens"])
        return self


class Test09(Audit[Test09Block]):
    """MLPerf TEST09 against an HTTP endpoint."""

    __test__ = False

    id = "test09"
    title = "TEST09 output length"
    aliases = ("output_length_test",)
    config = Test09Block

    @override
    def plan(self, cfg: Test09Block, samples: Samples, context: AuditContext) -> list[RunSpec]:
        bounds, bounds_of = _bounds(cfg, context.model)
        n_samples = _n_samples(cfg, bounds, len(samples))
        parameters: dict[str, Parameter] = {
            "min_output_tokens": bounds.min_tokens,
            "max_output_tokens": bounds.max_tokens,
            "bounds_of": bounds_of,
        }
        return [
            context.phase(
                PHASE,
                n_samples,
                order=without_replacement(context.sample_order_seed),
                min_duration_ms=0,  # each row once, however long that takes
                keep=keep_ids(cfg.tokenizer),
                dataset=cfg.dataset or "",
                parameters=parameters,
            )
        ]

    @override
    def checks(self, cfg: Test09Block, phases: Sequence[RunSpec]) -> list[str]:
        return [f"completion[{PHASE}]", "samples", "output_length", "token_count"]

    @override
    def verify(self, cfg: Test09Block, runs: Mapping[str, MeasuredPhase]) -> Verdict:
        run = runs[PHASE]
        parameters = msgspec.convert(run.spec.parameters, _Parameters)
        evidence = TokenEvidence(run, None, first_token_needed=False)
        seen = SampleCount()
        for record in completed(run):
            seen.add(record.sample)
        checks = (
            completion(run, 1.0, name=f"completion[{PHASE}]"),
            unless_turned_away(seen.check(run.spec.n_samples, unique=True), run),
            unless_turned_away(_output_length(evidence, parameters), run),
            evidence.counts.check(needed=False),
        )
        figures = {
            **evidence.rules.figures,
            "min_output_tokens": parameters.min_output_tokens,
            "max_output_tokens": parameters.max_output_tokens,
            "bounds_of": parameters.bounds_of,
            "ids_from": evidence.ids_from or "endpoint",
        }
        return Verdict(audit=self.id, checks=checks, figures=figures, notes=evidence.notes)


class _Parameters(msgspec.Struct):
    min_output_tokens: float
    max_output_tokens: float
    bounds_of: str


class _Bounds(msgspec.Struct):
    min_tokens: float
    max_tokens: float
    model: LengthBounds | None = None


def _bounds(cfg: Test09Block, name: str) -> tuple[_Bounds, str]:
    """Return the bounds, with the model's own where both are its, and whose they are. Raises PlanError."""
    low, high = cfg.min_output_tokens, cfg.max_output_tokens
    if low is not None and high is not None:
        return _Bounds(low, high), "min_output_tokens and max_output_tokens"
    model, official = find_model(name), bounds_of(name)
    if model is None or official is None:
        raise PlanError(
            f"min_output_tokens, max_output_tokens: MLPerf has no bounds for the model {name!r}; give both, or name a "
            "model that it has them for in submission_ref.model (gpt-oss-120b, e2e-rag-qna)"
        )
    mean = _Bounds(official.min_tokens if low is None else low, official.max_tokens if high is None else high)
    if mean.min_tokens > mean.max_tokens:
        raise PlanError(
            f"min_output_tokens, max_output_tokens: with the other bound that MLPerf has for {model.name} they are "
            f"{mean.min_tokens:g} to {mean.max_tokens:g}, which no mean can be within; give both"
        )
    if low is None and high is None:
        mean.model = official
    return mean, model.name


def _n_samples(cfg: Test09Block, bounds: _Bounds, n_rows: int) -> int:
    """Return how many rows to send. Raises PlanError where there are too few, or not as many as the bounds are for."""
    n_samples = cfg.samples or n_rows
    if n_samples > n_rows:
        raise PlanError(
            f"samples: {n_samples} distinct rows are asked for, but {n_rows} were loaded; lower `samples`, or raise "
            "the data set's own `samples`"
        )
    official = bounds.model
    if official is not None and (
        n_samples < official.n_samples or (official.unique and n_samples > official.n_samples)
    ):
        raise PlanError(
            f"samples: MLPerf's bounds are for the mean of {official.n_samples} outputs, and {n_samples} rows would be "
            "sent; load that data set whole, or give min_output_tokens and max_output_tokens of your own"
        )
    return n_samples


def _output_length(evidence: TokenEvidence, parameters: _Parameters) -> Check:
    rules, reason = evidence.rules, evidence.counts.doubt
    if rules.n_without_output:
        reason = (
            f"{rules.n_without_output} of {rules.n_samples} replies have no token ids, so the mean is not that of all"
        )
    if reason:
        return Check(
            name="output_length", passed=None, observed=None, limit=parameters.max_output_tokens, reason=reason
        )
    return mean_within(*evidence.counted, parameters.min_output_tokens, parameters.max_output_tokens)
