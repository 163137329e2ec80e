"""What of a stored verdict.json does not follow from the records: stored entries against recomputed ones, in words."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec

from ..records.differences import differences
from .document import AuditEntry, CheckEntry, Tool, VerdictDocument

#: Words for people, which another version of the tool may put otherwise.
TEXTS: Final = frozenset({"reason", "notes", "title", "sentence", "what", "of"})

_MOST_TOLD: Final = 12


class Terms(msgspec.Struct, frozen=True):
    """How strictly to compare: a document of another version may lack what this one adds, and say it in other words."""

    skip: frozenset[str] = frozenset()
    known_only: bool = False

    @classmethod
    def between(cls, stored: Tool, ours: Tool) -> Terms:
        """Return the terms on which two versions are compared."""
        return cls() if stored == ours else cls(TEXTS, known_only=True)


def check_differences(stored: CheckEntry, recomputed: CheckEntry, terms: Terms) -> list[str]:
    """Return what differs of a check; a status that only a test could tell is taken as it was stored."""
    return told(stored, recomputed, terms)


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
    found = told(stored, recomputed, terms, skip)
    if names[0] != names[1]:
        found.append(f"checks: {', '.join(names[0]) or 'none'} stored, {', '.join(names[1]) or 'none'} planned")
    return found


def run_differences(stored: VerdictDocument, recomputed: VerdictDocument, terms: Terms) -> list[str]:
    """Return what differs of the run as a whole: audits, artifacts and the document's own digest aside."""
    return told(stored, recomputed, terms, {"audits", "artifacts", "digest", "tool"})


def told(stored: Any, recomputed: Any, terms: Terms, skip: Collection[str] = ()) -> list[str]:
    """Return the differences between two structs or plain values, the first of them where there are many."""
    skipped = terms.skip | set(skip)
    both = msgspec.to_builtins(stored), msgspec.to_builtins(recomputed)
    found = [str(one) for one in differences(*both, skip=skipped, known_only=terms.known_only)]
    more = len(found) - _MOST_TOLD
    return found if more <= 0 else [*found[:_MOST_TOLD], f"and {more} more differences"]
