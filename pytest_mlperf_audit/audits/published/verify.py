"""Which verifier an audit directory takes; the only file that knows them all."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from ...errors import RecordError
from .case import AuditDirectory, Reverified, outcome
from .outcome import CaseOutcome

#: The tests whose folder has a `published.py` with `verify(found) -> Reverified`. Imported when first needed.
_TESTS: Final = ("test01", "test04", "test06", "test07", "test09")


def verify(found: AuditDirectory) -> CaseOutcome:
    """Return what an audit directory came to. Files that cannot be read leave no verdict, and never raise."""
    assert found.test in _TESTS
    name = ".endpoints_audit" if found.layout == "endpoints" else f"..{found.test}.published"
    module = import_module(name, __package__)
    try:
        shown: Reverified = module.verify(found)
    except (RecordError, OSError) as error:
        shown = Reverified(reason=str(error))
    return outcome(found, shown)
