"""One audit in a submission tree, and what its files show: from an AuditDirectory to a Reverified to a CaseOutcome.

Statuses of a case:
    PASS        every check passed
    FAIL        a check failed
    NO_VERDICT  no check failed, but the files leave one in doubt: unreadable, cut short, a figure that is not there
    SKIPPED     what the audit must be compared with was not published
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Final, Literal

import msgspec

from ...errors import RecordError
from ...text import readable
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


class RunPrint(msgspec.Struct, frozen=True, kw_only=True):
    """By what one run is known again: where its log lies within the round, and latencies of it in ns.

    `role` is reference or audit. Two logs that share three latencies to the nanosecond are of one run.
    """

    role: Literal["reference", "audit"]
    log: str
    latencies_ns: tuple[int, ...]


class CaseOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One audit directory. `directory` is relative to the tree; `scenario` is its directory's name, in its spelling.

    `case` is the path of the pytest id without the test, `test` its last part: test04. `log_scenario` is what the log
    itself says, None where it says nothing. `recorded` is the verdict in the submitter's own verify files, "" without
    one. `figures` hold what there is of: reference_score, audit_score, ratio, limit_ratio. `runs` are those that the
    audit rests on, as far as their logs have latencies.
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
    runs: tuple[RunPrint, ...] = ()

    @property
    def id(self) -> str:
        """The pytest id: closed/NVIDIA/H200-SXM-141GBx8_TRT/resnet50/Offline::test04."""
        return f"{self.case}::{self.test}"


#: "absent" is that of an audit which the round requires, and which was not published; "curve" that of a rule on points.
Layout = Literal["classic", "endpoints", "absent", "curve"]
#: The scenario of a rule on points, for which a curve has none of LoadGen's.
CURVE: Final = "curve"


class Defect(msgspec.Struct, frozen=True):
    """Something known to be wrong in one of upstream's scripts: a short name, the script, and a sentence on it.

    Each stands as a constant in the module `upstream` that models its script. Source of all: reading and running
    mlcommons/inference `compliance/` at commit b66003e1 (2026-08).
    """

    name: str
    script: str
    sentence: str


@dataclass(frozen=True)
class AuditDirectory:
    """Where one audit lies. Names are those of the directories, in their own spelling, made readable.

    `path` is the TEST0x directory, or the file audit_<name>.json of an endpoints submission. `results` is the scenario
    directory that holds `performance/run_1` and `accuracy`, whether it exists or not; of a pair TEST04-A and TEST04-B
    it is the former, `path` the latter. `case` is unique in the tree. `round` is as `v6.0`, "" where it is not known.
    """

    case: str
    test: str
    division: str
    submitter: str
    system: str
    benchmark: str
    scenario: str
    path: Path
    results: Path
    tree: Path
    layout: Layout = "classic"
    round: str = ""

    @cached_property
    def base(self) -> Path:
        """The directory that paths in reasons are relative to: the round's, where the path names a division."""
        if not self.division:
            return self.tree
        return next((above.parent for above in self.path.parents if above.name == self.division), self.tree)


class Reverified(msgspec.Struct, kw_only=True):
    """What the files of one audit show. Without a check, and not skipped, it is no verdict, and `reason` says why.

    `defects` are those of upstream's scripts that these files hit, whether or not a verdict changes by them.
    """

    checks: list[Check] = []
    skipped: str = ""
    reason: str = ""
    log_scenario: str | None = None
    recorded: str = ""
    figures: dict[str, Figure] = {}
    notes: list[str] = []
    upstream: list[Upstream] = []
    defects: list[Defect] = []
    runs: list[RunPrint] = []


_UNEXPLAINED = Defect("", "", "no known defect of the script explains it")


