"""Text and numbers made fit to show: one line, no control character, a bounded length, a sensible precision."""

from __future__ import annotations

import re

from ..audits.verdict import Figure
from ..text import plain

#: What a status is called, of a run, an audit or a case.
STATUS_WORDS = {
    "PASS": "PASS",
    "FAIL": "FAIL",
    "NO_VERDICT": "NO VERDICT",
    "INCOMPLETE": "INCOMPLETE",
    "NOT_RUN": "NOT RUN",
    "SKIPPED": "skipped",
}
#: Stands where there is no value.
NOTHING = "–"  # noqa: RUF001 - a dash to read, not a minus


def number(value: Figure) -> str:
    """Return a figure for a table cell: four significant digits, thousands apart, a dash for nothing."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


def seconds(value: float | None) -> str:
    """Return a duration with the unit that suits it, a dash for nothing.

    >>> seconds(0.0512), seconds(75.0)
    ('51.2 ms', '75 s')
    """
    if value is None:
        return NOTHING
    if abs(value) < 1:
        return f"{value * 1000:.4g} ms"
    return f"{value:.4g} s" if abs(value) < 1000 else f"{value:,.0f} s"


def percent(value: float | None) -> str:
    """Return a share as a percentage."""
    return NOTHING if value is None else f"{value:.1%}"


def apart(value: float, limit: float) -> tuple[str, str]:
    """Return both numbers with at least two decimals, and as many as it takes to tell them apart (at most eight).

    >>> apart(1.0213, 1.1), apart(1.10004, 1.1)
    (('1.02', '1.10'), ('1.10004', '1.10000'))
    """
    for decimals in range(2, 9):
        pair = f"{value:.{decimals}f}", f"{limit:.{decimals}f}"
        if value == limit or pair[0] != pair[1]:
            break
    return pair


def first_sentence(text: str) -> str:
    """Return a reason up to its first full stop or semicolon, for places with room for one line."""
    return re.split(r"[.;]\s", plain(text), maxsplit=1)[0].rstrip(".")
