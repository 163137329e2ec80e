"""What upstream's `compliance/TEST01/verify_performance.py` says of two detail logs, and which of its defects they hit.

A model of the script and of `tools/submission/log_parser.py`, which it reads with, at mlcommons/inference b66003e1,
tracebacks included. tests/mlperf/test_upstream_test01.py runs the script itself against it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

import msgspec

from ...loadgen.events import MARKERS, Events
from ..published.case import Defect, End, Upstream
from ..published.score import SCENARIOS, tolerance

SCRIPT: Final = "TEST01/verify_performance.py"
#: The checks of ours that answer the script's question: did the audit run score like the reference run?
_ANSWERED: Final = (
    "performance_logs_whole",
    "performance_separate_runs",
    "performance_scenario",
    "performance_valid",
    "performance_target_latency",
    "performance_score",
)

_NO_VALIDITY: Final = Defect(
    "no_validity_is_invalid",
    SCRIPT,
    "a log without result_validity, one that was cut short for instance, is called invalid, as if LoadGen had said so",
)
_NO_END: Final = Defect(
    "cut_log_unseen", SCRIPT, "a log that is cut short behind its score is compared like a whole one"
)
SAME_RUN: Final = Defect(
    "one_run_twice", SCRIPT, "the same log as reference and audit passes; nothing looks whether these are two runs"
)
_ODD_NUMBER: Final = Defect(
    "odd_numbers", SCRIPT, "whatever Python's float() takes is a score: 0, infinity, nan, negative numbers, text, true"
)
_CRASH_TEXT: Final = Defect("traceback_on_text", SCRIPT, "a log that is no UTF-8 ends the script with a traceback")
_CRASH_MARKER: Final = Defect(
    "traceback_on_first_line", SCRIPT, "a log whose first line is no event ends the script with a traceback"
)
_CRASH_LINE: Final = Defect(
    "traceback_on_line",
    SCRIPT,
    "one event that is no JSON, or has no key, value or metadata, ends the script with a traceback, whatever it says",
)
_CRASH_ERRORS: Final = Defect(
    "traceback_on_errors",
    SCRIPT,
    "a log in which LoadGen reported errors ends the script with a NameError in the line that was to print a warning",
)
_CRASH_SCENARIO: Final = Defect(
    "traceback_on_scenario", SCRIPT, "a log without a scenario, or of one without a rule, ends it with a traceback"
)
_CRASH_SCORE: Final = Defect(
    "traceback_on_score", SCRIPT, "a log without a score, or with one that is no number, ends it with a traceback"
)

_LENIENT: Final = Defect(
    "no_json_is_read", SCRIPT, "it reads events that are no JSON, since Python takes NaN, Infinity and half a surrogate"
)

_LATENCY: Final = "effective_target_latency_ns"
_NEEDED: Final = frozenset(
    (*(source.key for source in SCENARIOS.values()), _LATENCY, "effective_scenario", "result_validity", "num_errors")
)
#: How a log ends that LoadGen finished: by its last latency, and in newer versions by the number of errors.
_LAST_KEYS: Final = (
    "num_errors",
    "result_99.90_percentile_latency_ns",
    "result_99.90_percentile_per_query_latency_ns",
)


class _Seen(msgspec.Struct):
    """An event; its value, megabytes sometimes, is passed over."""

    key: str
    metadata: Any = None


_seen_decoder = msgspec.json.Decoder(_Seen)
#: Python refuses a number of more digits, and msgspec need not.
_MOST_DIGITS: Final = 4300


@dataclass
class _Log:
    """One log as the script sees it. `first` has the first event of each key that it asks for.

    `latency` is the target latency that it compares, for Server alone. `is_lenient`: one of those events is no JSON.
    """

    run: str
    first: dict[str, Any] = field(default_factory=dict)
    keys: set[Any] = field(default_factory=set)
    errors: list[Any] = field(default_factory=list)
    scenario: str = ""
    score: float = 0.0
    latency: Any = None
    is_lenient: bool = False

    def read(self, data: bytes | None, events: Events | None = None) -> None:
        """Read a log and its result, or raise End where the script ends in it. `events` are what `data` holds."""
        if data is None:
            raise End("CRASH", f"the {self.run} run's detail log is not there, and it ends with a traceback")
        try:
            if events:
                self._take_events(events)
            else:
                self._read_events(data)
        except UnicodeDecodeError:
            raise self._crash("is no UTF-8", _CRASH_TEXT) from None
        scenario = self._value("effective_scenario")
        if not isinstance(scenario, str) or scenario not in SCENARIOS:
            raise self._crash(f"has the scenario {scenario!r:.80}", _CRASH_SCENARIO)
        self.scenario = scenario
        self._read_score(self._value(SCENARIOS[scenario].key))
        if "result_validity" not in self.keys or self._value("result_validity") != "VALID":
            raise End("FAIL", f"the {self.run} run's log is not VALID", None if self._is_judged() else _NO_VALIDITY)
        if self._has_error():
            raise self._crash("reports errors", _CRASH_ERRORS)
        self.latency = self._value(_LATENCY) if scenario == "Server" else None

    def _read_events(self, data: bytes) -> None:
        marker = ""
        for line in io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"):
            if not marker:
                marker = next((marker for marker in MARKERS if line.startswith(marker)), "")
                if not marker:
                    raise self._crash("does not begin with an event", _CRASH_MARKER)
            if line.startswith(marker):
                self._take(line.rstrip()[len(marker) :])

    def _take_events(self, read: Events) -> None:
        self.keys.update([event.key for event in read.events])
        self.errors.append({"is_error": read.n_errors > 0})
        for event, (start, end) in zip(read.events, read.spans, strict=True):
            if event.key in _NEEDED or (end - start > _MOST_DIGITS and _may_be_too_long(read.data, start, end)):
                self._take(read.data[start:end].decode("ascii"))

    def _take(self, text: str) -> None:
        if (seen := _seen(text)) is not None:
            self.keys.add(seen.key)
            self.errors.append(seen.metadata)
            return
        try:
            event = json.loads(text)
            self.keys.add(event["key"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._crash(f"has an event that it cannot read: {text.strip():.60}", _CRASH_LINE) from None
        if event["key"] in _NEEDED:
            self.first.setdefault(event["key"], event)
            self.is_lenient |= not _is_json(text)
        self.errors.append(event.get("metadata"))

    def _read_score(self, value: Any) -> None:
        try:
            self.score = float(value)
        except (TypeError, ValueError, OverflowError):
            raise self._crash(f"has the score {value!r:.80}", _CRASH_SCORE) from None

    def _value(self, key: str) -> Any:
        if key not in self.first:
            return None
        if "value" not in self.first[key]:
            raise self._crash(f"has no value of {key}", _CRASH_LINE)
        return self.first[key]["value"]

    def _has_error(self) -> bool:
        if "num_errors" in self.keys:
            return bool(self._value("num_errors") != 0)
        try:
            errors = [bool(metadata["is_error"]) for metadata in self.errors]
        except (KeyError, TypeError):
            raise self._crash("has an event without metadata", _CRASH_LINE) from None
        return any(errors)

    def _is_judged(self) -> bool:
        return self._value("result_validity") in ("VALID", "INVALID")

    def _crash(self, what: str, defect: Defect) -> End:
        return End("CRASH", f"the {self.run} run's detail log {what}, and it ends with a traceback", defect)


def _seen(text: str) -> _Seen | None:
    """Return an event whose value the script does not ask for, read fast; None for any other, and for odd ones."""
    try:
        seen = _seen_decoder.decode(text)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    too_long = len(text) > _MOST_DIGITS and _may_be_too_long(text.encode(), 0, len(text))
    return None if seen.key in _NEEDED or too_long else seen


def _may_be_too_long(text: bytes, at: int, end: int) -> bool:
    """Whether a piece of text may hold a number of more digits than Python reads: no comma is where one would be."""
    while end - at > _MOST_DIGITS:
        at = text.rfind(b",", at, at + _MOST_DIGITS) + 1
        if not at:
            return True
    return False


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return False
    return True


def said(
    reference: bytes | None, audit: bytes | None, read: tuple[Events | None, Events | None] = (None, None)
) -> tuple[Upstream, list[Defect]]:
    """Return what the script says of two detail logs, None for one that is not there, and the defects that they hit.

    `read` are the two as our reader has them, where the caller has read them already.
    """
    logs = _Log("reference"), _Log("audit")
    printed = False
    defects: list[Defect] = []
    try:
        for log, data, events in zip(logs, (reference, audit), read, strict=True):
            log.read(data, events)
        end = _compared(*logs)
        printed = end.reason.startswith("the score")
        defects += _hit(*logs, same=reference == audit)
    except End as ended:
        end = ended
        defects += [end.defect] if end.defect else []
    defects += [_LENIENT] if any(log.is_lenient for log in logs) else []
    upstream = Upstream(
        script=SCRIPT,
        verdict=end.verdict,
        reason=end.reason,
        checks=_ANSWERED,
        reference_score=logs[0].score if printed else None,
        audit_score=logs[1].score if printed else None,
    )
    return upstream, defects


def _compared(reference: _Log, audit: _Log) -> End:
    if reference.scenario != audit.scenario:
        return End("FAIL", f"the scenarios differ: {reference.scenario} and {audit.scenario}")
    if reference.latency != audit.latency:
        return End("FAIL", "the target latencies differ")
    tolerated = tolerance(reference.scenario, reference.score)
    passes = reference.score * (1 - tolerated) <= audit.score <= reference.score * (1 + tolerated)
    within = "within" if passes else "not within"
    reason = f"the score {audit.score:g} is {within} {tolerated:.0%} of {reference.score:g}"
    return End("PASS" if passes else "FAIL", reason)


def _hit(reference: _Log, audit: _Log, *, same: bool) -> Iterator[Defect]:
    """Yield the defects that two logs hit which the script reads to their ends."""
    if same:
        yield SAME_RUN
    for log in (reference, audit):
        value = log.first[SCENARIOS[log.scenario].key]["value"]
        if isinstance(value, bool | str) or not isfinite(log.score) or log.score <= 0:
            yield _ODD_NUMBER
        if not any(key in log.keys for key in _LAST_KEYS):
            yield _NO_END
