"""Which of the choices A to J an output decides on.

Models reason before they answer, so the last explicit statement counts ("the answer is (B)", `\\boxed{B}`, "B is
correct"); only without one are weaker signs looked at, and an output that leaves it open has no answer. Every pattern
here takes time linear in the output's length, whatever an endpoint sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .latex import boxes, plain

#: What may stand between a cue and its letter, and markup around the letter itself.
_SEPARATOR = r"""[\s:*_`"'$=>~–—-]{0,16}"""  # noqa: RUF001 - dashes as models write them
_MARKUP = r"(?:\\[(\[]\s?)?(?:\\(?:text|textbf|mathbf|mathrm|boxed)\{\s?)?[*_]{0,2}"
#: A bare letter is a capital, and neither the article ("A good answer") nor the pronoun ("I think").
_ARTICLE = r"A\s(?!because|since|as|and|which|given|due|with|for|based|by|from|here|is)[a-z]"
_BARE = rf"(?!I\s[a-z]|{_ARTICLE})[A-J](?![A-Za-z0-9'’])"  # noqa: RUF001 - apostrophe as models write it
_SMALL = r"[a-j](?=[).*_]{0,3}\s*(?:\n|\Z))"
_LETTER = rf"{_MARKUP}(?:[(\[{{]\s?(?P<bracketed>[A-Ja-j])\s?[)\]}}]|(?P<bare>{_BARE}|{_SMALL}))"
_NOUN = r"(?:answers?|(?:correct|right|best)\s(?:option|choice))"
_LINK = r"(?:\s{1,3}(?:is|are|was|would\sbe|should\sbe|must\sbe|choice|option|letter|here|therefore|thus)\b){0,4}"
_OPTION = r"(?:(?i:option|choice|letter)\b[\s:*_]{0,4})?"

_STATED: Final = (
    re.compile(rf"(?i:\b{_NOUN}\b{_LINK}){_SEPARATOR}{_OPTION}{_LETTER}"),
    re.compile(
        rf"(?<![A-Za-z0-9]){_LETTER}[)\]}}.*_]{{0,3}}\s(?i:is\s(?:the\s)?(?:correct|right|best|only\scorrect)\b)"
    ),
)
_CHOSEN: Final = re.compile(rf"(?i:\b(?:choose|select|pick|go(?:ing)?\swith)\b){_SEPARATOR}{_OPTION}{_LETTER}")
_ALONE: Final = re.compile(r"^[ \t*_`(\[$]{0,6}([A-J])[ \t*_`)\].:$]{0,6}$", re.MULTILINE)
_FIRST: Final = re.compile(r"[\s*_`(\[$]{0,8}([A-Ja-j])(?:[*_`]{0,3}[)\].:,]|\s*\Z)")
_MARKED: Final = re.compile(r"(?<![A-Za-z0-9])(?:[(\[]\s?([A-J])\s?[)\]]|\*\*\(?([A-J])\)?\*\*)(?![A-Za-z0-9])")
_IN_BOX: Final = re.compile(r"[\s$(\[{*_]{0,8}([A-Ja-j])(?:\Z|[)\].:,}*_$]|\s+(?![=+\-*/^<>]))")
_EXPECTED: Final = re.compile(
    r"\s*(?:choice\s?_?(?P<number>10|[1-9])|\(?(?P<letter>[A-Ja-j])\)?[.:]?)\s*", re.IGNORECASE
)


def decided(output: str) -> str | None:
    """Return the letter A to J that an output decides on, None where it does not."""
    if whole := wanted(output):
        return whole
    stated = [*_letters_in_boxes(output)]
    for pattern in _STATED:
        stated += [_placed(match) for match in pattern.finditer(output)]
    if stated:
        return max(stated)[1]
    weaker = [_placed(match) for match in _CHOSEN.finditer(output)]
    weaker = weaker or [(match.start(1), match[1]) for match in _ALONE.finditer(output)]
    if weaker:
        return max(weaker)[1]
    if (first := _FIRST.match(output)) and not _begins_a_list(output, first[1].upper()):
        return first[1].upper()
    marked = {match[1] or match[2] for match in _MARKED.finditer(output)}
    return marked.pop() if len(marked) == 1 else None


def wanted(expected: str) -> str | None:
    """Return the letter that a data set's answer means: `choice2`, `B`, `b` and `(B)` are B. None for another text."""
    match = _EXPECTED.fullmatch(expected)
    if match is None:
        return None
    return match["letter"].upper() if match["letter"] else "ABCDEFGHIJ"[int(match["number"]) - 1]


def _begins_a_list(output: str, letter: str) -> bool:
    """Whether the choices are only told again: A) ..., B) ..."""
    return re.search(rf"^[\s*_`(\[]{{0,6}}{chr(ord(letter) + 1)}[*_]{{0,2}}[).:\]]", output, re.MULTILINE) is not None


def _placed(match: re.Match[str]) -> tuple[int, str]:
    which = "bracketed" if match["bracketed"] else "bare"
    return match.start(which), match[which].upper()


def _letters_in_boxes(output: str) -> Iterator[tuple[int, str]]:
    for at, content in boxes(output):
        if match := _IN_BOX.match(plain(content)):
            yield at, match[1].upper()
            return  # the last box that holds a letter
