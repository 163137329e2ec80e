"""What upstream's submission checker says of a recorded TEST08."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...loadgen.verify_files import VerifyRecord
from ..published.case import Defect, Upstream, UpstreamVerdict
from ..verdict import Check

_CHECKER: Final = "submission_checker (TEST08)"
_WORDS: Final = Defect(
    "words_not_figures",
    _CHECKER,
    "the checker looks for a line TEST PASS in verify_accuracy.txt, and at no number of it and no log",
)


def said(record: VerifyRecord, ours: Sequence[Check]) -> tuple[list[Upstream], list[Defect]]:
    """Return the checker's word on a record, and its defect."""
    verdict: UpstreamVerdict = "PASS" if "TEST PASS" in record.text.split("\n") else "FAIL"
    found = "there is" if verdict == "PASS" else "there is no"
    names = tuple(check.name for check in ours)
    return [Upstream(script=_CHECKER, verdict=verdict, reason=f"{found} line TEST PASS", checks=names)], [_WORDS]
