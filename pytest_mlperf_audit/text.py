"""Text from outside made fit to show: on one line, and nothing in it that a terminal or browser acts upon.

All of it goes by `str.isprintable`: controls, ANSI escapes and line breaks, direction overrides and zero-width marks,
lone surrogates, and what Unicode gives no character to, are not shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

#: Stands where a secret was taken out.
REDACTED: Final = "**********"


def plain(text: str, limit: int = 500, *, ending: str = "…") -> str:
    """Return outside text as one line of at most `limit` characters; `ending` stands for what was cut off.

    >>> plain("all\\x1b[31m well\\n")
    'all [31m well'
    """
    head = text[: 4 * limit]  # enough for a short line, however long the text from outside is
    shown = head if head.isprintable() else "".join(char if char.isprintable() else " " for char in head)
    line = " ".join(shown.split())
    return line if len(line) <= limit and len(head) == len(text) else line[: limit - len(ending)].rstrip() + ending


def printable(text: str, limit: int = 200) -> str:
    """Return outside text as the details of records have it: as `plain` does, "..." for what was cut off."""
    return plain(text, limit, ending="...")


def readable(name: str) -> str:
    """Return the name of a file as ids and reports have it: what cannot be shown is escaped, so that names stay apart.

    >>> readable("Dell EMC"), readable("a\\nb")
    ('Dell EMC', 'a\\\\nb')
    """
    return name if name.isprintable() else name.encode("unicode_escape").decode("ascii")


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that `name` was probably meant to be, or None; alike by at least `cutoff` of 1."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)
