"""The main performance run and the accuracy run: no audits, but planned, run and checked like one.

No `audit:` block asks for them: `registry.runs` has them, and no other audit may have their ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import Field

from ..config.block import AuditBlock
from ..runs.order import without_replacement
from ..runs.phase import MeasuredPhase
from ..runs.spec import Keep, RunSpec
from ..runs.trajectories import Trajectories
from ..stats.percentiles import P90_FLOOR
from .completion import completion, duration, in_doubt, unless_turned_away
from .contract import Audit, AuditContext, Samples
from .official import keep_messages, official_figures, official_notes
from .scored import score_check, score_figures, score_of, scoring_for
from .unsent import unsent
from .verdict import Check, Figure, Verdict

#: The label of the main run's phase.
MAIN_RUN = "performance"
_FLOOR = "early_stopping"
#: Rules of MLPerf Endpoints v1.0 (endpoints_rules.md § 2.9.5.1 and § 6.4).
_SALTED = "salted"
_PASSES = "whole_passes"
_ROWS = "n_rows"
_GOODPUT = "goodput"

_NO_ACCURACY = "set 'accuracy: false' for a run that needs no accuracy"


class PerformanceBlock(AuditBlock):
    """The settings of the YAML say all of the main run."""

    test: Literal["performance"] = "performance"


class Performance(Audit[PerformanceBlock]):
    """MLPerf's performance run: `n_samples_to_issue` queries (default: every row once), for the duration floor."""

    id = "performance"
    title = "Main performance run"
    config = PerformanceBlock
    first_time = frozenset({_SALTED})

    def plan(self, cfg: PerformanceBlock, samples: Samples, context: AuditContext) -> list[RunSpec]:  # noqa: ARG002
        """One phase over shuffled rows, shuffled anew when they are used up, as LoadGen does; or of conversations."""
        keep = None if context.tokenizer is None else keep_messages(context.tokenizer)
        if (played := context.trajectories) is not None:
            rows = {} if context.salt_seed is None else {_ROWS: len(played.turns)}
            return [context.phase(MAIN_RUN, played.n_turns, order=played, parameters=rows, keep=keep)]
        order = without_replacement(context.sample_order_seed, wrap=True)
        n_samples = context.n_samples_to_issue or len(samples)
        if context.salt_seed is None:
            return [context.phase(MAIN_RUN, n_samples, order=order, keep=keep)]
        salt = {"nonce": "salt", "nonce_seed": context.salt_seed, "parameters": {_ROWS: len(samples)}}
        multiple = 1 if n_samples % len(samples) else len(samples)  # a count of the YAML's own stands
        return [context.phase(MAIN_RUN, n_samples, order=order, multiple_of=multiple, keep=keep, **salt)]

    def checks(self, cfg: PerformanceBlock, phases: Sequence[RunSpec]) -> list[str]:  # noqa: ARG002
        """`completion` and `count`; `duration` where the YAML sets a floor; `early_stopping` where LoadGen has one.

        `goodput` where the YAML asks for a least share of queries that keep its limits.

        Under the rules of Endpoints v1.0 `salted` and `whole_passes`, too.
        """
        (spec,) = phases
        names = ["completion", "count", *([_SALTED, _PASSES] if _ROWS in spec.parameters else [])]
        return names + [
            name
            for name, due in (
                ("duration", spec.min_duration_ms),
                (_FLOOR, _has_floor(spec)),
                (_GOODPUT, _least_share(spec)),
            )
            if due
        ]

    def verify(self, cfg: PerformanceBlock, runs: Mapping[str, MeasuredPhase]) -> Verdict:  # noqa: ARG002
        """Every query was sent and completed; the floors held."""
        run = runs[MAIN_RUN]
        checks = [completion(run, 1.0, name="completion"), _count(run)]
        if _ROWS in run.spec.parameters:
            checks += [_salted(run), _whole_passes(run)]
        if run.spec.min_duration_ms:
            checks.append(duration(run, name="duration"))
        if _has_floor(run.spec):
            checks.append(_early_stopping(run))
        if _least_share(run.spec):
            checks.append(_goodput(run))
        figures: dict[str, Figure] = {
            "qps": run.figures.qps,
            "n_completed": run.figures.n_completed,
            "window_s": run.figures.window_s,
        }
        figures |= official_figures(run)
        return Verdict(audit=self.id, checks=tuple(checks), figures=figures, notes=_notes(run))