def outcome(found: AuditDirectory, shown: Reverified) -> CaseOutcome:
    """Return what an audit directory came to, with every difference from upstream explained.

    A part that cannot be judged makes it skipped, unless another part shows a failure.
    """
    status = status_of(shown.checks)
    if shown.skipped and status != "FAIL":
        status = "SKIPPED"
    reason = shown.skipped if status == "SKIPPED" else shown.reason or _reason(shown.checks)
    base = f"{found.base}/"
    checks = tuple(_named_within(base, check) for check in shown.checks)
    return CaseOutcome(
        case=found.case,
        test=found.test,
        division=found.division,
        submitter=found.submitter,
        system=found.system,
        benchmark=found.benchmark,
        scenario=found.scenario,
        directory=readable(found.path.relative_to(found.tree).as_posix()),
        status=status,
        reason=reason.replace(base, ""),
        log_scenario=shown.log_scenario,
        recorded=shown.recorded,
        checks=checks,
        figures=shown.figures,
        notes=tuple(
            note.replace(base, "") for note in (*shown.notes, *_scenario_note(found.scenario, shown.log_scenario))
        ),
        upstream=tuple(shown.upstream),
        differences=() if status == "SKIPPED" else tuple(_differences(shown)),
        runs=tuple(shown.runs),
    )


def _named_within(base: str, check: Check) -> Check:
    """Return a check with its paths as they are within the round: a reviewer's directories are nobody's business."""
    return msgspec.structs.replace(check, reason=check.reason.replace(base, "")) if base in check.reason else check


def _scenario_note(directory: str, log: str | None) -> list[str]:
    """Return a note where the directory has another scenario's name than the logs, spelling apart.

    Interactive is Server with other latencies: LoadGen has no scenario of its own for it.
    """
    name = directory.lower().replace("-", "").replace("_", "")
    if not log or {"interactive": "server"}.get(name, name) == log.lower():
        return []
    return [f"The directory is named {directory}, the logs are of scenario {log}; the logs count."]


def status_of(checks: list[Check]) -> CaseStatus:
    """Return the status that checks amount to; without any there is no verdict."""
    if any(check.passed is False for check in checks):
        return "FAIL"
    return "PASS" if checks and all(check.passed for check in checks) else "NO_VERDICT"


def _reason(checks: list[Check]) -> str:
    """Return the reasons of what failed, else of what is in doubt, else of all."""
    for wanted in (False, None):
        if told := [check.reason for check in checks if check.passed is wanted]:
            return "; ".join(told)
    return "; ".join(check.reason for check in checks)


def _differences(shown: Reverified) -> list[Difference]:
    found = []
    for upstream in shown.upstream:
        ours = status_of([check for check in shown.checks if check.name in upstream.checks])
        if ours == upstream.verdict or (ours == "NO_VERDICT" and upstream.verdict == "CRASH"):
            continue
        explaining = [defect for defect in shown.defects if defect.script == upstream.script] or [_UNEXPLAINED]
        found += [
            Difference(
                script=upstream.script,
                ours=ours,
                upstream=upstream.verdict,
                defect=defect.name,
                sentence=defect.sentence,
            )
            for defect in explaining
        ]
    return found


def together(parts: Iterable[Reverified]) -> Reverified:
    """Return what several parts of one audit show, as one: TEST01 has a performance and an accuracy part."""
    whole = Reverified()
    for part in parts:
        whole.checks += part.checks
        whole.notes += part.notes
        whole.upstream += part.upstream
        whole.defects += part.defects
        whole.runs += part.runs
        whole.figures |= part.figures
        whole.log_scenario = whole.log_scenario or part.log_scenario
        for name in ("skipped", "reason", "recorded"):
            said = [text for text in (getattr(whole, name), getattr(part, name)) if text]
            setattr(whole, name, "; ".join(said))
    return whole


class End(Exception):  # noqa: N818  it is how the script ends, which may be no error
    """The script ends before its comparison: with a verdict, or with a traceback by a defect."""

    def __init__(self, verdict: UpstreamVerdict, reason: str, defect: Defect | None = None) -> None:
        super().__init__(reason)
        self.verdict, self.reason, self.defect = verdict, reason, defect


_MODULES: Final = {"endpoints": ".endpoints_audit", "absent": ".absent", "curve": "..curves.published"}


def verify(found: AuditDirectory) -> CaseOutcome:
    """Return what an audit directory came to. Files that cannot be read leave no verdict, and never raise.

    A test's folder has a `published.py` with `verify(found) -> Reverified`, imported when it is first needed.
    """
    name = _MODULES.get(found.layout, f"..{found.test}.published")
    module = import_module(name, __package__)
    try:
        shown: Reverified = module.verify(found)
    except (RecordError, OSError) as error:
        shown = Reverified(reason=str(error))
    return outcome(found, shown)
