"""Which verifier an audit directory takes; the only file that knows them all."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from ...errors import RecordError
from ...report.round.outcome import CaseOutcome
from .case import AuditDirectory, Reverified, outcome

#: Test to its module beside this one, each with `verify(found) -> Reverified`. Imported when first needed.
_MODULES: Final = {"test01": "test01", "test04": "test04", "test06": "test06", "test07": "test07", "test09": "test09"}


def verify(found: AuditDirectory) -> CaseOutcome:
    """Return what an audit directory came to. Files that cannot be read leave no verdict, and never raise."""
    name = "endpoints_audit" if found.layout == "endpoints" else _MODULES[found.test]
    module = import_module(f".{name}", __package__)
    try:
        shown: Reverified = module.verify(found)
    except (RecordError, OSError) as error:
        shown = Reverified(reason=str(error))
    return outcome(found, shown)
