"""What MLPerf's scripts printed when the submitter ran them: verify_*.txt of the tests, accuracy.txt and its like.

Written by mlcommons/inference `compliance/TEST0x/run_verification.py` and by the benchmarks' accuracy scripts. What a
file says is a record and proves nothing; it is read to tell where a submission's own word differs from what its logs
show.

    verify_performance.txt                         TEST01, TEST04: two scores, and TEST PASS or TEST FAIL
    verify_accuracy.txt, verify_output_len.txt     TEST01, TEST07, TEST09: lines `name = value` or `name: value`, and
                                                   the same; TEST06: three lines `... check pass: True`
    accuracy.txt, baseline_accuracy.txt, compliance_accuracy.txt     the scores of an accuracy run
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import Final, Literal

import msgspec

from .text import read, text_of

#: A verify_performance.txt has 100 bytes, or a few KB with a traceback.
LIMIT_BYTES: Final = 1024 * 1024
#: The other files begin with all that an accuracy script printed.
_MOST_PRINTED_BYTES: Final = 64 << 20

_RecordedVerdict = Literal["PASS", "FAIL", ""]

_PASS, _FAIL = re.compile(r"\bTEST PASS\b"), re.compile(r"\bTEST FAIL\b")
_SCORE = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?")
_ERRORS = re.compile(r"WARNING: ([0-9]{1,18}) ERROR reported")


class RecordedPerformance(msgspec.Struct, frozen=True, kw_only=True):
    """verify_performance.txt of TEST01 and TEST04.

    `verdict` is "" where the file has none: it is empty, or the script ended with a traceback or wrote its complaint to
    stderr. `started` says that the script ran at all.
    """

    verdict: _RecordedVerdict
    started: bool
    reference_score: float | None = None
    audit_score: float | None = None
    n_errors: int = 0


def read_verify_performance(path: Path) -> RecordedPerformance | None:
    """Read verify_performance.txt, None where there is none. Raises RecordError where it cannot be read."""
    data = read(path, LIMIT_BYTES)
    return None if data is None else parse_verify_performance(data)


def parse_verify_performance(data: bytes) -> RecordedPerformance:
    """Read the bytes of verify_performance.txt; any bytes give one."""
    lines = [line.strip() for line in _lines(data)]
    scores: dict[str, float] = {}
    for line in lines:
        key, equals, value = line.partition("=")
        if equals and _SCORE.fullmatch(value.strip()):
            scores.setdefault(key.strip().lower(), float(value.strip()))
    return RecordedPerformance(
        verdict=_verdict_of_performance(lines),
        started=any(lines),
        reference_score=scores.get("reference score", scores.get("test04-a score")),
        audit_score=scores.get("test score", scores.get("test04-b score")),
        n_errors=sum(int(found[1]) for line in lines if (found := _ERRORS.match(line))),
    )


def _verdict_of_performance(lines: list[str]) -> _RecordedVerdict:
    """Return FAIL where any line says so: files were appended to, and a failure is not undone by a pass."""
    if any(_FAIL.search(line) for line in lines):
        return "FAIL"
    return "PASS" if any(_PASS.search(line) for line in lines) else ""


_FIELD = re.compile(r"(?P<name>[A-Za-z_][\w ]{0,60}?)\s*[:=]\s*(?P<value>\S.{0,80})")
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{0,20})?")
_TEST06_LINES: Final = ("First token check pass", "EOS check pass", "Sample length check pass")


class VerifyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """verify_accuracy.txt or verify_output_len.txt. `fields` has the last value of each name; `verdict` is
    PASS, FAIL, also beside a PASS, or "".
    """

    fields: dict[str, str]
    verdict: str
    text: str

    def number(self, name: str) -> float | None:
        """Return a field as a number, None where it is absent or is none."""
        value = self.fields.get(name, "")
        return float(value) if _NUMBER.fullmatch(value) and isfinite(float(value)) else None

    def number_of(self, name: str, unit: str) -> float | None:
        """Return a field as the number before a unit, `0.10%`, None where it is absent or is none."""
        value = self.fields.get(name, "").removesuffix(unit).strip()
        return float(value) if _NUMBER.fullmatch(value) else None

    def count(self, name: str) -> int | None:
        """Return a field as a whole number, None where it is absent or is none."""
        value = self.fields.get(name, "")
        return int(value) if value.isascii() and value.isdigit() else None


def read_verify_record(path: Path) -> VerifyRecord | None:
    """Read one file, None where there is none. Raises RecordError when it is there and cannot be read."""
    data = read(path, _MOST_PRINTED_BYTES)
    if data is None:
        return None
    lines = [line.strip() for line in _lines(data)]
    fields = {match["name"]: match["value"].strip() for line in lines if (match := _FIELD.fullmatch(line))}
    return VerifyRecord(fields=fields, verdict=_verdict_of_record(lines, fields), text="\n".join(lines))


def _verdict_of_record(lines: list[str], fields: dict[str, str]) -> str:
    test06 = [fields.get(name) for name in _TEST06_LINES]
    passed = "TEST PASS" in lines or (test06[0] in ("True", "Skipped") and test06[1:] == ["True", "True"])
    failed = "TEST FAIL" in lines or "False" in test06
    return "FAIL" if failed else "PASS" if passed else ""


_VALUE = r"(?P<value>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"


def _quoted(name: str) -> str:
    """The scores of one print of a Python dict: {'rouge1': 44.43, 'rouge2': '22.03'}."""
    return rf".*'{name}':\s+'?{_VALUE}"


#: Scores by the names of the submission checker (constants.py, ACC_PATTERN), in the forms of each benchmark's script.
_FORMS: Final = {
    name: re.compile(form)
    for name, form in {
        "acc": rf"""(?:\{{"accuracy|accuracy)[":\s]*(?:=\s*)?{_VALUE}""",
        "AUC": rf"AUC={_VALUE}",
        "mAP": rf".*(?:mAP=|'Total':)\s*{_VALUE}",
        "F1": rf"""\{{["']exact_match["']:\s*[0-9.]+,\s*["']f1["']:\s*{_VALUE}\}}""",
        "ACCURACY": rf"Word Error Rate:.*, accuracy={_VALUE}%",
        "DICE": rf"Accuracy:\s*mean\s*=\s*{_VALUE}",
        "E2E_ACCURACY": rf"Accuracy:\s*{_VALUE}",
        "ROUGE1": _quoted("rouge1"),
        "ROUGE2": _quoted("rouge2"),
        "ROUGEL": _quoted("rougeL"),
        "ROUGELSUM": _quoted("rougeLsum"),
        "GEN_LEN": _quoted("gen_len"),
        "TOKENS_PER_SAMPLE": _quoted("tokens_per_sample"),
        "CLIP_SCORE": _quoted("CLIP_SCORE"),
        "FID_SCORE": _quoted("FID_SCORE"),
        "gsm8k_accuracy": _quoted("gsm8k"),
        "mbxp_accuracy": _quoted("mbxp"),
        "exact_match": _quoted("exact_match"),
        "vbench_score": _quoted("vbench_score"),
    }.items()
}


def read_scores(path: Path, names: Iterable[str]) -> dict[str, float]:
    """Return those of the named scores that a file has; the last counts where one is printed again.

    A file that is not there has none. Raises RecordError when it cannot be read.
    """
    data = read(path, _MOST_PRINTED_BYTES)
    if data is None:
        return {}
    lines = _lines(data)
    found = {}
    for name in names:
        matches = [match for line in lines if (match := _FORMS[name].match(line))]
        if matches:
            found[name] = float(matches[-1]["value"])
    return found


def _lines(data: bytes) -> list[str]:
    text = text_of(data)
    return [*text.lines, text.cut]
