"""Count the words of each sentence in README.md and docs/, and print the share of long sentences for each page.

    python docs/check_style.py             a table: sentences, long ones, their share
    python docs/check_style.py PAGE ...    the long sentences of these pages, with their lines

A sentence is long above 25 words. It ends with a full stop, a question mark or an exclamation mark, or where a cell of
a table, an item of a list or a paragraph ends. Up to three words, as in a cell with a figure, make no sentence. A span
of code counts as one word, an address of a link as none. Blocks of code, headings and comments do not count.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 25
LEAST = 3  # a figure in a table, a label: no sentence

_HIDDEN = (
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE),
    re.compile(r"(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+"),  # an indented block of code
    re.compile(r"^#+ .*$", re.MULTILINE),
)
_CELL = re.compile(r"(?<!\\)\|")
_ITEM = re.compile(r"^\s*([*+-]|\d+\.)\s+")
_RULE = re.compile(r"^\s*\|[\s|:-]*\|?\s*$")
_SPAN = re.compile(r"(`+)(.+?)\1")
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_END = re.compile(r"(?<=[.!?])[)\"”*_]*\s+(?=[A-Z0-9`\"“(*§~])")
_SHORT = re.compile(r"\b(e\.g|i\.e|vs|cf|approx|No|Nos)\.\s", re.IGNORECASE)
_WORD = re.compile(r"\w")


class Sentence(NamedTuple):
    """A sentence of a page: the line it (or its paragraph) begins on, and its words."""

    line: int
    text: str
    words: int


def pages() -> list[Path]:
    """README.md and all pages of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def sentences(text: str) -> list[Sentence]:
    """All sentences of a page in Markdown."""
    return [
        Sentence(line, sentence.strip(), _count(sentence))
        for line, block in _blocks(text)
        for sentence in _END.split(_SHORT.sub(r"\1 ", _plain(block)))
        if _count(sentence) > LEAST
    ]


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Paragraphs, list items and cells, each with its line number."""
    open_: list[str] = []
    start = 1
    for number, line in enumerate([*_prose(text).splitlines(), ""], 1):
        cells = line.lstrip().startswith("|")
        if open_ and (not line.strip() or cells or _ITEM.match(line)):
            yield start, " ".join(open_)
            open_ = []
        if cells:
            yield from ((number, cell) for cell in _CELL.split("" if _RULE.match(line) else _SPAN.sub("CODE", line)))
        elif line.strip():
            start = start if open_ else number
            open_.append(_ITEM.sub("", line).strip())


def _prose(text: str) -> str:
    """The text without code, comments and headings, which leave empty lines."""
    for hidden in _HIDDEN:
        text = hidden.sub(_lines, text)
    return text


def _lines(match: re.Match[str]) -> str:
    """As many line ends as were there."""
    return "\n" * match.group().count("\n")


def _plain(block: str) -> str:
    """The block without images and addresses, a span of code as a word."""
    return _LINK.sub(r"\1", _SPAN.sub("CODE", _IMAGE.sub("", block)))


def _count(sentence: str) -> int:
    return sum(1 for word in sentence.split() if _WORD.search(word))


def share(found: list[Sentence]) -> tuple[int, int]:
    """How many of them are long, and how many there are."""
    return sum(sentence.words > LIMIT for sentence in found), len(found)


def _table() -> None:
    total: list[Sentence] = []
    print(f"{'page':32} {'sentences':>9} {'long':>5} {'share':>7}")
    for path in pages():
        found = sentences(path.read_text(encoding="utf-8"))
        total += found
        _row(str(path.relative_to(ROOT)), found)
    _row("all", total)


def _row(name: str, found: list[Sentence]) -> None:
    long, count = share(found)
    print(f"{name:32} {count:9} {long:5} {long / max(count, 1):7.1%}")


def main(names: list[str]) -> None:
    """Print the table, or the long sentences of some pages."""
    if not names:
        _table()
    for name in names:
        for sentence in sentences(Path(name).read_text(encoding="utf-8")):
            if sentence.words > LIMIT:
                print(f"{name}:{sentence.line}: {sentence.words} words: {sentence.text}")


if __name__ == "__main__":
    main(sys.argv[1:])
