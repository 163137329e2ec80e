"""Entries of a verdict with little in them, for tests that look at one thing."""

from __future__ import annotations

from typing import Any

import msgspec

from pytest_mlperf_audit.audits.verdict import Check
from pytest_mlperf_audit.verdicts.document import AuditEntry, CheckEntry, CheckStatus


def an_audit(**fields: Any) -> AuditEntry:
    """Return an audit entry with these fields, the others empty."""
    known: dict[str, Any] = {
        "id": "a", "title": "A", "status": "PASS", "is_audit": True, "mlperf_name": None, "settings": {},
        "checks": (), "phases": (), "figures": {}, "notes": (), "reason": "",
    }  # fmt: skip
    return AuditEntry(**(known | fields))


def a_check(
    *, name: str, node_id: str, status: CheckStatus, check: Check | None = None, reason: str = ""
) -> CheckEntry:
    """Return a check entry; `reason` takes the place of the check's own."""
    entry = CheckEntry.of(name, check, node_id, status)
    return msgspec.structs.replace(entry, reason=reason) if reason else entry
