"""What upstream says of a recorded TEST07: `compliance/TEST07/run_verification.py`, and the submission checker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ...loadgen.verify_files import VerifyRecord
from ..published.case import Defect, Upstream, UpstreamVerdict
from ..verdict import Check
from . import Threshold

SCRIPT: Final = "TEST07/run_verification.py"
_CHECKER: Final = "submission_checker"

_NOT_COUNTED: Final = Defect(
    "samples_not_counted", SCRIPT, "the script never counts the samples, so a score of a few easy ones passes"
)
_ANY_THRESHOLD: Final = Defect(
    "any_threshold", SCRIPT, "the script takes whatever threshold its command line gives, MLPerf's or not"
)
_NO_SCORE: Final = Defect(
    "no_score_is_failed", SCRIPT, "the script takes a score that it cannot find for one that is too low"
)
ANY_DATA: Final = Defect(
    "any_data", SCRIPT, "the script takes a score for that of MLPerf's data set, whatever data the run was of"
)
_UNREAD: Final = Defect(
    "summary_not_read",
    SCRIPT,
    "the script judges what the accuracy script prints, and never the summary that it writes below, so one without a "
    "score goes unseen",
)
WORDS: Final = Defect(
    "words_not_figures",
    _CHECKER,
    "the checker looks for the words TEST PASS anywhere in verify_accuracy.txt, and at no score and no log",
)

CHECKS: Final = ("samples", "log_hash", "accuracy")

#: The script's default --score-pattern takes the first score that the accuracy script prints in this form.
_SCORE = re.compile(r"'exact_match':\s*([\d.]+)")
_SUMMARY = "TEST07 Verification Summary"


def printed_score(record: VerifyRecord) -> float | None:
    """Return the score that the script finds in what the accuracy script printed, None where it finds none."""
    match = _SCORE.search(record.text.partition(_SUMMARY)[0])
    try:
        return float(match[1]) if match else None
    except ValueError:
        return None


def said(record: VerifyRecord, wanted: Threshold | None, ours: Sequence[Check]) -> tuple[list[Upstream], list[Defect]]:
    """Return the words of script and checker on a record, and which of their defects show beside our checks."""
    printed, recorded = printed_score(record), record.number("Accuracy score")
    score = recorded if printed is None else printed
    threshold = record.number("Accuracy threshold")
    if threshold is None and wanted:
        threshold = wanted.score
    script = _script(score, threshold)
    words: UpstreamVerdict = "PASS" if "TEST PASS" in record.text else "FAIL"
    found = "found" if words == "PASS" else "not found"
    checker = Upstream(script=_CHECKER, verdict=words, reason=f"the words TEST PASS are {found}", checks=CHECKS)
    defects = _defects(threshold, wanted, ours)
    if printed is not None and recorded is None:
        defects.append(_UNREAD)
    return [script, checker], [*defects, _NO_SCORE] if score is None else defects


def _script(score: float | None, threshold: float | None) -> Upstream:
    if score is None:
        return Upstream(script=SCRIPT, verdict="FAIL", reason="it finds no score", checks=CHECKS)
    if threshold is None:
        return Upstream(script=SCRIPT, verdict="FAIL", reason="it was given no threshold", checks=CHECKS)
    verdict: UpstreamVerdict = "PASS" if score >= threshold else "FAIL"
    return Upstream(script=SCRIPT, verdict=verdict, reason=f"the score {score:g} meets {threshold:g}", checks=CHECKS)


def _defects(threshold: float | None, wanted: Threshold | None, ours: Sequence[Check]) -> list[Defect]:
    found = [WORDS]
    if any(check.name != "accuracy" and not check.passed for check in ours):
        found.append(_NOT_COUNTED)
    if wanted is None or (threshold is not None and threshold != wanted.score):
        found.append(_ANY_THRESHOLD)
    return found
