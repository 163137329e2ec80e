"""mlperf_log_summary.txt: what LoadGen says of a run in words.

Its lines are those of `fields`, and LoadGen's sentences (mlcommons/inference `loadgen/results.cc`, `logging.cc`). The
reader never guesses: a figure that is absent, is no number, or comes twice with different values is None, and
`problems` names the line, also where nobody asks for the figure.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from ..errors import RecordError
from .fields import FIELDS, Reader, as_integer, as_number
from .text import Quirks, quoted, read, text_of

#: LoadGen's summaries have 2 to 4 KB; a larger file is something else under the name.
LIMIT_BYTES: Final = 4 * 1024 * 1024
_MAX_PROBLEMS: Final = 20


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One summary. None is what the log does not say, or does not say clearly.

    Keys of `early_stopping_ns` and `needed_queries` are percentiles as "90", "99", "99.9": LoadGen's estimate, or how
    many queries it would have needed for one. `needed_queries` has "" where too few ran for the score itself.
    `satisfied` has what LoadGen requires of a valid run ("Min duration") and whether it was met. `latencies_ns` are the
    lines "Min latency (ns)", "99.00 percentile latency (ns)" and so on, by which one run is known again. `whole` says
    that LoadGen's last line is there: the number of errors, which it writes when the run is over. `streams` is
    MultiStream's score until LoadGen had early stopping: the samples of a query, which the submitter sets.
    """

    path: str
    size_bytes: int
    whole: bool
    quirks: Quirks
    problems: tuple[str, ...] = ()

    scenario: str | None = None
    mode: str | None = None
    sut_name: str | None = None
    validity: str | None = None
    samples_per_second: float | None = None
    completed_samples_per_second: float | None = None
    tokens_per_second: float | None = None
    completed_tokens_per_second: float | None = None
    scheduled_samples_per_second: float | None = None
    percentile_90_latency_ns: float | None = None
    percentile_99_latency_ns: float | None = None
    streams: int | None = None
    satisfied: dict[str, bool] = {}
    early_stopping_ns: dict[str, float] = {}
    needed_queries: dict[str, int] = {}
    processed_queries: int | None = None
    latencies_ns: frozenset[tuple[str, int]] = frozenset()

    samples_per_query: int | None = None
    target_qps: float | None = None
    target_latency_ns: int | None = None
    min_duration_ms: int | None = None
    min_query_count: int | None = None
    qsl_rng_seed: int | None = None
    sample_index_rng_seed: int | None = None
    schedule_rng_seed: int | None = None
    performance_issue_unique: bool | None = None
    performance_issue_same: bool | None = None
    performance_issue_same_index: int | None = None
    performance_sample_count: int | None = None
    n_warnings: int | None = None
    n_errors: int | None = None

    @property
    def score_lines(self) -> frozenset[float]:
        """Every figure that a script of some round took for the run's score: throughputs, latencies in ns, streams."""
        named = (
            self.samples_per_second,
            self.completed_samples_per_second,
            self.scheduled_samples_per_second,
            self.percentile_90_latency_ns,
            self.percentile_99_latency_ns,
            self.streams,
            self.tokens_per_second,
            self.completed_tokens_per_second,
        )
        figures = [*named, *self.early_stopping_ns.values(), *(ns for _, ns in self.latencies_ns)]
        return frozenset(float(figure) for figure in figures if figure is not None)


def read_summary(path: Path) -> Summary:
    """Read a summary. Raises RecordError where there is none, or the file cannot be one."""
    data = read(path, LIMIT_BYTES)
    if data is None:
        raise RecordError(f"{path}: there is no such file; put LoadGen's summary there")
    return parse_summary(data, str(path))


def parse_summary(data: bytes, path: str) -> Summary:
    """Read the bytes of a summary; any bytes give one."""
    text = text_of(data)
    parser = _Parser()
    for number, line in enumerate(text.lines, start=1):
        parser.read(number, line)
    if text.cut:
        parser.read_cut(len(text.lines) + 1, text.cut)
    return Summary(
        path=path,
        size_bytes=len(data),
        whole=parser.closed,
        quirks=text.quirks,
        problems=tuple(parser.problems[:_MAX_PROBLEMS]),
        satisfied=parser.satisfied,
        early_stopping_ns=_clear(parser.early_stopping_ns),
        latencies_ns=frozenset(parser.latencies_ns),
        **_waiting_for("\n".join(text.lines)),
        **{name: value for name, value in _clear(parser.values).items() if name in Summary.__struct_fields__},
    )


_UNCLEAR: Final = object()


def _clear(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not _UNCLEAR}


