"""MLPerf compliance audits as pytest tests against any HTTP inference endpoint.

For a notebook or a program: `run_audits`, `read_verdict`, `recheck`. For an audit or an endpoint adapter of one's own:
the other names. Importing this package imports nothing heavy; each name loads on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .audits.contract import Audit as Audit
    from .audits.contract import AuditContext as AuditContext
    from .audits.verdict import Check as Check
    from .audits.verdict import Verdict as Verdict
    from .config.block import AuditBlock as AuditBlock
    from .endpoints.base import BadReplyError as BadReplyError
    from .endpoints.base import EndpointAdapter as EndpointAdapter
    from .endpoints.base import Reply as Reply
    from .endpoints.base import Trial as Trial
    from .endpoints.base import digest as digest
    from .errors import MlperfAuditError as MlperfAuditError
    from .errors import PlanError as PlanError
    from .errors import RefusedError as RefusedError
    from .errors import UserError as UserError
    from .runs.body import Pieces as Pieces
    from .runs.order import Scripted as Scripted
    from .runs.order import sequential as sequential
    from .runs.order import single as single
    from .runs.order import with_replacement as with_replacement
    from .runs.order import without_replacement as without_replacement
    from .runs.phase import MeasuredPhase as MeasuredPhase
    from .runs.phase import PhaseRecord as PhaseRecord
    from .runs.script import Edit as Edit
    from .runs.script import Round as Round
    from .runs.script import Step as Step
    from .runs.spec import Concurrency as Concurrency
    from .runs.spec import RunSpec as RunSpec
    from .session.api import Rechecked as Rechecked
    from .session.api import recheck as recheck
    from .session.api import run_audits as run_audits
    from .verdicts.document import VerdictDocument as VerdictDocument
    from .verdicts.files import read_verdict as read_verdict

_HOMES = {
    "Audit": "audits.contract",
    "AuditBlock": "config.block",
    "AuditContext": "audits.contract",
    "BadReplyError": "endpoints.base",
    "Check": "audits.verdict",
    "Concurrency": "runs.spec",
    "Edit": "runs.script",
    "EndpointAdapter": "endpoints.base",
    "MeasuredPhase": "runs.phase",
    "MlperfAuditError": "errors",
    "Pieces": "runs.body",
    "PhaseRecord": "runs.phase",
    "PlanError": "errors",
    "Rechecked": "session.api",
    "RefusedError": "errors",
    "Reply": "endpoints.base",
    "Round": "runs.script",
    "RunSpec": "runs.spec",
    "Scripted": "runs.order",
    "Step": "runs.script",
    "Trial": "endpoints.base",
    "UserError": "errors",
    "Verdict": "audits.verdict",
    "VerdictDocument": "verdicts.document",
    "digest": "endpoints.base",
    "read_verdict": "verdicts.files",
    "recheck": "session.api",
    "run_audits": "session.api",
    "sequential": "runs.order",
    "single": "runs.order",
    "with_replacement": "runs.order",
    "without_replacement": "runs.order",
}

__all__ = [
    "Audit",
    "AuditBlock",
    "AuditContext",
    "BadReplyError",
    "Check",
    "Concurrency",
    "Edit",
    "EndpointAdapter",
    "MeasuredPhase",
    "MlperfAuditError",
    "PhaseRecord",
    "Pieces",
    "PlanError",
    "Rechecked",
    "RefusedError",
    "Reply",
    "Round",
    "RunSpec",
    "Scripted",
    "Step",
    "Trial",
    "UserError",
    "Verdict",
    "VerdictDocument",
    "__version__",
    "digest",
    "read_verdict",
    "recheck",
    "run_audits",
    "sequential",
    "single",
    "with_replacement",
    "without_replacement",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
