"""Throughput ratios among an audit's figures, with their intervals, in numbers and in words."""

from __future__ import annotations

import re

import msgspec

from ..audits.verdict import Figure
from .clean import apart, number
from .document import AuditEntry, CheckEntry

_RATIO = re.compile(r"ratio(_\d+|_pooled)?")
_CHECK = re.compile(r"throughput_ratio(?:\[\w*?(_\d+)\])?")
_POOLED = "_pooled"
_MLPERF_LIMIT = 1.10
_MLPERF_SINGLE_STREAM_LIMIT = 1.20

_EVIDENCE = {
    "clean": "The whole 95 % interval lies below the limit, and no speed-up is sure.",
    "suspicious": "Repeats are faster by more than chance explains, though by less than the limit forbids.",
    "inconclusive": "The 95 % interval holds the limit, so chance can decide this verdict.",
    "over the limit": "The whole 95 % interval lies above the limit, so chance does not explain it.",
}


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """A throughput ratio against its limit; `suffix` names the repeated row where there are several: `_3`.

    `low` and `high` bound the long-run ratio, without the phases' ends, with 95 % confidence.
    """

    suffix: str
    value: float
    limit: float
    low: float | None = None
    high: float | None = None
    long_run: float | None = None

    @property
    def passed(self) -> bool:
        """Whether it is strictly below its limit, which is MLPerf's rule."""
        return self.value < self.limit

    @property
    def row(self) -> str:
        """What was repeated: 'row 3', 'pooled' for all rows, empty where there is only one."""
        if self.suffix == _POOLED:
            return "pooled"
        return f"row {self.suffix.lstrip('_')}" if self.suffix else ""

    @property
    def interval(self) -> str:
        """The interval in words, '95 % 0.98 to 1.08', with the long-run ratio where the ratio itself lies outside."""
        if self.low is None or self.high is None:
            return ""
        low, high = (apart(end, self.limit)[0] for end in (self.low, self.high))
        outside = self.long_run is not None and not self.low <= self.value <= self.high
        long_run = f"long run {apart(self.long_run, self.limit)[0]}, " if outside and self.long_run else ""
        return f"{long_run}95 % {low} to {high}"


def ratios(audit: AuditEntry) -> list[Ratio]:
    """Return the ratios among an audit's figures: `ratio` or `ratio_<row>`, with `limit_ratio`.

    A confidence interval is taken from `ratio_low<suffix>` and `ratio_high<suffix>` where the audit gives them.
    """
    return [ratio for ratio in _every(audit) if ratio.suffix != _POOLED]


def pooled(audit: AuditEntry) -> Ratio | None:
    """Return the ratio of all repeated rows taken together; None where there is only one."""
    return next((ratio for ratio in _every(audit) if ratio.suffix == _POOLED), None)


def of_check(audit: AuditEntry, check: CheckEntry) -> Ratio | None:
    """Return the ratio that a check is about."""
    named = _CHECK.fullmatch(check.name)
    return next((ratio for ratio in ratios(audit) if named and ratio.suffix == (named[1] or "")), None)


def is_ratio(check: CheckEntry) -> bool:
    """Whether a check is about a throughput ratio."""
    return bool(_CHECK.fullmatch(check.name))


def headline(audit: AuditEntry) -> str:
    """Return 'ratio 1.03 (95 % 0.98 to 1.08), limit 1.10', with the evidence's word unless that is clean."""
    if not (found := ratios(audit)):
        return ""
    word = _word(audit)
    doubt = f", evidence {word}" if word in _EVIDENCE and word != "clean" else ""
    return f"ratio {_shown(audit, found)}, limit {_limit(found)}{doubt}"


def sentences(audit: AuditEntry) -> list[str]:
    """Return the comparison in a sentence for a reader new to MLPerf, and how sure it is in another."""
    if not (found := ratios(audit)):
        return []
    return [_comparison(audit, found), *_evidence(audit)]


