"""What stands in the boxes of a LaTeX answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

#: Boxes looked at from an output's end, and characters of each: an output of nothing but boxes costs no more.
_MOST_BOXES: Final = 100
_MOST_CHARACTERS: Final = 1000

_OPENINGS: Final = ("boxed{", "boxed {", "fbox{", "framebox{")
_COMMAND: Final = re.compile(
    r"\\(?:text|textbf|textit|mathbf|mathrm|mathit|mathsf|operatorname|displaystyle|left|right)\b"
)
_SPACING: Final = re.compile(r"\\[,;:! ]|~")


def boxes(text: str) -> Iterator[tuple[int, str]]:
    """Yield where a box's content begins and what it is, from the last box to the first."""
    end = len(text)
    for _ in range(_MOST_BOXES):
        at, opening = max((text.rfind(opening, 0, end), opening) for opening in _OPENINGS)
        if at < 0:
            return
        content = _balanced(text, at + len(opening))
        if content is not None:
            yield at + len(opening), content
        end = at


def plain(content: str) -> str:
    """Return a box's content without the commands, braces and spacing that only shape it."""
    shaped = _COMMAND.sub("", _SPACING.sub(" ", content)).strip().strip("$").strip()
    while shaped.startswith("{") and shaped.endswith("}") and "{" not in shaped[1:] and "}" not in shaped[:-1]:
        shaped = shaped[1:-1].strip()
    return shaped


def _balanced(text: str, start: int) -> str | None:
    """Return the text up to the brace that closes the one before `start`; None where none does, or an empty box."""
    depth = 1
    for at, char in enumerate(text[start : start + _MOST_CHARACTERS], start):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if depth == 0:
            return text[start:at] if at > start else None
    return None
