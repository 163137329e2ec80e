"""An audit that the round requires of a result, and that was not published: a test that fails."""

from __future__ import annotations

from ..verdict import Check
from .case import AuditDirectory, Reverified


def verify(found: AuditDirectory) -> Reverified:
    """Return the one failed check: the audit is not there."""
    where = found.path.relative_to(found.base) if found.path.is_relative_to(found.base) else found.path
    reason = (
        f"MLPerf {found.round} requires {found.test.upper()} of {found.benchmark} in the {found.division} division, "
        f"and there is no {where.as_posix()}"
    )
    return Reverified(checks=[Check(name="published", passed=False, observed=None, limit=None, reason=reason)])
