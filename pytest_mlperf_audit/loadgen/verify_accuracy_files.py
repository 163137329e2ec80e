"""verify_accuracy.txt and verify_output_len.txt: what upstream's accuracy scripts said when the submitter ran them.

TEST01, TEST07 and TEST09 write lines `name = value` or `name: value` and `TEST PASS` or `TEST FAIL`; TEST06 writes
three lines `... check pass: True`. What a file does not say is None.
"""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path
from typing import Final

import msgspec

from .text import read, text_of

#: TEST07's file begins with all that the accuracy script printed.
_LIMIT_BYTES: Final = 64 << 20
_FIELD = re.compile(r"(?P<name>[A-Za-z_][\w ]{0,60}?)\s*[:=]\s*(?P<value>\S.{0,80})")
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{0,20})?")
_TEST06_LINES: Final = ("First token check pass", "EOS check pass", "Sample length check pass")


class VerifyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One file. `fields` has the last value of each name; `verdict` is PASS, FAIL, also beside a PASS, or ""."""

    fields: dict[str, str]
    verdict: str
    text: str

    def number(self, name: str) -> float | None:
        """Return a field as a number, None where it is absent or is none."""
        value = self.fields.get(name, "")
        return float(value) if _NUMBER.fullmatch(value) and isfinite(float(value)) else None

    def count(self, name: str) -> int | None:
        """Return a field as a whole number, None where it is absent or is none."""
        value = self.fields.get(name, "")
        return int(value) if value.isascii() and value.isdigit() else None


def read_verify_record(path: Path) -> VerifyRecord | None:
    """Read one file, None where there is none. Raises RecordError when it is there and cannot be read."""
    data = read(path, _LIMIT_BYTES)
    if data is None:
        return None
    text = text_of(data)
    lines = [line.strip() for line in (*text.lines, text.cut)]
    fields = {match["name"]: match["value"].strip() for line in lines if (match := _FIELD.fullmatch(line))}
    return VerifyRecord(fields=fields, verdict=_verdict(lines, fields), text="\n".join(lines))


def _verdict(lines: list[str], fields: dict[str, str]) -> str:
    test06 = [fields.get(name) for name in _TEST06_LINES]
    passed = "TEST PASS" in lines or (test06[0] in ("True", "Skipped") and test06[1:] == ["True", "True"])
    failed = "TEST FAIL" in lines or "False" in test06
    return "FAIL" if failed else "PASS" if passed else ""
