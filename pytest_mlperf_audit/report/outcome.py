"""RunOutcome: all that a run came to, as the report and verdict.json show it.

Statuses, of a run and of each audit in it:
    PASS        every planned check ran and passed
    FAIL        a check failed
    NO_VERDICT  a phase crashed, was cut short, or left partial records; or the records leave a check in doubt
    INCOMPLETE  measured, but planned checks were not run (deselected, or the session stopped early)
    NOT_RUN     neither a phase nor a check of the audit was run
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ..audits.verdict import ArmSummary, Check, Diff, Figure, Finding, Ratio
from ..runs.phase import PhaseRecord

RunStatus = Literal["PASS", "FAIL", "NO_VERDICT", "INCOMPLETE", "NOT_RUN"]
CheckStatus = Literal["passed", "failed", "error", "not_run"]


class CheckOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One planned check and what became of it; `check` is there when its audit's records could be judged.

    One whose `check.passed` is None is undecided, and never counts as passed.
    """

    name: str
    node_id: str
    status: CheckStatus
    check: Check | None = None
    reason: str = ""


class PhaseOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One phase and the directory of its records, relative to the report directory. A warm-up is not `judged`."""

    directory: str
    record: PhaseRecord
    judged: bool = True


class AuditOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One audit, or the main run (`is_audit` false). `settings` are what the YAML set, for the reader.

    `planned` are the labels of the phases that it needs, in plan order; `phases` are those that were begun.
    """

    id: str
    title: str
    status: RunStatus
    is_audit: bool
    checks: tuple[CheckOutcome, ...]
    phases: tuple[PhaseOutcome, ...] = ()
    figures: dict[str, Figure] = {}
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    diffs: tuple[Diff, ...] = ()
    arms: tuple[ArmSummary, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    reason: str = ""
    mlperf_name: str | None = None
    settings: dict[str, Figure] = {}
    planned: tuple[str, ...] = ()


class RunOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run of one YAML."""

    name: str
    config: str
    status: RunStatus
    simulated: bool
    endpoint: str
    api_type: str
    model: str
    started_at: str
    finished_at: str
    environment: dict[str, Figure]
    audits: tuple[AuditOutcome, ...]
    warnings: tuple[str, ...] = ()
