"""The blocks of code in README.md and docs/: fenced with a language, or indented."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(
    r"^(?P<in> *)```(?P<kind>[^\n]*)\n(?P<fenced>.*?)^ *```$"
    r"|(?<=\n\n)(?P<indented>(?: {4}[^\n]*\n|\n(?= {4}))+)",
    re.DOTALL | re.MULTILINE,
)
_COMMAND = re.compile(r"^(?:[A-Z_]+=\S+ )*(?:pytest|python|pip|nox|export|docker|git|jq)\b ", re.MULTILINE)


class Block(NamedTuple):
    """A block: its page, its line, its kind (sh, python, yaml, text, ...) and its text without the indent."""

    page: str
    line: int
    kind: str
    text: str

    @property
    def name(self) -> str:
        """Page and first words, which stay when lines move."""
        return f"{self.page}: {self.text.strip().splitlines()[0][:60].rstrip()}"


def blocks() -> list[Block]:
    """All blocks of all pages, in order."""
    return [block for page in PAGES for block in of_page(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8"))]


def of_page(page: str, text: str) -> list[Block]:
    """The blocks of one page."""
    found = []
    for match in _BLOCK.finditer(text):
        code = textwrap.dedent(match["fenced"] if match["indented"] is None else match["indented"])
        kind = match["kind"] if match["indented"] is None else ""
        found.append(Block(page, text.count("\n", 0, match.start()) + 1, _kind(kind, code), code))
    return found


def _kind(said: str, code: str) -> str:
    """What the fence says, or what an indented block looks like."""
    if said:
        return {"bash": "sh", "console": "sh", "shell": "sh"}.get(said, said)
    if _COMMAND.match(code):
        return "sh"
    if re.match(r"(?:from|import|def|class|@|async def) ?\w", code):
        return "python"
    return "yaml" if re.match(r"[\w\"'-]+:(?: |$)", code, re.MULTILINE) else "text"
