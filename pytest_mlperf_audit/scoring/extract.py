"""The answer in an output, by the names that `extractor:` may have; those of the endpoints tool are known as well."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, get_args

from . import choice
from .latex import boxes, plain

Extract = Callable[[str], "str | None"]

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
EXTRACTOR_NAMES: Final[tuple[str, ...]] = get_args(ExtractorName)

_TOOLS: Final = {
    "identity_extractor": "identity",
    "abcd_extractor": "multiple_choice",
    "boxed_math_extractor": "boxed",
}
_NUMBER: Final = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?", re.ASCII)
#: A longer text is compared as text: no answer is a number of so many digits.
_MOST_DIGITS: Final = 100


def ours(name: str) -> str | None:
    """Return our name of an extractor, None for one that we do not have."""
    name = _TOOLS.get(name, name)
    return name if name in _EXTRACTORS or name == "pattern" else None


def extractor(name: str, pattern: str | None = None) -> Extract:
    """Return the function that finds the answer in an output; KeyError for an extractor that we do not have.

    `pattern` is for the extractor of that name: a regular expression whose last match counts, by its group `answer`,
    its first group, or all of it.
    """
    own = ours(name)
    return _by_pattern(re.compile(pattern or "")) if own == "pattern" else _EXTRACTORS[own or name]


def wanted(name: str, expected: str) -> str | None:
    """Return the answer that a data set's text means to an extractor, None where it can mean none."""
    return choice.wanted(expected) if ours(name) == "multiple_choice" else expected.strip()


def same(name: str, answer: str, expected: str) -> bool:
    """Whether an extracted answer is the wanted one: numbers by their value, text but for white space at its ends."""
    answer, expected = answer.strip(), expected.strip()
    if answer == expected:
        return True
    if ours(name) not in {"boxed", "number"}:
        return False
    value = _value(answer)
    return value is not None and value == _value(expected)


def identity(output: str) -> str | None:
    """Return the whole output."""
    return output


def boxed(output: str) -> str | None:
    """Return what stands in the last box, or else the last number, as the endpoints tool has it."""
    for _, content in boxes(output):
        if shown := plain(content):
            return shown
    return number(output)


def number(output: str) -> str | None:
    """Return the last number, without thousands separators."""
    last = None
    for match in _NUMBER.finditer(output):
        last = match
    return last[0].replace(",", "") if last else None


def _by_pattern(pattern: re.Pattern[str]) -> Extract:
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


_EXTRACTORS: Final[dict[str, Extract]] = {
    "identity": identity,
    "multiple_choice": choice.decided,
    "boxed": boxed,
    "number": number,
}
