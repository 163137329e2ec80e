"""Checks that several audits make of a phase: that it completed, and that it lasted."""

from __future__ import annotations

from math import ceil

from ..runs.measured import MeasuredPhase
from .verdict import Check


def completion(run: MeasuredPhase, min_completion: float, *, name: str) -> Check:
    """Require completed >= requested x `min_completion` (0 to 1).

    The requested count is the plan's, so that queries never issued count against the phase as failed ones do.
    A phase longer than its count, because of a duration floor, owes the same share of what it issued.
    """
    figures = run.figures
    requested = max(run.spec.n_samples, figures.n_issued)
    needed = max(1, ceil(round(requested * min_completion, 6)))  # 55 % of 100 is 55.00000000000001 in floats
    passed = figures.n_completed >= needed
    reason = f"{figures.n_completed} of {requested} queries completed, at least {needed} needed"
    if figures.failures:
        reason += "; failed: " + ", ".join(f"{count} {reason}" for reason, count in figures.failures.items())
    if figures.n_issued < run.spec.n_samples:
        reason += f"; {run.spec.n_samples - figures.n_issued} never sent ({_why_stopped(run)})"
    return Check(name=name, passed=passed, observed=figures.n_completed, limit=needed, reason=reason)


def duration(run: MeasuredPhase, *, name: str) -> Check:
    """Require that queries were issued and answered for the phase's whole duration floor."""
    floor_s = run.spec.min_duration_ms / 1000
    window_s = run.figures.window_s or 0.0
    reason = f"the phase lasted {window_s:.3f} s, the floor is {floor_s:g} s"
    if window_s < floor_s:
        reason += f" ({_why_stopped(run)})"
    return Check(name=name, passed=window_s >= floor_s, observed=window_s, limit=floor_s, reason=reason)


def _why_stopped(run: MeasuredPhase) -> str:
    return {
        "count": "it stopped at its count",
        "ceiling": f"max_duration_ms {run.spec.max_duration_ms} ended it",
        "samples_exhausted": "every distinct row had been sent; a longer phase needs a larger data set",
        "abort": "the endpoint stopped accepting connections",
        "script": "its script ended it",
    }[run.record.stopped_by]
