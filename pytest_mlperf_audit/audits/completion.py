"""Checks that several audits make of a phase: that it completed, and that it lasted.

A query that a rate limit, a quota or an expired key refused is a failed query, never a completion; but it says nothing
of the system, so that what fails by such queries alone is undecided.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

import msgspec

from ..runs.phase import MeasuredPhase
from ..runs.query import is_turned_away, n_turned_away, refusal
from ..runs.spec import RunSpec
from ..runs.trajectories import Trajectories
from .unsent import unsent
from .verdict import Check

#: What ends a run of conversations when all were played that were asked for.
_ALL_PLAYED = frozenset({"count", "window"})


def completion(run: MeasuredPhase, min_completion: float, *, name: str) -> Check:
    """Require completed >= requested x `min_completion` (0 to 1).

    The requested count is the plan's, so that queries never issued count against the phase as failed ones do.
    A phase longer than its count, because of a duration floor, owes the same share of what it issued. Undecided where
    it fails only by queries that were turned away. Turns of a conversation behind one that failed were never sent.
    """
    figures, lost = run.figures, unsent(run)
    requested, needed = _requested(run), _needed(run, min_completion)
    reason = f"{figures.n_completed} of {requested} queries completed, at least {needed} needed"
    if figures.failures:
        reason += "; failed: " + ", ".join(f"{count} {reason}" for reason, count in figures.failures.items())
    if lost.behind:
        reason += f"; {lost.behind} never sent, behind a turn of their conversation that failed"
    if (more := requested - figures.n_issued - lost.behind) > 0:
        reason += f"; {more} never sent ({_why_stopped(run)})"
    passed: bool | None = figures.n_completed >= needed
    if not passed and figures.n_completed + n_turned_away(figures.failures) + lost.refused >= needed:
        passed, reason = None, f"{reason}; {_server_words(run)}"
    return Check(name=name, passed=passed, observed=figures.n_completed, limit=needed, reason=reason)


def phase_check_names(phases: Iterable[RunSpec]) -> list[str]:
    """Return the names of what `phase_checks` will give: each phase's completion, and duration where it has a floor."""
    specs = list(phases)
    floors = [spec for spec in specs if spec.min_duration_ms]
    return [*(f"completion[{spec.label}]" for spec in specs), *(f"duration[{spec.label}]" for spec in floors)]


def phase_checks(runs: Iterable[MeasuredPhase], min_completion: float) -> list[Check]:
    """Require of each phase that it completed, and lasted where it has a floor."""
    measured = list(runs)
    checks = [completion(run, min_completion, name=f"completion[{run.label}]") for run in measured]
    return checks + [duration(run, name=f"duration[{run.label}]") for run in measured if run.spec.min_duration_ms]


def completed_enough(run: MeasuredPhase, min_completion: float) -> bool:
    """Whether `completion` passes."""
    return run.figures.n_completed >= _needed(run, min_completion)


def unless_turned_away(check: Check, *runs: MeasuredPhase) -> Check:
    """Return a check that failed as undecided where queries that it rests on were turned away."""
    refused = sum(n_turned_away(run.figures.failures) for run in runs)
    return in_doubt(check, refused) if refused and check.passed is False else check


def in_doubt(check: Check, n_refused: int) -> Check:
    """Return a check as undecided because so many queries were turned away."""
    by = "a rate limit, for want of access or by a proxy"
    reason = f"{check.reason}; undecided, for {n_refused} queries were refused by {by}"
    return msgspec.structs.replace(check, passed=None, reason=reason)


def duration(run: MeasuredPhase, *, name: str) -> Check:
    """Require that queries were issued and answered for the phase's whole duration floor.

    Undecided of conversations that were all played in less, for that is what was asked for.
    """
    floor_s = run.spec.min_duration_ms / 1000
    window_s = run.figures.window_s or 0.0
    reason = f"the phase lasted {window_s:.3f} s, the floor is {floor_s:g} s"
    if window_s < floor_s:
        reason += f" ({_why_stopped(run)})"
    check = Check(name=name, passed=window_s >= floor_s, observed=window_s, limit=floor_s, reason=reason)
    if not check.passed and isinstance(run.spec.order, Trajectories) and run.record.stopped_by in _ALL_PLAYED:
        cure = "no floor prolongs a run of conversations: play more of them (num_trajectories_to_issue)"
        return msgspec.structs.replace(check, passed=None, reason=f"{reason}; undecided, for {cure}")
    return unless_turned_away(check, run)


def _requested(run: MeasuredPhase) -> int:
    return max(run.spec.n_samples - unsent(run).unwanted, run.figures.n_issued)


def _needed(run: MeasuredPhase, min_completion: float) -> int:
    return max(1, ceil(round(_requested(run) * min_completion, 6)))  # 55 % of 100 is 55.00000000000001 in floats


def _server_words(run: MeasuredPhase) -> str:
    """Return what the server says to the first query that it turned away, and the cure."""
    first = next(query for query in run.read() if is_turned_away(query.outcome))
    return f"a refusal says nothing of the system: {refusal(first.outcome, first.detail)}"


def _why_stopped(run: MeasuredPhase) -> str:
    return {
        "count": "it stopped at its count",
        "ceiling": f"max_duration_ms {run.spec.max_duration_ms} ended it",
        "samples_exhausted": "every distinct row had been sent; a longer phase needs a larger data set",
        "abort": "the endpoint stopped accepting connections",
        "script": "its script ended it",
        "failed_turns": "conversations ended at a turn that failed",
        "window": "stop_issuing_on_first_user_complete ended it",
    }[run.record.stopped_by]
