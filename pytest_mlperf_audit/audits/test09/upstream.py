"""What upstream's `compliance/TEST09/run_verification.py` says of an accuracy log, given the model's bounds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ...errors import RecordError
from ...loadgen.json_stream import JsonStream
from ..published.case import Defect, Upstream, UpstreamVerdict
from ..verdict import Check
from . import LengthBounds

SCRIPT: Final = "TEST09/run_verification.py"

_NOT_COUNTED: Final = Defect(
    "samples_not_counted", SCRIPT, "the script never counts the samples, so a single one of the right length passes"
)
_FOUR_BYTES: Final = Defect(
    "int32_assumed", SCRIPT, "the script counts four bytes as a token; the token ids of this log are int64"
)
_BROKEN_IS_EMPTY: Final = Defect(
    "broken_output_is_empty",
    SCRIPT,
    "the script takes an output that is missing or no hexadecimal number for one of no tokens",
)
_READS_ON: Final = Defect(
    "reads_what_it_can",
    SCRIPT,
    "the script skips what it cannot read of a log and judges the rest: what was left visible of one cut for "
    "publication, too",
)
_NOT_READ_IS_FAILED: Final = Defect(
    "unreadable_is_failed", SCRIPT, "the script takes a log that it cannot read for one that fails"
)
_FORM: Final = Defect("form_not_checked", SCRIPT, "the script never asks whether an entry is one of LoadGen's")

CHECKS: Final = ("samples", "log_hash", "output_length")
#: What is no JSON array is modelled in memory; of a larger file nothing is said.
_LIMIT_BYTES: Final = 64 << 20


def said(log: Path, bounds: LengthBounds, ours: Sequence[Check], *, width: int) -> tuple[Upstream, list[Defect]] | None:
    """Return the script's word on a log, and which of its defects show beside our checks.

    `width` is that of the log's token ids in bytes. None where the log is too large and odd to say.
    """
    tally, whole = _Tally(), True
    try:
        values = JsonStream(log)
        tally.take_all(values)
        whole = values.array
    except RecordError:
        whole = False
    if not whole:
        if log.stat().st_size > _LIMIT_BYTES:
            return None
        tally = _Tally()
        try:
            tally.take_all(_lines(log.read_bytes().decode("utf-8")))
        except (ValueError, RecursionError):
            return _upstream("FAIL", "it cannot read the log"), [_NOT_READ_IS_FAILED]
    verdict, reason = tally.verdict(bounds)
    return _upstream(verdict, reason), list(_defects(tally, ours, whole=whole, width=width))


def _upstream(verdict: UpstreamVerdict, reason: str) -> Upstream:
    return Upstream(script=SCRIPT, verdict=verdict, reason=reason, checks=CHECKS)


def _defects(tally: _Tally, ours: Sequence[Check], *, whole: bool, width: int) -> Iterator[Defect]:
    if any(check.name != "output_length" and not check.passed for check in ours):
        yield _NOT_COUNTED
    if width != 4:
        yield _FOUR_BYTES
    if tally.n_broken:
        yield _BROKEN_IS_EMPTY
    if not whole:
        yield _READS_ON
    if not tally.n:
        yield _NOT_READ_IS_FAILED
    elif tally.crashed or any(check.passed is None for check in ours):
        yield _FORM


def _lines(text: str) -> Iterator[Any]:
    """Yield what the script finds where the file is no array: line by line, and in each line value by value.

    Raises ValueError where the script gives up: at a number too long for Python.
    """
    decoder = json.JSONDecoder()
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        rest = line.strip()
        while rest:
            try:
                value, end = decoder.raw_decode(rest)
            except json.JSONDecodeError:
                break
            yield value
            rest = rest[end:].lstrip()


class _Tally:
    """The lengths of the outputs, as the script counts them."""

    def __init__(self) -> None:
        self.n = self.n_tokens = self.n_broken = 0
        self.crashed = False

    def take_all(self, entries: Iterable[Any]) -> None:
        for entry in entries:
            self.n += 1
            if isinstance(entry, dict):
                self.n_tokens += self._length(entry.get("data", ""))
            else:
                self.crashed = True

    def _length(self, data: Any) -> int:
        try:
            if data:
                return len(bytes.fromhex(data.strip())) // 4
        except (AttributeError, TypeError, ValueError):
            pass
        self.n_broken += data != ""
        return 0

    def verdict(self, bounds: LengthBounds) -> tuple[UpstreamVerdict, str]:
        if not self.n:
            return "FAIL", "it finds no entry"
        if self.crashed:
            return "CRASH", "an entry is no JSON object"
        mean = self.n_tokens / self.n
        verdict: UpstreamVerdict = "PASS" if bounds.min_tokens <= mean <= bounds.max_tokens else "FAIL"
        return verdict, f"the mean of {self.n} outputs is {mean:.2f} tokens of four bytes"
