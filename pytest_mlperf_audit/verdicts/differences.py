"""How a stored verdict.json differs from what its records give now, in words."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec

from ..records import differences as values
from .document import AuditEntry, Tool, VerdictDocument

#: Words for people, which another version of the tool may put otherwise.
_TEXTS: Final = frozenset({"reason", "notes", "title", "sentence", "what", "of"})

_MOST_SHOWN: Final = 12


class Terms(msgspec.Struct, frozen=True):
    """How strictly to compare: a document of another version may lack what this one adds, and say it in other words."""

    skip: frozenset[str] = frozenset()
    known_only: bool = False

    @classmethod
    def between(cls, stored: Tool, ours: Tool) -> Terms:
        """Return the terms on which two versions are compared."""
        return cls() if stored == ours else cls(_TEXTS, known_only=True)


def audit_differences(stored: AuditEntry, recomputed: AuditEntry, terms: Terms) -> list[str]:
    """Return what differs of an audit, its checks aside but for their names.

    Where neither reached a verdict, the reasons are not compared: they name directories as they were then.
    """
    skip = {"checks"}
    if stored.status == recomputed.status == "NO_VERDICT":
        skip.add("reason")
    if not stored.ratios:  # of before verdicts had them; they say what figures say, which are compared
        skip.add("ratios")
    names = [check.name for check in stored.checks], [check.name for check in recomputed.checks]
    found = differences(stored, _settings_of_then(stored, recomputed), terms, skip)
    if names[0] != names[1]:
        found.append(f"checks: {', '.join(names[0]) or 'none'} stored, {', '.join(names[1]) or 'none'} planned")
    return found


def _settings_of_then(stored: AuditEntry, recomputed: AuditEntry) -> AuditEntry:
    """Return the recomputed entry without settings that the run did not know, where they are left at null."""
    of_then = {key: value for key, value in recomputed.settings.items() if value is not None or key in stored.settings}
    return msgspec.structs.replace(recomputed, settings=of_then)


def run_differences(stored: VerdictDocument, recomputed: VerdictDocument, terms: Terms) -> list[str]:
    """Return what differs of the run as a whole: audits, artifacts and the document's own digest aside."""
    return differences(stored, recomputed, terms, {"audits", "artifacts", "digest", "tool"})


def differences(stored: Any, recomputed: Any, terms: Terms, skip: Collection[str] = ()) -> list[str]:
    """Return the differences between two structs or plain values, the first of them where there are many."""
    skipped = terms.skip | set(skip)
    both = msgspec.to_builtins(stored), msgspec.to_builtins(recomputed)
    found = [str(difference) for difference in values.differences(*both, skip=skipped, known_only=terms.known_only)]
    more = len(found) - _MOST_SHOWN
    return found if more <= 0 else [*found[:_MOST_SHOWN], f"and {more} more differences"]
