"""MLPerf compliance audits as pytest tests against any HTTP inference endpoint.

Importing this package imports nothing heavy; the names below load on first use.
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
    from .endpoints.base import EndpointAdapter as EndpointAdapter
    from .errors import MlperfAuditError as MlperfAuditError
    from .errors import PlanError as PlanError
    from .runs.phase import PhaseRecord as PhaseRecord
    from .runs.spec import RunSpec as RunSpec

_HOMES = {
    "Audit": "audits.contract",
    "AuditBlock": "config.block",
    "AuditContext": "audits.contract",
    "Check": "audits.verdict",
    "EndpointAdapter": "endpoints.base",
    "MlperfAuditError": "errors",
    "PhaseRecord": "runs.phase",
    "PlanError": "errors",
    "RunSpec": "runs.spec",
    "Verdict": "audits.verdict",
}

__all__ = [
    "Audit",
    "AuditBlock",
    "AuditContext",
    "Check",
    "EndpointAdapter",
    "MlperfAuditError",
    "PhaseRecord",
    "PlanError",
    "RunSpec",
    "Verdict",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