#: Older rounds wrote the percentiles of a score without their tenths.
_OLDER: Final = {
    "90th percentile latency (ns)": "percentile_90_latency_ns",
    "99th percentile latency (ns)": "percentile_99_latency_ns",
}
#: Scenarios and a mode as v0.7 wrote them.
_OLDER_NAMES: Final = {
    "Single Stream": "SingleStream",
    "Multi Stream": "MultiStream",
    "Performance": "PerformanceOnly",
}


def _as_name(text: str) -> str:
    return _OLDER_NAMES.get(text, text)


_LINES: Final = (
    {field.label: (name, field.read) for name, field in FIELDS.items() if field.read}
    | {label: (name, as_number) for label, name in _OLDER.items()}
    | {"Scenario": ("scenario", _as_name), "Mode": ("mode", _as_name), "Samples per query": ("streams", as_integer)}
)
_WHOLE = re.compile(r"[0-9]{1,20}")

_ESTIMATE = re.compile(r"Early stopping ([0-9]{1,3}(?:\.[0-9]{1,3})?)th percentile estimate")
_SATISFIED = re.compile(r"(.+) satisfied")
_LATENCY = re.compile(r"(Min|Max|Mean|[0-9.]{1,6} percentile) latency \(ns\)")
_COUNTED = re.compile(
    r"(No|[0-9]{1,18}) (warning|error)s? encountered(?: during test|\. See detailed log)\.", re.IGNORECASE
)
_NOT_ENOUGH = re.compile(
    r"Not enough queries processed for ([0-9.]{1,8})th percentile\s+early stopping estimate "
    r"\(would need to process at\s+least ([0-9]{1,18}) total"
)
_TOO_FEW = re.compile(r"Only processed ([0-9]{1,18})\s+queries\.\s+\* Need to process at least ([0-9]{1,18})")
_PROCESSED = re.compile(r"Processed at least [0-9]+ queries \(([0-9]{1,18})\)")


class _Parser:
    """What was read so far. A value that came twice and differently stays unclear.

    `closed` says that LoadGen's closing line was read, and none of its others since: a log that another run was
    appended to is not whole when that run was cut short.
    """

    def __init__(self) -> None:
        self.closed = False
        self.values: dict[str, Any] = {}
        self.satisfied: dict[str, bool] = {}
        self.early_stopping_ns: dict[str, Any] = {}
        self.latencies_ns: list[tuple[str, int]] = []
        self.problems: list[str] = []

    def read(self, number: int, line: str) -> None:
        key, colon, value = line.partition(":")
        key, value = key.strip(" \t*"), value.strip()
        if not colon:
            self._read_count(key)
        elif known := _LINES.get(key):
            self._put(self.values, known[0], known[1], value, number, line)
        elif estimate := _ESTIMATE.fullmatch(key):
            self._put(self.early_stopping_ns, _percentile(estimate[1]), as_number, value, number, line)
        elif (met := _SATISFIED.fullmatch(key)) and value.lower() in ("yes", "no"):
            name = met[1].strip()
            self.satisfied[name] = value.lower() == "yes" and self.satisfied.get(name, True)
        elif (latency := _LATENCY.fullmatch(key)) and _WHOLE.fullmatch(value):
            self.latencies_ns.append((latency[1], int(value)))

    def read_cut(self, number: int, line: str) -> None:
        """Read a last line without an end: the closing one is clear all the same, any other may be cut anywhere."""
        if not self._read_count(line.strip()):
            self.problems.append(f"line {number} is cut short: {quoted(line)}")

    def _read_count(self, line: str) -> bool:
        counted = _COUNTED.fullmatch(line)
        if counted:
            self.closed = counted[2].lower() == "error"
            name = "n_errors" if self.closed else "n_warnings"
            count = 0 if counted[1].lower() == "no" else int(counted[1])
            self.values[name] = max(count, self.values.get(name, 0))
        return bool(counted)

    def _put(self, into: dict[str, Any], name: str, reader: Reader, text: str, number: int, line: str) -> None:
        self.closed = False
        try:
            value = reader(text)
        except ValueError as error:
            self.problems.append(f"line {number} has {error}: {quoted(line)}")
            value = _UNCLEAR
        if into.setdefault(name, value) != value:
            self.problems.append(f"line {number} contradicts an earlier one: {quoted(line)}")
            into[name] = _UNCLEAR


def _percentile(text: str) -> str:
    """Return a percentile's name: 90th and 90.0th are both "90"."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _waiting_for(text: str) -> dict[str, Any]:
    """Return how many queries were processed, and how many would have been needed for which estimate."""
    needed = {_percentile(name): int(count) for name, count in _NOT_ENOUGH.findall(text)}
    processed = _PROCESSED.search(text)
    if too_few := _TOO_FEW.search(text):
        return {"processed_queries": int(too_few[1]), "needed_queries": {"": int(too_few[2]), **needed}}
    return {"processed_queries": int(processed[1]) if processed else None, "needed_queries": needed}
