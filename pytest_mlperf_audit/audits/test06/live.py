"""TEST06, output consistency: is a language model's output what it is reported as?

Rule: mlcommons/inference `compliance/TEST06` (README, audit.config, run_verification.py): the first token that is
streamed is that of the output, an output ends in at most one end-of-sequence (EOS) token, and the reported number of
tokens is that of the output; of at least one sample, and 100 as MLPerf runs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from pydantic import Field
from typing_extensions import override

from ...config.block import AuditBlock
from ...errors import PlanError
from ...runs.order import without_replacement
from ...runs.phase import MeasuredPhase
from ...runs.spec import Parameter, RunSpec
from ..completion import completion, unless_turned_away
from ..contract import Audit, AuditContext, Samples
from ..models import find_model
from ..token_evidence import TokenEvidence, keep_ids
from ..verdict import Check, Verdict
from . import MLPERF_NAME, SAMPLES

PHASE = "test06"


class Test06Block(AuditBlock):
    """TEST06; `eos_ids` and `tokenizer` are needed for models and servers that MLPerf does not know."""

    __test__ = False

    test: Literal["test06", "consistency_output_test"] = Field(description="TEST06, by either name")
    samples: int = Field(
        default=SAMPLES, ge=1, description="Queries to send; MLPerf asks for 100, rows are sent again beyond all"
    )
    eos_ids: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        default=None, min_length=1, description="Token ids that end a sequence (default: those of the MLPerf model)"
    )
    tokenizer: Path | None = Field(
        default=None,
        description="tokenizer.json of the model, for a server that gives no token ids: they are then made of the "
        "output's text, where EOS tokens do not show; relative to the YAML's directory or else the working directory",
    )
    min_completion: float = Field(default=1.0, gt=0, le=1, description="Share of queries that must complete")


class Test06(Audit[Test06Block]):
    """MLPerf TEST06 against an HTTP endpoint."""

    __test__ = False

    id = "test06"
    title = "TEST06 output consistency"
    aliases = (MLPERF_NAME,)
    mlperf_name = MLPERF_NAME
    config = Test06Block

    @override
    def plan(self, cfg: Test06Block, samples: Samples, context: AuditContext) -> list[RunSpec]:
        eos_ids, eos_of = _eos(cfg, context.model)
        parameters: dict[str, Parameter] = {"eos_ids": [*eos_ids], "eos_of": eos_of, "streamed": context.streaming}
        return [
            context.phase(
                PHASE,
                cfg.samples,
                order=without_replacement(context.sample_order_seed, wrap=True),
                min_duration_ms=0,  # as in audit.config: nothing here is a matter of time
                keep=keep_ids(cfg.tokenizer),
                dataset=cfg.dataset or "",
                parameters=parameters,
            )
        ]

    @override
    def checks(self, cfg: Test06Block, phases: Sequence[RunSpec]) -> list[str]:
        first_token = ["first_token"] if phases[0].parameters["streamed"] else []
        return [f"completion[{PHASE}]", "samples", *first_token, "eos", "token_count"]

    @override
    def verify(self, cfg: Test06Block, runs: Mapping[str, MeasuredPhase]) -> Verdict:
        run = runs[PHASE]
        parameters = msgspec.convert(run.spec.parameters, _Parameters)
        evidence = TokenEvidence(run, frozenset(parameters.eos_ids), first_token_needed=parameters.streamed)
        return Verdict(
            audit=self.id,
            checks=(completion(run, cfg.min_completion, name=f"completion[{PHASE}]"), *_checks(evidence, run)),
            figures={
                **evidence.rules.figures,
                "eos_ids": ", ".join(map(str, parameters.eos_ids)),
                "ids_from": evidence.ids_from or "endpoint",
            },
            notes=(*_notes(evidence, parameters), *evidence.notes),
        )


class _Parameters(msgspec.Struct):
    eos_ids: list[int]
    eos_of: str
    streamed: bool


def _eos(cfg: Test06Block, name: str) -> tuple[tuple[int, ...], str]:
    """Return the EOS tokens, and whose they are. Raises PlanError where they are not known."""
    if cfg.eos_ids is not None:
        return tuple(sorted(set(cfg.eos_ids))), "eos_ids"
    model = find_model(name)
    if model is None or model.eos_ids is None:
        raise PlanError(
            f"eos_ids: which tokens end a sequence of the model {name!r} is not known; give them, as in its "
            "generation_config.json (eos_ids: [2], say), or name an MLPerf model in submission_ref.model"
        )
    return tuple(sorted(model.eos_ids)), model.name


def _checks(evidence: TokenEvidence, run: MeasuredPhase) -> list[Check]:
    checks = evidence.rules.checks()
    if not evidence.rules.n_samples:  # only then is a failure not the replies' own
        checks = [unless_turned_away(check, run) for check in checks]
    if not evidence.counts.by_text:
        return checks
    return [_as_visible(check, evidence) for check in checks]


def _as_visible(check: Check, evidence: TokenEvidence) -> Check:
    """Return a check of ids made of text: what a text does not show cannot be held against anybody."""
    doubt = evidence.counts.doubt
    if check.name == "eos" and doubt:
        return msgspec.structs.replace(check, passed=None, reason=doubt)
    if check.name == "eos" and check.passed:
        reason = f"{check.reason}, as far as a text shows it: an EOS token that the server leaves out does not"
        return msgspec.structs.replace(check, reason=reason)
    if check.name == "token_count" and evidence.rules.n_samples and not evidence.rules.n_without_output:
        return evidence.counts.check(needed=True)
    return check


def _notes(evidence: TokenEvidence, parameters: _Parameters) -> list[str]:
    notes = []
    if 0 < evidence.rules.n_samples < SAMPLES:
        notes.append(f"{evidence.rules.n_samples} samples were judged; MLPerf's TEST06 judges {SAMPLES}")
    if not parameters.streamed:
        notes.append(
            "replies were not streamed, so that there was no first token to compare; MLPerf compares it in every "
            "scenario but Offline"
        )
    return notes
