"""mlperf_log_detail.txt: LoadGen's events, one JSON object a line behind a marker.

Format: mlcommons/inference `loadgen/logging.cc` (v0.7 on); of a key that comes several times the first value counts, as
in MLPerf's own `tools/submission/log_parser.py`. Older rounds wrote text without a marker, which has none of these
keys.

Only lines with wanted keys are decoded, and no line is held whole beyond `_LINE_LIMIT`, so memory is bounded whatever
the size of the log: a data set's `loaded_qsl_set` alone may have megabytes.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any, Final

import msgspec

from ..errors import RecordError
from .events import MARKERS, Events, read_events
from .fields import FIELDS, latency_key
from .text import Quirks, open_plain, quoted

_LINE_LIMIT: Final = 1024 * 1024
_TAIL_KEPT: Final = 4096
_TAIL_BYTES: Final = 64 * 1024
_MAX_PROBLEMS: Final = 20

#: What some round's script took for a run's score.
SCORE_KEYS: Final = frozenset(
    (
        *map(latency_key, ("50.00 percentile", "90.00 percentile", "95.00 percentile", "97.00 percentile")),
        *map(latency_key, ("99.00 percentile", "99.90 percentile", "Mean")),
        "result_samples_per_second",
        "result_completed_samples_per_sec",
        "result_scheduled_samples_per_sec",
        "early_stopping_latency_ss",
        "early_stopping_latency_ms",
        "effective_samples_per_query",
    )
)
#: What is read of a detail log: what a summary says as well, and by what one run is known again.
WANTED: Final = (
    frozenset(field.key for field in FIELDS.values() if field.key)
    | frozenset(map(latency_key, ("Min", "Max", "Mean", "50.00 percentile", "90.00 percentile")))
    | SCORE_KEYS
    | {
        "loadgen_version",
        "test_datetime",
        "result_query_count",
        "num_errors",
    }
)

_KEY = re.compile(r":::(?:MLLOG|ENDPTS)\s*\{\s*\"key\"\s*:\s*\"([^\"\\]{1,200})\"")
_IS_ERROR = re.compile(r"\"is_error\"\s*:\s*true")
_IS_WARNING = re.compile(r"\"is_warning\"\s*:\s*true")
#: The last latency of the list that LoadGen writes last, and the count that newer versions write after it.
_LAST_KEYS: Final = frozenset(
    ("num_errors", "result_99.90_percentile_latency_ns", "result_99.90_percentile_per_query_latency_ns")
)


class _Event(msgspec.Struct):
    key: str
    value: Any = None


_decoder = msgspec.json.Decoder(_Event)


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """What a detail log says of the wanted keys.

    `marked` is false where the log has no marker: the format of rounds before v0.7, or no detail log at all. `whole`
    says that what LoadGen writes last is there. `n_bad_lines` counts lines that are no events; `problems` names the
    first of them.
    """

    marked: bool
    whole: bool
    quirks: Quirks
    values: dict[str, Any]
    n_errors: int
    n_warnings: int
    n_bad_lines: int
    problems: tuple[str, ...]

    def text(self, key: str) -> str | None:
        """Return a value that is text, None where it is absent or something else."""
        value = self.values.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> float | None:
        """Return a value that is a finite number, None where it is absent or something else."""
        return finite(self.values.get(key))


def finite(value: object) -> float | None:
    """Return a JSON value as a number, None where it is none or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def read_detail(path: Path) -> Detail:
    """Read a detail log, in bounded memory. Raises RecordError where there is none or it cannot be read."""
    return read_detail_log(path)[0]


def read_detail_log(path: Path) -> tuple[Detail, Events | None]:
    """Read a detail log; return its events, too, where it is as LoadGen writes one. Raises as read_detail does."""
    return read_regular(path) or (_read_lines(path), None)


def read_regular(path: Path) -> tuple[Detail, Events] | None:
    """Read a detail log that is as LoadGen writes one; None for any other."""
    if (log := read_events(path)) and (detail := _of_events(log)):
        return detail, log
    return None


def _of_events(log: Events) -> Detail | None:
    """Return what a log says that is as LoadGen writes one, None where a wanted value cannot be read."""
    values: dict[str, Any] = {}
    try:
        for event, (start, end) in zip(log.events, log.spans, strict=True):
            if event.key in WANTED:
                if end - start > _LINE_LIMIT // 2:
                    return None
                values.setdefault(event.key, msgspec.json.decode(event.value))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return Detail(
        marked=True,
        whole=any(event.key in _LAST_KEYS for event in log.events),
        quirks=Quirks(),
        values=values,
        n_errors=log.n_errors,
        n_warnings=log.n_warnings,
        n_bad_lines=0,
        problems=(),
    )


