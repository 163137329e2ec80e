"""The answer in an output, by the names that `extractor:` may have; those of the endpoints tool are known as well.

Which of the choices A to J does an output decide on? Models reason before they answer, so the last explicit statement
counts ("the answer is (B)", `\\boxed{B}`, "B is correct"); only without one are weaker signs looked at, and an output
that leaves it open has no answer. Every pattern takes time linear in the output's length, whatever an endpoint sends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

_Extract = Callable[[str], "str | None"]

#: What `extractor:` may be. The last two are the endpoints tool's, for scorers that only an external command can be.
ExtractorName = Literal[
    "identity",
    "multiple_choice",
    "boxed",
    "number",
    "pattern",
    "identity_extractor",
    "abcd_extractor",
    "boxed_math_extractor",
    "python_code_extractor",
    "function_call_extractor",
]

_TOOLS: Final = {
    "identity_extractor": "identity",
    "abcd_extractor": "multiple_choice",
    "boxed_math_extractor": "boxed",
}
_NUMBER: Final = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?", re.ASCII)
#: A longer text is compared as text: no answer is a number of so many digits.
_MOST_DIGITS: Final = 100


def own_name(name: str) -> str | None:
    """Return our name of an extractor, None for one that we do not have."""
    name = _TOOLS.get(name, name)
    return name if name in _EXTRACTORS or name == "pattern" else None


class Extractor:
    """Finds the answer in an output, and compares it with what a data set expects. KeyError for one we do not have.

    `pattern` is for the extractor of that name: a regular expression whose last match counts, by its group `answer`,
    its first group, or all of it.
    """

    def __init__(self, name: str, pattern: str | None = None) -> None:
        self._name = own_name(name) or name
        by_pattern = self._name == "pattern"
        self._extract = _by_pattern(re.compile(pattern or "")) if by_pattern else _EXTRACTORS[self._name]

    def answer(self, output: str) -> str | None:
        """Return the answer in an output, None where there is none."""
        return self._extract(output)

    def wanted(self, expected: str) -> str | None:
        """Return the answer that a data set's text means, None where it can mean none."""
        return _meant_letter(expected) if self._name == "multiple_choice" else expected.strip()

    def same(self, answer: str, expected: str) -> bool:
        """Whether an answer is the wanted one: numbers by their value, text but for white space at its ends."""
        answer, expected = answer.strip(), expected.strip()
        if answer == expected:
            return True
        if self._name not in {"boxed", "number"}:
            return False
        value = _value(answer)
        return value is not None and value == _value(expected)


def _identity(output: str) -> str | None:
    """Return the whole output."""
    return output


def _boxed(output: str) -> str | None:
    """Return what stands in the last box, or else the last number, as the endpoints tool has it."""
    for _, content in _boxes(output):
        if answer := _without_markup(content):
            return answer
    return _number(output)


def _number(output: str) -> str | None:
    """Return the last number, without thousands separators."""
    last = None
    for match in _NUMBER.finditer(output):
        last = match
    return last[0].replace(",", "") if last else None


def _by_pattern(pattern: re.Pattern[str]) -> _Extract:
    group: str | int = "answer" if "answer" in pattern.groupindex else min(pattern.groups, 1)

    def extract(output: str) -> str | None:
        last = None
        for match in pattern.finditer(output):
            last = match
        return last[group] if last else None

    return extract


def _value(text: str) -> Decimal | None:
    if len(text) > _MOST_DIGITS:
        return None
    try:
        value = Decimal(text.replace(",", "").strip("$ ").removesuffix("%"))
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


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


def _chosen_letter(output: str) -> str | None:
    """Return the letter A to J that an output decides on, None where it does not."""
    if letter := _meant_letter(output):
        return letter
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


def _meant_letter(expected: str) -> str | None:
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
    for at, content in _boxes(output):
        if match := _IN_BOX.match(_without_markup(content)):
            yield at, match[1].upper()
            return  # the last box that holds a letter


#: Boxes looked at from an output's end, and characters of each: an output of nothing but boxes costs no more.
_MOST_BOXES: Final = 100
_MOST_CHARACTERS: Final = 1000

_OPENINGS: Final = ("boxed{", "boxed {", "fbox{", "framebox{")
_COMMAND: Final = re.compile(
    r"\\(?:text|textbf|textit|mathbf|mathrm|mathit|mathsf|operatorname|displaystyle|left|right)\b"
)
_SPACING: Final = re.compile(r"\\[,;:! ]|~")


def _boxes(text: str) -> Iterator[tuple[int, str]]:
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


def _without_markup(content: str) -> str:
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


_EXTRACTORS: Final[dict[str, _Extract]] = {
    "identity": _identity,
    "multiple_choice": _chosen_letter,
    "boxed": _boxed,
    "number": _number,
}
