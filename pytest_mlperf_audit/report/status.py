"""Outcomes of tests to statuses of audits and runs. Pure: the verdict follows from the plan, not from what ran."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .outcome import AuditOutcome, CheckStatus, RunStatus


def audit_status(checks: Sequence[CheckStatus], *, no_verdict: bool, measured: bool = False) -> RunStatus:
    """Return an audit's status from its planned checks'; PASS only when every one of them passed.

    `no_verdict`: its phases were begun, and allow none. `measured`: its phases are complete.
    """
    if "failed" in checks:
        return "FAIL"
    if "error" in checks or no_verdict:
        return "NO_VERDICT"
    if not measured and set(checks) <= {"not_run"}:
        return "NOT_RUN"
    return "INCOMPLETE" if "not_run" in checks else "PASS"


def run_status(audits: Iterable[AuditOutcome]) -> RunStatus:
    """Return the run's status: the worst of its audits'.

    An audit that was not run leaves the run INCOMPLETE. The main run may be left out (`-m test04`): it is no audit, and
    no verdict rests on it.
    """
    statuses = [audit.status for audit in audits if audit.is_audit or audit.status != "NOT_RUN"]
    worst: tuple[RunStatus, ...] = ("FAIL", "NO_VERDICT")
    for status in worst:
        if status in statuses:
            return status
    if not statuses or set(statuses) == {"NOT_RUN"}:
        return "NOT_RUN"
    return "PASS" if set(statuses) == {"PASS"} else "INCOMPLETE"
