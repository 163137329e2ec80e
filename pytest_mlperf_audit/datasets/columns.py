"""Columns renamed on the way in: those of `parser`, and the other names that endpoints' data sets have for a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import DatasetError

#: Read as the key where a row has no such column; as the endpoints tool does.
OTHER_NAMES = {
    "prompt": ("user_prompt", "question", "input", "input_text", "problem", "query"),
    "system": ("system_prompt",),
}


def renamed(row: dict[str, Any], parser: Mapping[str, str], where: str) -> dict[str, Any]:
    """Return `row` with the columns of `parser` (new name: name in the file) renamed; the same object if none is.

    Raises DatasetError, naming `where`, when a column that `parser` names is missing.
    """
    sources = {new: old for new, old in parser.items() if new != old}
    for old in parser.values():
        if old not in row:
            has = ", ".join(row) or "none"
            raise DatasetError(f"{where}: has no column {old!r}, which parser names; its columns are {has}")
    for name, others in OTHER_NAMES.items():
        if name not in row and name not in sources:
            found = next((other for other in others if other in row and other not in parser.values()), None)
            sources |= {name: found} if found else {}
    if not sources:
        return row
    kept = {column: value for column, value in row.items() if column not in sources.values()}
    return {**kept, **{new: row[old] for new, old in sources.items()}}
