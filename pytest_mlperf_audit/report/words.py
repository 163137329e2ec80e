"""What was found, in plain words and headline numbers. Every place that shows a run says it with these."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from ..audits.verdict import Figure
from ..runs.spec import Concurrency
from .clean import apart, first_sentence, number, plain
from .document import AuditEntry, CheckEntry, PhaseEntry, VerdictDocument

STATUS_WORDS = {
    "PASS": "PASS",
    "FAIL": "FAIL",
    "NO_VERDICT": "NO VERDICT",
    "INCOMPLETE": "INCOMPLETE",
    "NOT_RUN": "NOT RUN",
}
CHECK_WORDS = {"passed": "pass", "failed": "FAIL", "error": "ERROR", "not_run": "not run"}

SIMULATED = (
    "The embedded simulated endpoint answered. These numbers say nothing about a real system "
    "and are never written as submission files."
)

_RATIO = re.compile(r"ratio(_\d+)?")
_MLPERF_LIMIT = 1.10
_MLPERF_SINGLE_STREAM_LIMIT = 1.20


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """A throughput ratio against its limit; `suffix` names the repeated row where there are several: `_3`."""

    suffix: str
    value: float
    limit: float
    low: float | None
    high: float | None

    @property
    def passed(self) -> bool:
        """Whether it is strictly below its limit, which is MLPerf's rule."""
        return self.value < self.limit

    @property
    def row(self) -> str:
        """The repeated row's index, or an empty string where there is only one."""
        return self.suffix.lstrip("_")


def ratios(audit: AuditEntry) -> list[Ratio]:
    """Return the ratios among an audit's figures: `ratio` or `ratio_<row>`, with `limit_ratio`.

    A confidence interval is taken from `ratio_low<suffix>` and `ratio_high<suffix>` where the audit gives them.
    """
    limit = _float(audit.figures.get("limit_ratio"))
    found = []
    for name, figure in audit.figures.items():
        value = _float(figure)
        if limit is None or value is None or not (match := _RATIO.fullmatch(name)):
            continue
        suffix = match[1] or ""
        low, high = (_float(audit.figures.get(f"ratio_{end}{suffix}")) for end in ("low", "high"))
        found.append(Ratio(suffix=suffix, value=value, limit=limit, low=low, high=high))
    return found


def headline(audit: AuditEntry) -> str:
    """Return an audit's main numbers, short: 'ratio 1.02, limit 1.10; reference 153.1/s, output_caching 156.3/s'."""
    found = ratios(audit)
    parts = [f"ratio {_span(found)}, limit {_span(found, limit=True)}"] if found else []
    if shown := ", ".join(_rate(phase) for phase in audit.judged[:3]):
        parts.append(shown + (f" and {len(audit.judged) - 3} more phases" if len(audit.judged) > 3 else ""))
    return "; ".join(parts)


def sentences(audit: AuditEntry) -> list[str]:
    """Return what was tested and found, for a reader who has not seen MLPerf before."""
    said = [_ratio_sentence(audit, found)] if (found := ratios(audit)) else []
    if state := _state(audit):
        said.append(state)
    failed = [c for c in audit.checks if c.status == "failed" and not (found and c.name.startswith("throughput_ratio"))]
    if failed:
        said.append(
            "Failed: " + "; ".join(f"{plain(c.name, 80)} ({first_sentence(c.reason)})" for c in failed[:6]) + "."
        )
    if not said and audit.judged:
        said.append("; ".join(_completed(phase) for phase in audit.judged[:3]) + ".")
    return said


def summary(document: VerdictDocument) -> str:
    """Return one paragraph on the whole run."""
    named = len(document.audits) > 1
    said = []
    for audit in document.audits:
        text = " ".join(sentences(audit))
        said.append(f"{plain(audit.title, 80)}: {text}" if named and text else text)
    return " ".join(part for part in said if part) or "Nothing was run."


def failing(audit: AuditEntry) -> Iterator[CheckEntry]:
    """Yield the checks that failed or could not be decided."""
    return (check for check in audit.checks if check.status in ("failed", "error"))


