"""CaseOutcome: what one audit directory of a submission tree came to; a round is a tuple of them.

Statuses of a case:
    PASS        every check passed
    FAIL        a check failed
    NO_VERDICT  no check failed, but the files leave one in doubt: unreadable, cut short, a figure that is not there
    SKIPPED     what the audit must be compared with was not published
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ..verdict import Check, Figure

CaseStatus = Literal["PASS", "FAIL", "NO_VERDICT", "SKIPPED"]

#: What one of upstream's scripts says of the same files; CRASH is a traceback, which leaves no verdict.
UpstreamVerdict = Literal["PASS", "FAIL", "CRASH"]


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """What one script of mlcommons/inference `compliance/` says of the same files today.

    `checks` names those of our checks that answer the script's question. `reason` completes "upstream: PASS because".
    Scores are as the script prints them, None where it prints none.
    """

    script: str
    verdict: UpstreamVerdict
    reason: str
    checks: tuple[str, ...]
    reference_score: float | None = None
    audit_score: float | None = None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Our verdict and upstream's differ: which known defect of the script explains it, and how, in a sentence.

    `defect` is its name; "" where none explains it, which would be a defect of ours.
    """

    script: str
    ours: CaseStatus
    upstream: UpstreamVerdict
    defect: str
    sentence: str


class CaseOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One audit directory. `directory` is relative to the tree; `scenario` is its directory's name, in its spelling.

    `case` is the path of the pytest id without the test, `test` its last part: test04. `log_scenario` is what the log
    itself says, None where it says nothing. `recorded` is the verdict in the submitter's own verify files, "" without
    one. `figures` hold what there is of: reference_score, audit_score, ratio, limit_ratio.
    """

    case: str
    test: str
    division: str
    submitter: str
    system: str
    benchmark: str
    scenario: str
    directory: str
    status: CaseStatus
    reason: str
    log_scenario: str | None = None
    recorded: str = ""
    checks: tuple[Check, ...] = ()
    figures: dict[str, Figure] = {}
    notes: tuple[str, ...] = ()
    upstream: tuple[Upstream, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def id(self) -> str:
        """The pytest id: closed/NVIDIA/H200-SXM-141GBx8_TRT/resnet50/Offline::test04."""
        return f"{self.case}::{self.test}"
