"""What a rule comes to: the points that break it, those of which too little is known, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..verdict import Check

#: So many points are named, and the rest counted.
_NAMED: Final = 4


def judged(rule: str, section: str, fine: str, wrong: Sequence[str] = (), unknown: Sequence[str] = ()) -> Check:
    """Return the check of a rule: failed by what is `wrong`, undecided by what is `unknown`, else passed as `fine`."""
    if told := [*wrong, *unknown]:
        more = f"; and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
        reason = f"{'; '.join(told[:_NAMED])}{more} (endpoints rules {section})"
        return Check(name=rule, passed=False if wrong else None, observed=len(told), limit=0, reason=reason)
    return Check(name=rule, passed=True, observed=0, limit=0, reason=f"{fine} (endpoints rules {section})")
