"""What upstream's `compliance/TEST04/verify_performance.py` says of two summaries, and which of its defects they hit.

A model of the script at mlcommons/inference b66003e1, tracebacks included: the same verdict and the same scores on any
two files. tests/mlperf/test_upstream_test04.py runs the script itself against it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from ...loadgen.summary import Summary, parse_summary
from ...loadgen.text import quoted
from ..published.case import Defect, End, Upstream
from ..published.pair_checks import is_same_run
from ..published.score import SCENARIOS, rate_of, tolerance

SCRIPT: Final = "TEST04/verify_performance.py"
_NO_SCORE: Final = Defect(
    "no_score_is_zero",
    SCRIPT,
    "a log without a score counts as one that scored 0: the audit run's then passes, and without the reference"
    " run's the script says 'Test score invalid', as if it had compared two",
)
_NO_VALIDITY: Final = Defect(
    "no_result_line_is_valid",
    SCRIPT,
    "a log without 'Result is : VALID' counts as valid; only the word INVALID is looked for",
)
_NO_END: Final = Defect(
    "cut_log_unseen",
    SCRIPT,
    "a log that is cut short is compared like a whole one; LoadGen's closing line is not looked for",
)
_NO_SCENARIO: Final = Defect(
    "scenario_without_rule",
    SCRIPT,
    "a log without a scenario, or of one that TEST04 has no score for, is compared all the same: as a "
    "mismatch, or as 0 with 0",
)
_SAME_RUN: Final = Defect(
    "one_run_twice",
    SCRIPT,
    "the same log as reference and audit passes; nothing looks whether these are two runs",
)
_NOT_REPEATED: Final = Defect(
    "repeats_unseen",
    SCRIPT,
    "nothing looks whether the audit run repeated one sample and the reference run did not",
)
_ODD_NUMBER: Final = Defect(
    "odd_numbers",
    SCRIPT,
    "whatever Python's float() takes is a score: 0, inf, nan, negative numbers, 1_000",
)
_SEVERAL: Final = Defect(
    "last_of_several",
    SCRIPT,
    "where a line comes several times with different values, the last score counts, and any INVALID",
)
_LOOSE: Final = Defect(
    "loose_patterns",
    SCRIPT,
    "lines are told by how they begin: a score before the scenario's line or behind blanks or NUL bytes is not"
    " seen, and a line that merely begins alike is taken",
)
_TARGET_LATENCY: Final = Defect(
    "target_latency_unseen",
    SCRIPT,
    "the pattern for 'target_latency (ns)' has unescaped parentheses and never matches, so runs of Server with"
    " different target latencies are compared",
)
_ROUNDING: Final = Defect(
    "rounded_limit",
    SCRIPT,
    "the limit is rounded before the comparison, so a run exactly at the limit may pass or fail",
)
_CRASH_TEXT: Final = Defect(
    "traceback_on_text",
    SCRIPT,
    "a log that is no UTF-8 ends the script with a traceback",
)
_CRASH_NUMBER: Final = Defect(
    "traceback_on_number",
    SCRIPT,
    "a score such as 1,000 ends the script with a traceback",
)
_CRASH_ZERO: Final = Defect(
    "traceback_on_zero",
    SCRIPT,
    "a latency of 0 ends the script with a traceback",
)
_CRASH_LINE: Final = Defect(
    "traceback_on_line",
    SCRIPT,
    "a line without a blank behind its colon, or without a value, ends the script with a traceback",
)


#: The checks of ours that answer the script's question: does this audit pass?
_ANSWERED: Final = (
    "logs_whole",
    "separate_runs",
    "scenario",
    "valid",
    "repeated_one_sample",
    "target_latency",
    "throughput_ratio",
)

_ESTIMATES: Final = {
    "SingleStream": re.compile(r"Early stopping (?:90th|90.0th|99.9th) percentile estimate"),
    "MultiStream": re.compile(r"Early stopping (?:99th|99.0th) percentile estimate"),
}
_SCORE_LINES: Final = {"Server": "Completed samples per second", "Offline": "Samples per second"}
#: What the defective pattern for the target latency does match.
_LATENCY_LINE: Final = "target_latency ns"


@dataclass
class _Log:
    """One log as the script sees it; `done` once it was read to its end.

    `score` stays 0 without a score line, else is text, or queries/s from a latency.
    """

    run: str
    done: bool = False
    mode: str = ""
    score: str | float = 0
    latency: str | None = None
    scores: set[str | float] = field(default_factory=set)
    results: set[str] = field(default_factory=set)

    def read(self, data: bytes | None, reference_latency: str | None) -> None:
        """Read a log to its end, or raise End where the script ends in it."""
        if data is None:
            raise End("CRASH", f"the {self.run} run's summary is not there, and it ends with a traceback")
        try:
            for line in io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"):
                self._take(line, reference_latency)
        except UnicodeDecodeError:
            raise End("CRASH", f"the {self.run} run's summary is no UTF-8", _CRASH_TEXT) from None
        self.done = True

    def _take(self, line: str, reference_latency: str | None) -> None:
        if line.startswith("Scenario"):
            self.mode = self._value(line)
        elif (estimate := _ESTIMATES.get(self.mode)) and estimate.search(line):
            self._score(self._rate(self._value(line)))
        elif self.mode in _SCORE_LINES and line.startswith(_SCORE_LINES[self.mode]):
            self._score(self._value(line))
        elif self.mode == "Server" and line.startswith(_LATENCY_LINE):
            self._compare_latency(self._value(line), reference_latency)
        elif line.startswith("Result is"):
            self.results.add(self._value(line))
            if "INVALID" in self.results:
                raise End("FAIL", f"the {self.run} run's summary says INVALID")

    def _score(self, score: str | float) -> None:
        self.score = score
        self.scores.add(score)

    def _value(self, line: str) -> str:
        _, separator, value = line.partition(": ")
        if not separator:
            raise End("CRASH", f"the {self.run} run's line {quoted(line)} has no value", _CRASH_LINE)
        return value.strip()

    def _rate(self, latency: str) -> float:
        try:
            return 1e9 / float(latency)
        except ZeroDivisionError:
            raise End("CRASH", f"the {self.run} run's latency is 0", _CRASH_ZERO) from None
        except ValueError:
            raise End("CRASH", f"the {self.run} run's latency {latency!r} is no number", _CRASH_NUMBER) from None

    def _compare_latency(self, latency: str, reference: str | None) -> None:
        if self.run == "audit" and reference is None:
            raise End("CRASH", "only the audit run has a line 'target_latency ns'", _TARGET_LATENCY)
        if self.run == "audit" and latency != reference:
            raise End("FAIL", "the target latencies differ")
        self.latency = latency

    @property
    def number(self) -> float | None:
        """The score as a number, None where float() refuses it."""
        try:
            return float(self.score)
        except ValueError:
            return None


def said(
    reference: bytes | None, audit: bytes | None, read: tuple[Summary, Summary] | None = None
) -> tuple[Upstream, list[Defect]]:
    """Return what the script says of two summaries, None for one that is not there, and the defects that they hit.

    `read` are the two as our reader has them, where the caller has read them already.
    """
    logs = _Log("reference"), _Log("audit")
    printed = False
    try:
        logs[0].read(reference, None)
        logs[1].read(audit, logs[0].latency)
        end = _compared(*logs)
        printed = logs[0].mode == logs[1].mode
    except End as ended:
        end = ended
    ours = read or (parse_summary(reference or b"", "reference"), parse_summary(audit or b"", "audit"))
    upstream = Upstream(
        script=SCRIPT,
        verdict=end.verdict,
        reason=end.reason,
        checks=_ANSWERED,
        reference_score=logs[0].number if printed else None,
        audit_score=logs[1].number if printed else None,
    )
    # A traceback is explained by what caused it, and by nothing else.
    defects = [end.defect] if end.defect else [*_hit(logs[0], ours[0]), *_hit(logs[1], ours[1])]
    if printed and not end.defect:
        same = reference == audit or is_same_run(ours[0].latencies_ns, ours[1].latencies_ns)
        defects += _hit_by_both(*ours, same=same)
    return upstream, list(dict.fromkeys(defects))


def _compared(reference: _Log, audit: _Log) -> End:
    if reference.mode != audit.mode:
        return End("FAIL", f"the scenarios differ: {reference.mode!r} and {audit.mode!r}")
    for log in (audit, reference):
        if log.number is None:
            return End("CRASH", f"the {log.run} run's score {log.score!r} is no number", _CRASH_NUMBER)
    before, after = float(reference.score), float(audit.score)
    limit = 1 + tolerance(reference.mode, before)
    if after < before * limit:
        return End("PASS", f"{after:g} is below {before:g} x {limit:g}")
    return End("FAIL", f"{after:g} is not below {before:g} x {limit:g}")


def _hit(log: _Log, ours: Summary) -> Iterator[Defect]:
    """Yield the defects that one log hits: where what the script sees of it is not what it says."""
    if not log.done:
        if "INVALID" in log.results and ours.validity != "INVALID":
            yield _SEVERAL if len(log.results) > 1 else _LOOSE
        return
    if not ours.whole:
        yield _NO_END
    if ours.scenario not in SCENARIOS:
        yield _NO_SCENARIO
    if ours.scenario is not None and ours.scenario != log.mode:
        yield _LOOSE
    yield from _hit_by_score(log, rate_of(ours), known=ours.scenario in SCENARIOS)
    if ours.validity not in ("VALID", "INVALID"):
        yield _SEVERAL if len(log.results) > 1 else _NO_VALIDITY
    elif ours.validity not in log.results:
        yield _LOOSE


def _hit_by_score(log: _Log, score: float | None, *, known: bool) -> Iterator[Defect]:
    if len(log.scores) > 1:
        yield _SEVERAL
    elif score is None and not log.scores and known:
        yield _NO_SCORE
    elif log.scores and not (score and isfinite(score)):
        yield _ODD_NUMBER
    elif score is not None and log.number != score:
        yield _LOOSE


def _hit_by_both(reference: Summary, audit: Summary, *, same: bool) -> Iterator[Defect]:
    if same:
        yield _SAME_RUN
    if (
        reference.performance_issue_same is not False
        or audit.performance_issue_same is not True
        or audit.performance_issue_unique is not False
    ):
        yield _NOT_REPEATED
    if reference.scenario == audit.scenario == "Server" and reference.target_latency_ns != audit.target_latency_ns:
        yield _TARGET_LATENCY
    before, after = rate_of(reference), rate_of(audit)
    if before and after and reference.scenario:
        limit = 1 + tolerance(reference.scenario, before)
        if (after / before < limit) != (after < before * limit):
            yield _ROUNDING