def _read_lines(path: Path) -> Detail:
    parser = _Parser()
    try:
        with open_plain(path) as raw:
            file = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")
            for number, (line, tail) in enumerate(_lines(file), start=1):
                parser.read(number, line, tail)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}); put LoadGen's detail log there") from error
    return Detail(
        marked=parser.marked,
        whole=parser.whole,
        quirks=Quirks(crlf=parser.crlf, bare_cr=parser.bare_cr, nul=parser.nul, non_utf8=parser.non_utf8),
        values=parser.values,
        n_errors=parser.n_errors,
        n_warnings=parser.n_warnings,
        n_bad_lines=parser.n_bad_lines,
        problems=tuple(parser.problems),
    )


def peek(path: Path, keys: frozenset[str]) -> dict[str, Any]:
    """Return what the last 64 KiB of a detail log say of `keys`, {} where that cannot be read: a look, not a judgement.

    LoadGen writes settings and results behind everything that may be large, and a reader of thousands of directories
    cannot afford to read each log whole.
    """
    try:
        with open_plain(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read(_TAIL_BYTES)
    except (OSError, RecordError):
        return {}
    found: dict[str, Any] = {}
    for key in keys:
        at = tail.find(b'"key": "%s"' % key.encode())
        start, end = tail.rfind(b"{", 0, at + 1), tail.find(b"\n", at)
        if at < 0 or start < 0:
            continue
        try:
            found[key] = _decoder.decode(tail[start : end if end >= 0 else None].rstrip(b"\r\0")).value
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return found


def _lines(file: io.TextIOWrapper) -> Iterator[tuple[str, str]]:
    """Yield each line with its end, and its last characters; of a line beyond the limit only its beginning."""
    while line := file.readline(_LINE_LIMIT):
        tail = line
        more = line
        while len(more) == _LINE_LIMIT and not more.endswith(("\n", "\r")):
            more = file.readline(_LINE_LIMIT)
            tail = tail[-_TAIL_KEPT:] + more
        yield line, tail


class _Parser:
    """What was read so far."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.problems: list[str] = []
        self.marked = self.whole = self.crlf = self.bare_cr = self.nul = self.non_utf8 = False
        self.n_errors = self.n_warnings = self.n_bad_lines = 0

    def read(self, number: int, line: str, tail: str) -> None:
        """Read a line. `tail` is `line`, unless that is the beginning of a longer one."""
        self.crlf |= tail.endswith("\r\n")
        self.bare_cr |= tail.endswith("\r")
        self.nul |= "\0" in line
        self.non_utf8 |= _is_escaped(line)
        text, end = line.strip("\0 \t\r\n"), tail.rstrip("\0 \t\r\n")
        if not text:
            return
        if not text.startswith(MARKERS):
            self._bad(number, text, "no event of LoadGen")
            return
        self.marked = True
        whole = end.endswith("}")
        if not whole:
            self._bad(number, text, "an event that is cut short")
        key = _KEY.match(text)
        self.whole = whole and (self.whole or bool(key and key[1] in _LAST_KEYS))
        self.n_errors += bool(_IS_ERROR.search(end))
        self.n_warnings += bool(_IS_WARNING.search(end))
        if whole and (key is None or key[1] in WANTED):
            self._decode(number, text, is_all=line is tail)

    def _decode(self, number: int, text: str, *, is_all: bool) -> None:
        try:
            event = _decoder.decode(_mended(text[text.index("{") :]) if is_all else "")
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self._bad(number, text, "an event that is no JSON" if is_all else "an event too long to read")
            return
        if event.key in WANTED:
            self.values.setdefault(event.key, event.value)

    def _bad(self, number: int, text: str, what: str) -> None:
        self.n_bad_lines += 1
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(f"line {number} is {what}: {quoted(_mended(text[:200]))}")


def _is_escaped(line: str) -> bool:
    """Return whether a line has bytes that are no UTF-8."""
    if line.isascii():
        return False
    try:
        line.encode()
    except UnicodeEncodeError:
        return True
    return False


def _mended(line: str) -> str:
    """Return a line with its bytes that are no UTF-8 replaced."""
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if _is_escaped(line) else line
