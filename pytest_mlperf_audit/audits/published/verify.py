"""Which verifier an audit directory takes."""

from __future__ import annotations

from importlib import import_module

from ...errors import RecordError
from .case import AuditDirectory, Reverified, outcome
from .outcome import CaseOutcome


def verify(found: AuditDirectory) -> CaseOutcome:
    """Return what an audit directory came to. Files that cannot be read leave no verdict, and never raise.

    A test's folder has a `published.py` with `verify(found) -> Reverified`, imported when it is first needed.
    """
    name = ".endpoints_audit" if found.layout == "endpoints" else f"..{found.test}.published"
    module = import_module(name, __package__)
    try:
        shown: Reverified = module.verify(found)
    except (RecordError, OSError) as error:
        shown = Reverified(reason=str(error))
    return outcome(found, shown)
