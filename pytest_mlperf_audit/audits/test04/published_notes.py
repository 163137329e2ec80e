"""What a reviewer should know of a published TEST04 beside its checks. A note decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from ...loadgen.detail import finite, peek
from ...loadgen.summary import Summary
from ...loadgen.verify_files import RecordedPerformance
from ..published.case import Reverified, status_of
from ..published.pair import DETAIL, Pair, Run, of_summary, systems_note
from ..published.score import SCENARIOS, TOLERANCE, is_in_log, is_latency, is_of_run, same_score
from ..verdict import Check

#: compliance/TEST04/audit.config: performance_issue_same_index
_INDEX: Final = 3
#: The sample of v4.1 has six ratios below 0.9: five from 0.39 to 0.52, and one of 0.86.
_SLOW: Final = 0.6
_FiguresOf = Callable[[], AbstractSet[float]]
_NS_PER_S: Final = 1e9


def of_runs(pair: Pair, summaries: tuple[Summary, Summary], ratio: Check) -> list[str]:
    """Return notes on two runs that could be compared."""
    reference, audit = summaries
    notes = systems_note(pair)
    notes += _of_ratio(ratio) + _of_load(reference, audit) + _of_old_rounds(reference, audit, ratio)
    if audit.performance_issue_same_index not in (None, _INDEX):
        notes.append(
            f"The audit run repeated sample {audit.performance_issue_same_index}; TEST04's audit.config has {_INDEX}."
        )
    return [*notes, *_of_log(pair.reference, reference), *_of_log(pair.audit, audit)]


def _of_ratio(ratio: Check) -> list[str]:
    notes: list[str] = []
    if not isinstance(ratio.observed, float):
        return notes
    if ratio.passed and ratio.observed >= 1 + TOLERANCE:
        notes.append(
            f"The ratio {ratio.observed:.4g} passes only because upstream's script grants this scenario 20 %; "
            "TEST04's README says 10 %."
        )
    if ratio.observed < _SLOW:
        notes.append(
            f"The audit run is much slower than the reference run (ratio {ratio.observed:.3g}), so the runs hardly had "
            "the same settings, and a cache could hide behind the difference."
        )
    return notes


def _of_load(reference: Summary, audit: Summary) -> list[str]:
    notes: list[str] = []
    if audit.scenario == "Server":
        notes.append(
            f"Server's load is paced: the reference run was offered {_offered(reference)}, the audit run "
            f"{_offered(audit)}. A cache cannot complete more than is offered, so this ratio could hardly show one."
        )
    return notes


def _offered(run: Summary) -> str:
    rate, target = run.scheduled_samples_per_second, run.target_qps
    offered = "an unknown load" if rate is None else f"{rate:g} samples/s"
    return offered if target is None else f"{offered} (target_qps {target:g})"


def _of_old_rounds(reference: Summary, audit: Summary, ratio: Check) -> list[str]:
    notes: list[str] = []
    before, after = _rate_of_old(reference), _rate_of_old(audit)
    if ratio.observed is None and before and after and reference.scenario == audit.scenario:
        notes.append(
            "By the percentile latency alone, which was the score until LoadGen had early stopping, the ratio is "
            f"{after / before:.4g}."
        )
    return notes


def _rate_of_old(run: Summary) -> float | None:
    """Return 1e9 / percentile latency: what counted before LoadGen had early stopping (v1.1 and older)."""
    latency = {"SingleStream": run.percentile_90_latency_ns, "MultiStream": run.percentile_99_latency_ns}
    ns = latency.get(run.scenario or "")
    return _NS_PER_S / ns if ns else None


def _of_log(run: Run, summary: Summary) -> list[str]:
    notes = run.errors()
    if unmet := [what for what, met in summary.satisfied.items() if not met]:
        notes.append(f"In the {run.name} run LoadGen's requirements were not met: {', '.join(unmet)}.")
    if summary.mode not in (None, "PerformanceOnly"):
        notes.append(f"The {run.name} run is of mode {summary.mode}; TEST04 compares runs of mode PerformanceOnly.")
    return notes + run.oddities()


def of_audit_alone(audit: Summary) -> list[str]:
    """Return notes on an audit run whose reference run was not published."""
    notes = []
    if audit.validity != "VALID":
        notes.append(f"LoadGen does not call the audit run VALID, but {audit.validity or 'nothing at all'}.")
    if audit.performance_issue_same is False:
        notes.append("The audit run never repeated one sample: performance_issue_same is 0.")
    return notes + _of_log(of_summary("audit", audit, as_rate=True), audit)


def of_details(paths: tuple[Path, Path], pair: Pair) -> list[str]:
    """Return notes where a detail log disagrees with the summary beside it: then one of the two is of another run."""
    notes = []
    for path, run in zip(paths, pair, strict=True):
        source = SCENARIOS.get(run.scenario or "")
        detailed = finite(peek(path.with_name(DETAIL), frozenset((source.key,))).get(source.key)) if source else None
        if run.score is None or not detailed:
            continue
        detailed = _NS_PER_S / detailed if is_latency(run.scenario) else detailed
        if not same_score(run.score, detailed, run.scenario):
            notes.append(
                f"The {run.name} run's summary says {run.score:g}, its detail log {detailed:g}: one is of another run."
            )
    return notes


def of_record(
    recorded: RecordedPerformance, shown: Reverified, score_lines: tuple[_FiguresOf, _FiguresOf]
) -> list[str]:
    """Return notes where the submitter's verify_performance.txt differs from what the logs show.

    `score_lines` return the figures of the reference's and of the audit's log that some script took for the score.
    """
    notes = []
    if recorded.n_errors:
        notes.append(f"verify_performance.txt records {recorded.n_errors} errors.")
    if not recorded.verdict:
        what = "has no verdict" if recorded.started else "is empty or was not published"
        return [*notes, f"verify_performance.txt {what}."]
    if shown.checks and (status := status_of(shown.checks)) != recorded.verdict:
        notes.append(f"verify_performance.txt says TEST {recorded.verdict}; the logs come to {status}.")
    pairs = [
        (recorded.reference_score, shown.figures.get("reference_score")),
        (recorded.audit_score, shown.figures.get("audit_score")),
    ]
    if any(
        was is not None
        and isinstance(now, float)
        and not is_of_run(was, now, shown.log_scenario)
        and not is_in_log(was, lines(), shown.log_scenario)
        for (was, now), lines in zip(pairs, score_lines, strict=True)
    ):
        scores = ", ".join("none" if was is None else f"{was:g}" for was, _ in pairs)
        notes.append(f"verify_performance.txt has other scores than the logs ({scores}): it is of other runs.")
    return notes
