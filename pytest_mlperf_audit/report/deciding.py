"""The check that decides an audit, and the picture of it: what a reader should see first."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..text import plain
from ..verdicts.document import AuditEntry, CheckEntry, PhaseEntry
from . import bars, findings, ratios
from .clean import number
from .labels import check_title
from .pictures import Drawing, Pictures, drawing, ratio_drawing

#: Checks whose value says most of their audit, best first; by the name before the bracket.
_TELLING = ("score", "output_length", "outputs_match", "matches", "score_within", "eos", "first_token", "token_count")
#: Where an audit's figures have the two ends of what a check allows.
_ENDS = {"output_length": ("min_output_tokens", "max_output_tokens")}


def decisive_check(audit: AuditEntry) -> CheckEntry | None:
    """Return the check that made the audit what it is: one that failed, else one in doubt, else the most telling."""
    for status in ("failed", "error"):
        if wrong := [check for check in audit.checks if check.status == status]:
            return min(wrong, key=lambda check: _rank(audit, check))
    passed = [check for check in audit.checks if check.status == "passed"]
    return min(passed, key=lambda check: _rank(audit, check), default=None)


def picture_that_decides(audit: AuditEntry, pictures: Pictures, key: str) -> Drawing | None:
    """Return the picture of what decided: a ratio, repeats against twins, a value and its bounds, or what broke."""
    check = decisive_check(audit)
    if audit.status in ("NO_VERDICT", "INCOMPLETE", "NOT_RUN") and (check is None or not check.undecided):
        return _progress(audit, key)
    if check is None:
        return next(iter(pictures.drawings), None)
    if (ratio := ratios.of_check(audit, check)) is not None:
        every = ratios.of_rows(audit) + ratios.pooled(audit) if len(ratios.of_rows(audit)) > 1 else (ratio,)
        return ratio_drawing(every, key)
    if findings.is_about_probe(check):
        return pictures.strip_that_decides or _progress(audit, key)
    value = _value(audit, check, key)
    if value and not (audit.kind == "performance" and check.status == "passed"):
        return value
    return next(iter(pictures.drawings), value)


def _rank(audit: AuditEntry, check: CheckEntry) -> tuple[int, int]:
    base = check.name.partition("[")[0]
    if ratios.of_check(audit, check) is not None:
        return (0, 0)
    if findings.is_about_probe(check):
        return (1, 0)
    return (2, _TELLING.index(base)) if base in _TELLING else (3, 0)


def _value(audit: AuditEntry, check: CheckEntry, key: str) -> Drawing | None:
    observed = check.observed
    if isinstance(observed, bool) or not isinstance(observed, (int, float)):
        return None
    good = check.status == "passed"
    bounds = _bounds(audit, check, float(observed), good=good)
    svg = bars.value_against_bounds(float(observed), bounds, "", good=good, key=f"{key} value")
    said = ", ".join(bound.label for bound in bounds) or "no limit"
    caption = f"{check_title(check.name)}: {number(observed)}, {said}"
    return drawing(caption, f"{caption}. The shaded part is not allowed.", svg)


def _bounds(audit: AuditEntry, check: CheckEntry, observed: float, *, good: bool) -> list[bars.Bound]:
    """Return the limits of a check. Which side is forbidden follows from where the value lies and what came of it."""
    ends = [audit.figures.get(key) for key in _ENDS.get(check.name.partition("[")[0], ())]
    low, high = ends if len(ends) == 2 else (None, None)
    if isinstance(low, (int, float)) and isinstance(high, (int, float)):
        return [
            bars.Bound(float(low), f"at least {number(low)}", "below"),
            bars.Bound(float(high), f"at most {number(high)}", "above"),
        ]
    if isinstance(check.limit, bool) or not isinstance(check.limit, (int, float)):
        return []
    limit = float(check.limit)
    if observed == limit or check.status not in ("passed", "failed"):
        return [bars.Bound(limit, f"limit {number(check.limit)}")]
    above = (observed > limit) != good
    return [bars.Bound(limit, f"limit {number(check.limit)}", "above" if above else "below")]


def _progress(audit: AuditEntry, key: str) -> Drawing | None:
    """Return how far each phase came that the audit needs."""
    sent = {phase.label: phase for phase in audit.phases}
    labels = list(dict.fromkeys([*(audit.planned or ()), *sent]))
    rows = [_came(label, sent.get(label)) for label in labels]
    svg = bars.phase_progress(rows, key=f"{key} progress")
    said = "; ".join(f"{plain(row.label, 60)}: {row.words}" for row in rows)
    return drawing("How far each phase came", f"How far each phase came. {said}.", svg) if svg else None


def _came(label: str, phase: PhaseEntry | None) -> bars.Progress:
    if phase is None:
        return bars.Progress(label, 0.0, 0.0, "not begun")
    figures = phase.figures
    planned = figures.n_issued if phase.scripted and phase.complete else max(figures.n_issued, phase.spec.n_samples)
    done, failed = (count / max(planned, 1) for count in (figures.n_completed, figures.n_failed))
    status = "" if phase.complete else f", {phase.status.replace('_', ' ')}"
    lost = f", {figures.n_failed:,} failed" if figures.n_failed and phase.complete else ""
    return bars.Progress(label, done, failed, f"{figures.n_completed:,} of {planned:,} completed{lost}{status}")


class Sorted(msgspec.Struct, frozen=True):
    """Checks as a reader wants them: those that failed or are in doubt, those that say nothing, those that passed."""

    wrong: list[CheckEntry]
    silent: list[CheckEntry]
    passed: list[CheckEntry]


def failing_first(checks: Sequence[CheckEntry]) -> Sorted:
    """Return the checks sorted. One that was not run, or broke off without a reason of its own, says nothing."""
    failed = [check for check in checks if check.status == "failed"]
    doubts = [check for check in checks if check.status == "error" and check.reason]
    passed = [check for check in checks if check.status == "passed"]
    told = {id(check) for check in (*failed, *doubts, *passed)}
    return Sorted([*failed, *doubts], [check for check in checks if id(check) not in told], passed)