def observed_against_limit(check: CheckEntry) -> str:
    """Return 'observed 1.31, limit 1.10', with only what there is."""
    pairs = (("observed", check.observed), ("limit", check.limit))
    return ", ".join(f"{word} {plain(number(value), 80)}" for word, value in pairs if value is not None)


def _float(value: Figure) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _rate(phase: PhaseEntry) -> str:
    figures = phase.figures
    rate = "nothing" if figures.qps is None else f"{number(figures.qps)}/s"
    short = f" ({figures.n_completed:,} of {figures.n_issued:,})" if figures.n_failed else ""
    return f"{plain(phase.label, 40)} {rate}{short}"


def _completed(phase: PhaseEntry) -> str:
    figures = phase.figures
    rate = f", {number(figures.qps)} queries a second" if figures.qps is not None else ""
    return f"{plain(phase.label, 60)}: {figures.n_completed:,} of {figures.n_issued:,} queries completed{rate}"


def _span(found: list[Ratio], *, limit: bool = False) -> str:
    """Return the ratios as one number or as a range, or their limit, precise enough to tell the two apart."""
    ends = {min(r.value for r in found), max(r.value for r in found)}
    pairs = [apart(value, found[0].limit) for value in sorted(ends)]
    return max((pair[1] for pair in pairs), key=len) if limit else " to ".join(pair[0] for pair in pairs)


def _state(audit: AuditEntry) -> str:
    """Say why an audit neither passed nor failed, or what its own reason adds."""
    reason = plain(audit.reason).rstrip(".")
    if audit.status == "NO_VERDICT":
        why = reason or "a phase crashed, was cut short, or left partial records"
        return f"No verdict: {why}. Nothing is shown either way; run the audit again."
    if audit.status == "INCOMPLETE":
        run = sum(check.status in ("passed", "failed") for check in audit.checks)
        why = f" ({reason})" if reason else ""
        return f"Incomplete: {run} of {len(audit.checks)} planned checks were run{why}, and a verdict needs them all."
    if audit.status == "NOT_RUN":
        return f"Not run: {reason or 'no check of it was selected, or the session ended before it'}."
    return f"{reason}." if reason else ""


def _ratio_sentence(audit: AuditEntry, found: list[Ratio]) -> str:
    repeats, distinct = (audit.figures.get(name) for name in (f"audit_completed{found[0].suffix}", "ref_completed"))
    who = f"One prompt repeated {number(repeats)} times"
    if len(found) > 1:
        who = f"Single prompts (rows {_listed(found)}), each repeated {number(repeats)} times,"
    said = (
        f"{who} ran {_span(found)} times as fast as {number(distinct)} different prompts; "
        f"{_allowed(audit, found[0], _span(found, limit=True))}."
    )
    if over := [ratio for ratio in found if not ratio.passed]:
        which = f" (rows {_listed(over)})" if 1 < len(found) != len(over) else ""
        said += f" Repeats that are faster than that{which} are what a cache of replies looks like."
    return said


def _listed(found: list[Ratio]) -> str:
    rows = [ratio.row for ratio in found]
    return ", ".join(rows[:8]) + (f" and {len(rows) - 8} more" if len(rows) > 8 else "")


def _allowed(audit: AuditEntry, ratio: Ratio, limit: str) -> str:
    """Say whose limit it is: MLPerf's, its own for SingleStream, or one that the YAML chose."""
    single_stream = bool(audit.judged) and all(phase.spec.load == Concurrency(target=1) for phase in audit.judged)
    if abs(ratio.limit - _MLPERF_LIMIT) < 1e-9:
        return f"MLPerf allows less than {limit}"
    if single_stream and abs(ratio.limit - _MLPERF_SINGLE_STREAM_LIMIT) < 1e-9:
        return f"MLPerf allows less than {limit} in SingleStream"
    return f"this configuration allows less than {limit}, MLPerf less than 1.10"