def _every(audit: AuditEntry) -> list[Ratio]:
    limit = _float(audit.figures.get("limit_ratio"))
    found = []
    for name, figure in audit.figures.items():
        value = _float(figure)
        if limit is None or value is None or not (match := _RATIO.fullmatch(name)):
            continue
        suffix = match[1] or ""
        low, high, long_run = (
            _float(audit.figures.get(f"ratio_{what}{suffix}")) for what in ("low", "high", "long_run")
        )
        found.append(Ratio(suffix=suffix, value=value, limit=limit, low=low, high=high, long_run=long_run))
    return found


def _float(value: Figure) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _shown(audit: AuditEntry, found: list[Ratio]) -> str:
    """Return one ratio with its interval, or the range of several with the pooled one."""
    together = pooled(audit) if len(found) > 1 else found[0] if len(found) == 1 else None
    said = together.interval if together else ""
    if together and len(found) > 1:
        said = f"pooled {apart(together.value, together.limit)[0]}" + (f", {said}" if said else "")
    return _span(found) + (f" ({said})" if said else "")


def _span(found: list[Ratio]) -> str:
    """Return the ratios as one number or as a range, precise enough to be told from their limit."""
    ends = {min(ratio.value for ratio in found), max(ratio.value for ratio in found)}
    return " to ".join(apart(value, found[0].limit)[0] for value in sorted(ends))


def _limit(found: list[Ratio]) -> str:
    return max((apart(ratio.value, ratio.limit)[1] for ratio in found), key=len)


def _comparison(audit: AuditEntry, found: list[Ratio]) -> str:
    repeats, distinct = (audit.figures.get(name) for name in (f"audit_completed{found[0].suffix}", "ref_completed"))
    who = f"One prompt repeated {number(repeats)} times"
    if len(found) > 1:
        who = f"Single prompts (rows {_listed(found)}), each repeated {number(repeats)} times,"
    said = (
        f"{who} ran {_shown(audit, found)} times as fast as {number(distinct)} different prompts; "
        f"{_allowed(audit, found[0], _limit(found))}."
    )
    if over := [ratio for ratio in found if not ratio.passed]:
        which = f" (rows {_listed(over)})" if 1 < len(found) != len(over) else ""
        said += f" Repeats that are faster than that{which} are what a cache of replies looks like."
    return said


def _listed(found: list[Ratio]) -> str:
    rows = [ratio.suffix.lstrip("_") for ratio in found]
    return ", ".join(rows[:8]) + (f" and {len(rows) - 8} more" if len(rows) > 8 else "")


def _allowed(audit: AuditEntry, ratio: Ratio, limit: str) -> str:
    """Say whose limit it is: MLPerf's, its own for SingleStream, or one that the YAML chose."""
    single_stream = bool(audit.timed) and all(phase.spec.load.scenario == "SingleStream" for phase in audit.timed)
    if abs(ratio.limit - _MLPERF_LIMIT) < 1e-9:
        return f"MLPerf allows less than {limit}"
    if single_stream and abs(ratio.limit - _MLPERF_SINGLE_STREAM_LIMIT) < 1e-9:
        return f"MLPerf allows less than {limit} in SingleStream"
    return f"this configuration allows less than {limit}, MLPerf less than 1.10"


def _word(audit: AuditEntry) -> Figure:
    """Return how sure the ratio is, of all rows together where there are several."""
    return audit.figures.get("evidence", audit.figures.get(f"evidence{_POOLED}"))


def _evidence(audit: AuditEntry) -> list[str]:
    word = _word(audit)
    if not isinstance(word, str) or word not in _EVIDENCE:
        return []
    together = ", all rows taken together" if "evidence" not in audit.figures else ""
    said = f"Evidence{together}: {word}. {_EVIDENCE[word]}"
    needed = audit.figures.get("queries_to_decide", audit.figures.get(f"queries_to_decide{_POOLED}"))
    if word == "inconclusive" and isinstance(needed, int):
        said += f" About {number(needed)} queries in each phase would settle it, the ratio staying as it is."
    return [said]