class AccuracyBlock(AuditBlock):
    """One accuracy data set: which, and how often each row is sent. The data sets say it, so no report shows it.

    `lacking` are the data sets that must be scored and cannot be, with why; nothing is sent for them.
    """

    test: Literal["accuracy"] = "accuracy"
    num_repeats: int = Field(default=1, exclude=True)
    lacking: dict[str, str] = Field(default_factory=dict, exclude=True)


class Accuracy(Audit[AccuracyBlock]):
    """MLPerf's accuracy run: every row of each accuracy data set, as often as it says, scored."""

    id = "accuracy"
    title = "Accuracy run"
    config = AccuracyBlock

    def plan(self, cfg: AccuracyBlock, samples: Samples, context: AuditContext) -> list[RunSpec]:
        """One phase, of the rows of one data set, keeping the outputs."""
        dataset = cfg.dataset or ""
        scoring = scoring_for(dataset, context)
        return [
            context.phase(
                _label(dataset),
                len(samples) * cfg.num_repeats,
                order=without_replacement(context.sample_order_seed, wrap=True),
                min_duration_ms=0,
                max_duration_ms=0,
                drain_timeout_s=context.accuracy_drain_timeout_s,
                keep=Keep(outputs=True, expected=scoring.ground_truth),
                dataset=dataset,
                scoring=scoring,
            )
        ]

    def checks(self, cfg: AccuracyBlock, phases: Sequence[RunSpec]) -> list[str]:
        """`completion[..]` and `score[..]` of each data set; of one that cannot be scored the second alone."""
        names = [f"{name}[{phase.label}]" for phase in phases for name in ("completion", "score")]
        return names + [f"score[{_label(name)}]" for name in cfg.lacking]

    def verify(self, cfg: AccuracyBlock, runs: Mapping[str, MeasuredPhase]) -> Verdict:
        """Every query completed, and each data set's score reaches its threshold; undecided where there is none."""
        checks = [_unscored(name, why) for name, why in cfg.lacking.items()]
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


