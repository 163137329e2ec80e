"""The checks of a published TEST04: pure, but for a look into a detail log where an old summary does not say enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

from ...loadgen.detail import peek
from ...loadgen.summary import Summary
from ..verdict import Check
from .both_runs import both_valid, one_scenario
from .same_run import separate_runs
from .score import TOLERANCE, speed_up, tolerance
from .scores import UNITS, score_of, why_none

DETAIL: Final = "mlperf_log_detail.txt"
_SAME: Final = "effective_performance_issue_same"
_UNIQUE: Final = "effective_performance_issue_unique"
_VALID, _INVALID = "VALID", "INVALID"


class Runs(NamedTuple):
    """The summaries of the two runs."""

    reference: Summary
    audit: Summary

    @property
    def named(self) -> tuple[tuple[str, Summary], ...]:
        """The two with their names."""
        return ("reference", self.reference), ("audit", self.audit)


def not_readable(reason: str) -> Check:
    """Return the one check of a directory whose logs are not there to be judged."""
    return Check(name="logs_whole", passed=None, observed=None, limit=2, reason=reason)


def checks(runs: Runs, *, same_run: bool) -> list[Check]:
    """Return every check; the throughput ratio is the last."""
    found = [
        _logs_whole(runs),
        _separate_runs(runs, same=same_run),
        _scenario(runs),
        _valid(runs),
        _repeated_one_sample(runs),
    ]
    if runs.reference.scenario == runs.audit.scenario == "Server":
        found += _target_latency(runs)
    return [*found, _throughput_ratio(runs)]


def _logs_whole(runs: Runs) -> Check:
    cut = [
        f"the {name} run's summary is empty"
        if not run.size_bytes
        else f"the {name} run's summary is cut short: it has no closing line with the number of errors{_told(run)}"
        for name, run in runs.named
        if not run.whole
    ]
    return Check(
        name="logs_whole",
        passed=None if cut else True,
        observed=2 - len(cut),
        limit=2,
        reason="; ".join(cut) or "both summaries end with LoadGen's closing line",
    )


def _told(run: Summary) -> str:
    """Return what of a summary could not be read, to stand behind a reason."""
    return f" ({'; '.join(run.problems[:3])})" if run.problems else ""


def _separate_runs(runs: Runs, *, same: bool) -> Check:
    latencies = runs.reference.latencies_ns, runs.audit.latencies_ns
    return separate_runs("separate_runs", "summaries", latencies, same_bytes=same)


def _scenario(runs: Runs) -> Check:
    unnamed = [name for name, run in runs.named if not run.scenario]
    missing = f"the summary of the {' and the '.join(unnamed)} run names no scenario" if unnamed else ""
    scenarios = runs.reference.scenario, runs.audit.scenario
    return one_scenario("scenario", scenarios, UNITS, test="TEST04", missing=missing)


def _valid(runs: Runs) -> Check:
    def unsaid(name: str) -> str:
        return f"the {name} run's summary does not say 'Result is : VALID'{_told(getattr(runs, name))}"

    return both_valid("valid", {name: run.validity for name, run in runs.named}, unsaid)


def _repeated_one_sample(runs: Runs) -> Check:
    same, unique = _issue(runs.audit)
    same_before, _ = _issue(runs.reference)
    index = runs.audit.performance_issue_same_index
    passed: bool | None = None
    if same is False:
        passed, reason = False, "the audit run never repeated one sample: performance_issue_same is 0"
    elif unique:
        passed, reason = False, "the audit run sent every sample once: performance_issue_unique is 1"
    elif same_before:
        passed, reason = False, "the reference run repeated one sample, too: its performance_issue_same is 1"
    elif same is None or same_before is None or unique is None:
        name = "audit" if same is None or unique is None else "reference"
        reason = f"neither summary nor detail log of the {name} run says whether one sample was repeated"
    else:
        passed, reason = True, f"the audit run repeated sample {index}, the reference run did not repeat one"
    return Check(name="repeated_one_sample", passed=passed, observed=same, limit=True, reason=reason)


def _issue(run: Summary) -> tuple[bool | None, bool | None]:
    """Return whether one sample was repeated, and whether each was sent once; from the detail log where need be."""
    same, unique = run.performance_issue_same, run.performance_issue_unique
    if same is not None and unique is not None:
        return same, unique
    detail = peek(Path(run.path).with_name(DETAIL), frozenset((_SAME, _UNIQUE)))
    return _flag(same, detail.get(_SAME)), _flag(unique, detail.get(_UNIQUE))


def _flag(said: bool | None, else_said: Any) -> bool | None:
    return else_said if said is None and isinstance(else_said, bool) else said


def _target_latency(runs: Runs) -> list[Check]:
    before, after = runs.reference.target_latency_ns, runs.audit.target_latency_ns
    if before is None and after is None:
        return []
    passed = None if before is None or after is None else before == after
    reason = "both runs have" if passed else "the runs do not have" if passed is False else "only one summary says"
    return [
        Check(
            name="target_latency",
            passed=passed,
            observed=after,
            limit=before,
            reason=f"{reason} the same target latency: {before} ns and {after} ns"
            if passed is not None
            else f"only the {'audit' if before is None else 'reference'} run's summary has a target latency",
        )
    ]


def _throughput_ratio(runs: Runs) -> Check:
    before, after = score_of(runs.reference), score_of(runs.audit)
    scenario = runs.reference.scenario or ""
    if before is not None and after is not None and scenario == runs.audit.scenario:
        return speed_up(before, after, tolerance(scenario, before), unit=UNITS[scenario])
    missing = [
        f"no score in the {name} run's summary: {why_none(run)}{_told(run)}"
        for name, run in runs.named
        if score_of(run) is None
    ]
    return Check(
        name="throughput_ratio",
        passed=None,
        observed=None,
        limit=1 + (TOLERANCE if before is None else tolerance(scenario, before)),
        reason="; ".join(missing) or "scores of different scenarios cannot be compared",
    )
