"""verify_performance.txt: what upstream's script said when the submitter ran it, redirected into a file.

Written by mlcommons/inference `compliance/TEST0x/run_verification.py`. What it says is a record and proves nothing; it
is read to tell where a submission's own word differs from what its logs show.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

import msgspec

from .text import Text, read, text_of

#: Published ones have 100 bytes, or a few KB with a traceback.
LIMIT_BYTES: Final = 1024 * 1024

RecordedVerdict = Literal["PASS", "FAIL", ""]

_PASS, _FAIL = re.compile(r"\bTEST PASS\b"), re.compile(r"\bTEST FAIL\b")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?")
_ERRORS = re.compile(r"WARNING: ([0-9]{1,18}) ERROR reported")


class RecordedPerformance(msgspec.Struct, frozen=True, kw_only=True):
    """verify_performance.txt of TEST01 and TEST04.

    `verdict` is "" where the file has none: it is empty, or the script ended with a traceback or wrote its complaint to
    stderr. `started` says that the script ran at all. `complaint` is what stands behind TEST FAIL.
    """

    verdict: RecordedVerdict
    started: bool
    complaint: str = ""
    reference_score: float | None = None
    audit_score: float | None = None
    n_errors: int = 0


def read_verify_performance(path: Path) -> RecordedPerformance | None:
    """Read verify_performance.txt, None where there is none. Raises RecordError where it cannot be read."""
    data = read(path, LIMIT_BYTES)
    return None if data is None else parse_verify_performance(data)


def parse_verify_performance(data: bytes) -> RecordedPerformance:
    """Read the bytes of verify_performance.txt; any bytes give one."""
    lines = _lines(text_of(data))
    scores: dict[str, float] = {}
    for line in lines:
        key, equals, value = line.partition("=")
        if equals and _NUMBER.fullmatch(value.strip()):
            scores.setdefault(key.strip().lower(), float(value.strip()))
    failed = next((line for line in lines if _FAIL.search(line)), "")
    return RecordedPerformance(
        verdict=_verdict(lines),
        started=any(lines),
        complaint=failed.partition("TEST FAIL")[2].strip(" :"),
        reference_score=scores.get("reference score"),
        audit_score=scores.get("test score"),
        n_errors=sum(int(found[1]) for line in lines if (found := _ERRORS.match(line))),
    )


def _lines(text: Text) -> list[str]:
    return [line.strip() for line in (*text.lines, text.cut)]


def _verdict(lines: list[str]) -> RecordedVerdict:
    """Return FAIL where any line says so: files were appended to, and a failure is not undone by a pass."""
    if any(_FAIL.search(line) for line in lines):
        return "FAIL"
    return "PASS" if any(_PASS.search(line) for line in lines) else ""