def _label(name: str) -> str:
    """Return a data set's name as a phase's label, which is a directory's name: gpqa::gptoss becomes gpqa-gptoss."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-") or "accuracy"


def _unscored(name: str, why: str) -> Check:
    reason = f"{why}; {_NO_ACCURACY}"
    return Check(name=f"score[{_label(name)}]", passed=None, observed=None, limit=None, reason=reason)


def _has_floor(spec: RunSpec) -> bool:
    """Whether the score is SingleStream's percentile, and LoadGen's estimate can be had of that many queries."""
    return spec.load.scenario == "SingleStream" and spec.n_samples >= P90_FLOOR


def _count(run: MeasuredPhase) -> Check:
    lost = unsent(run)
    issued, asked = run.figures.n_issued, run.spec.n_samples - lost.unwanted
    reason = f"{issued} queries were issued, {asked} asked for"
    check = Check(name="count", passed=issued >= asked, observed=issued, limit=asked, reason=reason)
    return in_doubt(check, lost.refused) if not check.passed and issued + lost.refused >= asked else check


def _salted(run: MeasuredPhase) -> Check:
    """Require that no two queries were the same on the wire, by digests of their bytes; undecided where some were."""
    issued, distinct = run.figures.n_issued, run.figures.n_distinct_requests
    where = "between system prompt and user text"
    if isinstance(run.spec.order, Trajectories):
        where = "behind its system prompt, of its conversation, and as many before it, of its pass over the data set"
    salted = f"64 random bits {where}, by the seed of the ruleset's seed set"
    if distinct == issued:
        reason = f"{issued} queries, no two the same on the wire: each has {salted}"
    else:
        reason = (
            f"{distinct} different requests in {issued} queries, where each was to have {salted}; the endpoint adapter "
            "must apply the edit that encode() is given to the prompt"
        )
    return Check(name=_SALTED, passed=distinct == issued or None, observed=distinct, limit=issued, reason=reason)


def _whole_passes(run: MeasuredPhase) -> Check:
    """Require that the rows were sent equally often; undecided where not, for the system did nothing wrong."""
    issued, n_rows = run.figures.n_issued, int(str(run.spec.parameters[_ROWS]))
    if isinstance(run.spec.order, Trajectories):
        return _whole_passes_of(run, run.spec.order)
    whole = issued > 0 and issued % n_rows == 0
    reason = f"{issued} queries of {n_rows} rows are {issued / n_rows:.6g} passes over the data set"
    if not whole:
        reason += (
            "; the rules of Endpoints ask for a whole number: set n_samples_to_issue to a multiple of the rows, or "
            "drop it, and leave time in max_duration_ms"
        )
    return Check(name=_PASSES, passed=whole or None, observed=issued, limit=n_rows, reason=reason)


def _whole_passes_of(run: MeasuredPhase, order: Trajectories) -> Check:
    """Require that the conversations were played equally often, and all their turns were sent."""
    n, issued = len(order.turns), run.figures.n_issued
    whole = order.count % n == 0 and issued >= order.n_turns
    reason = f"{order.count} of {n} conversations are {order.count / n:.6g} passes over the data set"
    if not whole:
        reason += (
            f", of whose {order.n_turns} turns {issued} were sent; the rules ask for all turns of a whole number: set "
            "num_trajectories_to_issue to a multiple of the conversations"
        )
    return Check(name=_PASSES, passed=whole or None, observed=order.count, limit=n, reason=reason)


def _early_stopping(run: MeasuredPhase) -> Check:
    estimate_s, completed = run.figures.early_stopping_p90_s, run.figures.n_completed
    reason = f"{completed} queries completed, LoadGen's early-stopping 90th percentile needs {P90_FLOOR}"
    if estimate_s is not None:
        reason += f" and is {estimate_s * 1000:.4g} ms"
    check = Check(name=_FLOOR, passed=estimate_s is not None, observed=completed, limit=P90_FLOOR, reason=reason)
    return unless_turned_away(check, run)


def _least_share(spec: RunSpec) -> float | None:
    return spec.limits.min_share if spec.limits else None


def _goodput(run: MeasuredPhase) -> Check:
    """Require the share of good queries; undecided where queries that could not be measured decide."""
    limits, found, least = run.spec.limits, run.figures.goodput, _least_share(run.spec) or 0.0
    names = {"first token": "ttft_ms", "time per output token": "tpot_ms", "latency": "latency_ms"}
    asked = ", ".join(f"{what} {value:g} ms" for what, name in names.items() if (value := getattr(limits, name, None)))
    if found is None or found.share is None:
        reason = "no reply has what the limits are about; set streaming to on, and drop tpot_ms if no reply has `usage`"
        return Check(name=_GOODPUT, passed=None, observed=None, limit=least, reason=reason)
    reason = f"{found.n_good} of {found.n} queries kept the limits ({asked})"
    passed: bool | None = found.share >= least
    if found.n_unmeasured:
        reason += f"; {found.n_unmeasured} replies were not streamed or report no tokens, and could not be measured"
        if not passed and found.n_good + found.n_unmeasured >= least * found.n:
            passed = None
    check = Check(name=_GOODPUT, passed=passed, observed=found.share, limit=least, reason=reason)
    return unless_turned_away(check, run)


def _notes(run: MeasuredPhase) -> tuple[str, ...]:
    return (*_of_conversations(run), *_single_stream(run), *official_notes(run))


def _of_conversations(run: MeasuredPhase) -> Iterator[str]:
    """Yield what there is to know of a run that played conversations."""
    order, figures = run.spec.order, run.figures
    if not isinstance(order, Trajectories):
        return
    if figures.n_late:
        yield (
            f"{figures.n_late} turns were sent when the first slot had no next conversation to play: they are recorded "
            f"and must complete, and no rate and no latency counts them; the measured time has "
            f"{figures.n_issued - figures.n_late} turns"
        )
    if unwanted := unsent(run).unwanted:
        yield (
            f"{unwanted} turns were not sent, as stop_issuing_on_first_user_complete asks; such a run is no official "
            "submission"
        )
    if order.salt_seed is not None:
        yield (
            "each conversation's system prompt carried a salt of 64 bits before it and another behind it, by the seed "
            f"{order.salt_seed}"
        )


def _single_stream(run: MeasuredPhase) -> tuple[str, ...]:
    if run.spec.load.scenario != "SingleStream" or run.spec.n_samples >= P90_FLOOR:
        return ()
    note = (
        f"SingleStream: with {run.spec.n_samples} queries LoadGen has no early-stopping 90th percentile, which needs "
        f"{P90_FLOOR}; an endpoints submission is scored by the mean latency instead (mlcommons/inference#2493)"
    )
    return (note,)
