"""What LoadGen's logs say of a run: a figure's line in mlperf_log_summary.txt, its key in mlperf_log_detail.txt.

Source: mlcommons/inference `loadgen/results.cc` (PerformanceSummary), `test_settings_internal.cc` (LogSummary,
LogAllSettings), and published logs from v0.5 on. Readers and writers of both logs take their labels and keys from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite
from typing import Any, Final, NamedTuple

Reader = Callable[[str], Any]

_NUMBER = re.compile(r"(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[0-9]{1,20}")


def as_number(text: str) -> float:
    """Read a number as C++ prints one; ValueError for inf, nan, 1,000, and whatever else float() takes."""
    if not _NUMBER.fullmatch(text) or not isfinite(float(text)):
        raise ValueError("no number from 0 up")
    return float(text)


def as_integer(text: str) -> int:
    """Read a whole number; ValueError for anything else."""
    if not _WHOLE.fullmatch(text):
        raise ValueError("no whole number from 0 up")
    return int(text)


def _flag(text: str) -> bool:
    try:
        return {"0": False, "1": True, "false": False, "true": True}[text.lower()]
    except KeyError:
        raise ValueError("neither 0 nor 1") from None


class Field(NamedTuple):
    """One figure. `line` is how LoadGen begins its line in the summary, `key` names it in the detail log, "" where
    nothing there says the same. `read` takes the summary's text; None for a line that is only written.
    """

    line: str
    key: str = ""
    read: Reader | None = None

    @property
    def label(self) -> str:
        """What stands before the colon in the summary, white space aside."""
        return self.line.partition(":")[0].strip()


_RESULTS: Final = {
    "sut_name": Field("SUT name : ", "sut_name", str),
    "scenario": Field("Scenario : ", "effective_scenario", str),
    "mode": Field("Mode     : ", "effective_test_mode", str),
    "validity": Field("Result is : ", "result_validity", str),
    "samples_per_second": Field("Samples per second: ", "result_samples_per_second", as_number),
    "completed_samples_per_second": Field(
        "Completed samples per second    : ", "result_completed_samples_per_sec", as_number
    ),
    "scheduled_samples_per_second": Field(
        "Scheduled samples per second : ", "result_scheduled_samples_per_sec", as_number
    ),
    "tokens_per_second": Field("Tokens per second: ", read=as_number),
    "completed_tokens_per_second": Field("Completed tokens per second: ", read=as_number),
    "percentile_90_latency_ns": Field("90.0th percentile latency (ns) : ", read=as_number),
    "percentile_99_latency_ns": Field("99.0th percentile latency (ns) : ", read=as_number),
    "issued_per_second": Field("QPS w/ loadgen overhead         : ", "result_qps_with_loadgen_overhead"),
    "unhindered_per_second": Field("QPS w/o loadgen overhead        : ", "result_qps_without_loadgen_overhead"),
    "ttft_latency_ns": Field("ttft_latency (ns): ", read=as_integer),
    "tpot_latency_ns": Field("tpot_latency (ns): ", read=as_integer),
}


def _setting(label: str, read: Reader | None) -> tuple[str, Field]:
    """Return a test parameter under its name; a label with a unit has no space before the colon."""
    name = label.replace(" (", "_").rstrip(")")
    return name, Field(f"{label}{':' if label.endswith(')') else ' :'} ", f"effective_{name}", read)


#: The test parameters, in LoadGen's order.
SETTINGS: Final = dict(
    (
        _setting("samples_per_query", as_integer),
        _setting("target_qps", as_number),
        _setting("target_latency (ns)", as_integer),
        _setting("max_async_queries", None),
        _setting("min_duration (ms)", as_integer),
        _setting("max_duration (ms)", as_integer),
        _setting("min_query_count", as_integer),
        _setting("max_query_count", as_integer),
        _setting("qsl_rng_seed", as_integer),
        _setting("sample_index_rng_seed", as_integer),
        _setting("schedule_rng_seed", as_integer),
        _setting("accuracy_log_rng_seed", None),
        _setting("accuracy_log_probability", None),
        _setting("accuracy_log_sampling_target", as_integer),
        _setting("print_timestamps", None),
        _setting("performance_issue_unique", _flag),
        _setting("performance_issue_same", _flag),
        _setting("performance_issue_same_index", as_integer),
        _setting("performance_sample_count", as_integer),
        _setting("accuracy_sample_count", None),
    )
)

FIELDS: Final = _RESULTS | SETTINGS


def latency_line(name: str) -> str:
    """Return how the line of a latency begins, by LoadGen's name for it: Min, Max, Mean, 99.00 percentile."""
    return f"{name} latency (ns)".ljust(32) + ": "


def latency_key(name: str) -> str:
    """Return the key of the same latency in the detail log."""
    return f"result_{name.lower().replace(' ', '_')}_latency_ns"
