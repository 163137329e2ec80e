"""Text from outside made fit to show: on one line, and nothing in it that a terminal or browser acts upon."""

from __future__ import annotations

import unicodedata

#: Cc: controls, ANSI escapes and line breaks; Cf: direction overrides and zero-width marks; Cs: lone surrogates.
_UNFIT = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def plain(text: str, limit: int = 500) -> str:
    """Return outside text as one line of at most `limit` characters with nothing a terminal or browser acts upon.

    >>> plain("all\\x1b[31m well\\n")
    'all [31m well'
    """
    head = text[: 4 * limit]
    shown = " ".join("".join(" " if unicodedata.category(char) in _UNFIT else char for char in head).split())
    return shown if len(shown) <= limit and len(head) == len(text) else shown[: limit - 1].rstrip() + "…"
