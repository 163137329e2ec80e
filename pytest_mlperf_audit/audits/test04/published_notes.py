"""What a reviewer should know of a published TEST04 beside its checks. A note decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ...loadgen.detail import finite, peek
from ...loadgen.summary import Summary
from ...loadgen.verify_files import RecordedPerformance
from ..published.case import Reverified, status_of
from ..published.pair import DETAIL, Runs
from ..published.same_run import of_systems
from ..published.score import TOLERANCE
from ..published.scores import latency_score, same_score, score_of
from ..verdict import Check

#: compliance/TEST04/audit.config: performance_issue_same_index
_INDEX: Final = 3
#: The sample of v4.1 has six ratios below 0.9: five from 0.39 to 0.52, and one of 0.86.
_SLOW: Final = 0.6
#: How the detail log calls what the score is made of, and whether that is a latency in ns.
_RESULTS: Final = {
    "Offline": ("result_samples_per_second", False),
    "Server": ("result_completed_samples_per_sec", False),
    "SingleStream": ("early_stopping_latency_ss", True),
    "MultiStream": ("early_stopping_latency_ms", True),
}


def of_runs(reference: Summary, audit: Summary, ratio: Check) -> list[str]:
    """Return notes on two runs that could be compared."""
    notes = of_systems(reference.sut_name, audit.sut_name)
    notes += _of_ratio(ratio) + _of_load(reference, audit) + _of_old_rounds(reference, audit, ratio)
    if audit.performance_issue_same_index not in (None, _INDEX):
        notes.append(
            f"The audit run repeated sample {audit.performance_issue_same_index}; TEST04's audit.config has {_INDEX}."
        )
    return [*notes, *_of_log("reference", reference), *_of_log("audit", audit)]


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
    before, after = latency_score(reference), latency_score(audit)
    if ratio.observed is None and before and after and reference.scenario == audit.scenario:
        notes.append(
            "By the percentile latency alone, which was the score until LoadGen had early stopping, the ratio is "
            f"{after / before:.4g}."
        )
    return notes


def _of_log(name: str, run: Summary) -> list[str]:
    notes = []
    if run.n_errors:
        notes.append(f"LoadGen reported {run.n_errors} errors in the {name} run; its detail log says which.")
    if unmet := [what for what, met in run.satisfied.items() if not met]:
        notes.append(f"In the {name} run LoadGen's requirements were not met: {', '.join(unmet)}.")
    if run.mode not in (None, "PerformanceOnly"):
        notes.append(f"The {name} run is of mode {run.mode}; TEST04 compares runs of mode PerformanceOnly.")
    if odd := str(run.quirks):
        notes.append(f"The {name} run's summary was read in spite of {odd}.")
    if run.whole and run.problems:
        notes.append(f"Of the {name} run's summary this was not read: {'; '.join(run.problems[:3])}.")
    return notes


def of_audit_alone(audit: Summary) -> list[str]:
    """Return notes on an audit run whose reference run was not published."""
    notes = []
    if audit.validity != "VALID":
        notes.append(f"LoadGen does not call the audit run VALID, but {audit.validity or 'nothing at all'}.")
    if audit.performance_issue_same is False:
        notes.append("The audit run never repeated one sample: performance_issue_same is 0.")
    return notes + _of_log("audit", audit)


def of_details(paths: tuple[Path, Path], runs: Runs) -> list[str]:
    """Return notes where a detail log disagrees with the summary beside it: then one of the two is of another run."""
    notes = []
    for path, (name, run) in zip(paths, runs.named, strict=True):
        score = score_of(run)
        key, is_latency = _RESULTS.get(run.scenario or "", ("", False))
        detailed = finite(peek(path.with_name(DETAIL), frozenset((key,))).get(key)) if key else None
        if score is None or not detailed:
            continue
        detailed = 1e9 / detailed if is_latency else detailed
        if not same_score(score, detailed, run.scenario):
            notes.append(
                f"The {name} run's summary says {score:g}, its detail log {detailed:g}: one is of another run."
            )
    return notes


def of_record(recorded: RecordedPerformance, shown: Reverified) -> list[str]:
    """Return notes where the submitter's verify_performance.txt differs from what the logs show."""
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
    if any(_differ(was, now, shown.log_scenario) for was, now in pairs):
        scores = ", ".join("none" if was is None else f"{was:g}" for was, _ in pairs)
        notes.append(f"verify_performance.txt has other scores than the logs ({scores}): it is of other runs.")
    return notes


def _differ(was: float | None, now: object, scenario: str | None) -> bool:
    """Return whether a recorded score is of no such run; older scripts recorded latencies."""
    if was is None or not isinstance(now, float):
        return False
    inverse = 1e9 / now if now else now
    return not (same_score(was, now, scenario) or same_score(was, inverse, scenario))


def of_directory(scenario: str, log_scenario: str | None) -> list[str]:
    """Return a note where the directory has another scenario's name than the logs, spelling apart."""
    if not log_scenario or scenario.lower().replace("-", "").replace("_", "") == log_scenario.lower():
        return []
    return [f"The directory is named {scenario}, the logs are of scenario {log_scenario}; the logs count."]
