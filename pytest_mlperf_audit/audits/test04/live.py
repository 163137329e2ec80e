"""TEST04, output caching: does repeating one sample make the SUT faster?

Rule: mlcommons/inference `compliance/TEST04` (README, audit.config, verify_performance.py): run distinct samples, then
one sample again and again; fail when the second is faster by more than the tolerance. The comparison is strict: a run
exactly at the limit fails. Completion of each phase is asserted first, since a SUT that answers errors quickly would
otherwise look fast or slow at will.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from typing_extensions import override

from ...errors import NoVerdictError, PlanError
from ...runs.order import Scripted, Single, single
from ...runs.phase import MeasuredPhase
from ...runs.query import QueryRecord
from ...runs.script import Script
from ...runs.spec import Poisson, RunSpec
from ..completion import phase_check_names, phase_checks
from ..contract import Audit, AuditContext, Samples
from ..main_run import MAIN_RUN
from ..probe.conclusion import Conclusion
from ..probe.identity.identity import identity
from ..probe.kinds import without_probe
from ..probe.plan import PHASE, TRIAL, as_planned, phase, planned, probe_of, trial_phase
from ..probe.script import script
from ..probe.settings import ProbeSettings
from ..probe.warm_up import trial
from ..verdict import Verdict
from . import MLPERF_NAME, confirm, consistency, evidence, figures, passes, ratio, reference, rule
from .block import Test04Block
from .figures import AUDIT, ratio_name, suffix_of
from .mlperf import beside_mlperf

REFERENCE = reference.LABEL
_PROBE = "cache_probe"
#: A phase of more queries is not read from disk once more for its replies.
_MOST_READ = 100_000


class Test04(Audit[Test04Block]):
    """MLPerf TEST04 against an HTTP endpoint."""

    __test__ = False

    id = "test04"
    title = "TEST04 output caching"
    aliases = (MLPERF_NAME,)
    mlperf_name = MLPERF_NAME
    ratio_key = "threshold"
    config = Test04Block
    first_time = frozenset({"throughput_ratio"})
    beside = frozenset({MAIN_RUN})

    @override
    def plan(self, cfg: Test04Block, samples: Samples, context: AuditContext) -> list[RunSpec]:
        if isinstance(context.load, Poisson):
            raise PlanError(
                "load_pattern poisson paces the queries, so a cache could not show as throughput; "
                "use max_throughput or concurrency for test04"
            )
        rows = list(cfg.audit_phases.values())
        _require_rows(rows, samples)
        phases = [
            reference.planned(cfg.reference, rows, cfg.samples, samples, context),
            *(context.phase(label, cfg.n_repeats, order=single(row)) for label, row in cfg.audit_phases.items()),
        ]
        confirmations = _confirmations(cfg, context)
        if cfg.probe is False:
            return [*phases, *confirmations]
        probe = planned(cfg.probe, samples, context, where="probe.", row=rows[0], warmed=True)
        return [trial_phase(probe, context), *phases, phase(probe, context), *confirmations]

    @override
    def checks(self, cfg: Test04Block, phases: Sequence[RunSpec]) -> list[str]:
        names = phase_check_names(phase for phase in phases if not isinstance(phase.order, Scripted))
        names += [f"requests_distinct[{REFERENCE}]", *(f"requests_identical[{label}]" for label in cfg.audit_phases)]
        names += [ratio_name(label) for label in cfg.audit_phases]
        return [*names, *([_PROBE] if cfg.probe else [])]

    @override
    def warnings(self, cfg: Test04Block, phases: Sequence[RunSpec], samples: Samples) -> list[str]:
        told = (passes.warning(phase, probed=bool(cfg.probe)) for phase in phases)
        return [warning for warning in told if warning]

    @override
    def script(self, cfg: Test04Block, phase: RunSpec, samples: Samples) -> Script:
        if phase.conditional:
            return confirm.script(confirm.confirmation_of(phase), phase.nonce_seed or 0)
        start = trial if phase.label == TRIAL else script
        return start(probe_of(phase), phase.nonce_seed or 0)

    @override
    def wanted(self, cfg: Test04Block, phase: RunSpec, runs: Mapping[str, MeasuredPhase]) -> bool:
        every = _compared(cfg, runs, _conclusion(runs))
        return any(ratio.wants_blocks(every[label]) for label in every if _confirmation(label) == phase.label)

    @override
    def verify(self, cfg: Test04Block, runs: Mapping[str, MeasuredPhase]) -> Verdict:
        _require_asked(cfg, runs)
        compared = runs[REFERENCE]
        repeats = {label: runs[label] for label in cfg.audit_phases}
        checks = phase_checks((compared, *repeats.values()), cfg.completion_floor)
        checks.append(reference.requests_distinct(compared))
        checks += [rule.requests_identical(label, run) for label, run in repeats.items()]
        conclusion = _conclusion(runs)
        judged = {
            label: ratio.throughput_ratio(one, runs.get(_confirmation(label)))
            for label, one in _compared(cfg, runs, conclusion).items()
        }
        checks += [check for check, _ in judged.values()]
        blocks = {label: found for label, (_, found) in judged.items()}
        ratios = figures.ratios(cfg.threshold, compared, repeats, cfg.audit_phases, blocks)
        beside = beside_mlperf(compared, repeats[next(iter(repeats))], runs.get(PHASE))
        ratios = {suffix: msgspec.structs.replace(one, mlperf=beside) for suffix, one in ratios.items()}
        verdict = Verdict(
            audit=self.id,
            checks=tuple(checks),
            ratios=tuple(ratios.values()),
            figures=figures.figures(cfg.threshold, compared, repeats, cfg.audit_phases, ratios),
            notes=(
                *reference.notes(compared, probed=bool(cfg.probe)),
                *evidence.notes(compared, repeats),
                *consistency.notes(runs.get(MAIN_RUN), compared, repeats),
                *rule.notes(compared, repeats, cfg.threshold),
                *rule.bounded_notes(compared, repeats, probed=bool(cfg.probe)),
            ),
        )
        if conclusion is None or cfg.probe is False:
            notes = (*verdict.notes, *identity(_replies(runs)).sentences)
            return msgspec.structs.replace(verdict, kinds=without_probe(), notes=notes)
        return _with_probe(verdict, conclusion, cfg.probe)


def _confirmations(cfg: Test04Block, context: AuditContext) -> list[RunSpec]:
    """Return the phase that confirms the ratio of each phase that repeats a row."""
    n = min(cfg.samples, cfg.n_repeats)
    return [
        confirm.phase(
            confirm.Confirmation(
                row=row,
                n=n,
                in_flight=confirm.in_flight(context.load, n),
                limit=1 + cfg.threshold,
                budget=cfg.confirmation_budget,
                loaded=True,
            ),
            _confirmation(label),
            context,
        )
        for label, row in cfg.audit_phases.items()
    ]


def _conclusion(runs: Mapping[str, MeasuredPhase]) -> Conclusion | None:
    """Return what the cache probe came to, None where none was sent."""
    if (probed := runs.get(PHASE)) is None:
        return None
    return Conclusion(probe_of(probed.spec), as_planned(probed.spec, probed.read()), _replies(runs))


def _replies(runs: Mapping[str, MeasuredPhase]) -> list[Iterable[QueryRecord]]:
    """Return the records of the phases of which the probe does not decide what they send, and of the main run."""
    phases = [run for label, run in runs.items() if label in (MAIN_RUN, REFERENCE) or label.startswith(AUDIT)]
    return [run.read() for run in phases if run.figures.n_issued <= _MOST_READ]


def _compared(
    cfg: Test04Block, runs: Mapping[str, MeasuredPhase], conclusion: Conclusion | None
) -> dict[str, ratio.Compared]:
    """Return what is compared for each phase that repeats a row, by its label."""
    probed = None
    if conclusion:
        proved = conclusion.proved
        allowed = tuple(kind for kind in conclusion.judgement.kinds if kind not in proved)
        sought = {state.kind for state in conclusion.kinds if state.state != "not looked for"}
        probed = ratio.Probed(proved, allowed, near="near_duplicate" in sought)
    return {
        label: ratio.Compared(
            name=ratio_name(label),
            whole=runs[REFERENCE],
            row=row,
            run=runs[label],
            threshold=cfg.threshold,
            min_completion=cfg.completion_floor,
            probed=probed,
        )
        for label, row in cfg.audit_phases.items()
    }


def _confirmation(label: str) -> str:
    """Return the label of the phase that confirms the ratio of the phase `label`."""
    return confirm.LABEL + suffix_of(label)


def _require_asked(cfg: Test04Block, runs: Mapping[str, MeasuredPhase]) -> None:
    """Raise NoVerdictError for a phase of another size, or of another row, than the block asks for."""
    for label, row in ((REFERENCE, None), *cfg.audit_phases.items()):
        spec, size = runs[label].spec, cfg.samples if row is None else cfg.n_repeats
        if spec.n_samples != size:
            raise NoVerdictError(f"phase {label} was run with {spec.n_samples} queries, {size} are asked for")
        if isinstance(spec.order, Single) and spec.order.index != row:
            raise NoVerdictError(f"phase {label} repeated row {spec.order.index}, {row} is asked for")
    reference.require_asked(cfg.reference, list(cfg.audit_phases.values()), runs[REFERENCE].spec)


def _with_probe(verdict: Verdict, conclusion: Conclusion, settings: ProbeSettings) -> Verdict:
    return msgspec.structs.replace(
        verdict,
        checks=(*verdict.checks, conclusion.check(_PROBE, settings.forbid or ())),
        figures={**verdict.figures, **conclusion.figures()},
        notes=(*verdict.notes, *conclusion.notes()),
        findings=conclusion.findings(),
        arms=conclusion.arms(),
        kinds=conclusion.kinds,
    )


def _require_rows(rows: Sequence[int], samples: Samples) -> None:
    for row in rows:
        if row >= len(samples):
            raise PlanError(
                f"sample_index: there is no row {row}; {len(samples)} rows were loaded, counted from 0, "
                f"so give at most {len(samples) - 1}"
            )
