"""Columns renamed on the way in: those of `parser`, and the other names that endpoints' data sets have for a prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import DatasetError

#: Read as the key where a row has no such column; as the endpoints tool does.
OTHER_NAMES = {
    "prompt": ("user_prompt", "question", "input", "input_text", "problem", "query"),
    "system": ("system_prompt",),
}

#: One step into a value: `.name`, or `[0]` and `.0` for an item of a list; as in `conversations[0].value`.
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")

#: Columns that are named so in data sets of the trade, the likeliest first.
_LIKELY = ("prompt", "text", "question", "caption", "instruction", "content", "article", "input")
_ABSENT = object()


def renamed(row: dict[str, Any], parser: Mapping[str, str], where: str) -> dict[str, Any]:
    """Return `row` with the columns of `parser` (new name: name in the file) renamed; the same object if none is.

    A name in the file may be a path into a column: `body.messages`, `conversations[0].value`. A row of `instruction`
    and perhaps `input` (Alpaca's form) has both as its prompt, an empty line between them.

    Raises DatasetError, naming `where`, when a column that `parser` names is missing.
    """
    found = {new: _value(row, old, where) for new, old in parser.items() if new != old or old not in row}
    taken = {old for new, old in parser.items() if new != old}
    for name, others in OTHER_NAMES.items():
        if name not in row and name not in parser:
            other = next((other for other in others if other in row and other not in parser.values()), None)
            if name == "prompt" and "messages" not in parser and isinstance(row.get("instruction"), str):
                found[name], taken = _instruction(row), taken | {"instruction", "input"}
            elif other:
                found[name], taken = row[other], taken | {other}
    if not found:
        return row
    return {**{column: value for column, value in row.items() if column not in taken}, **found}


def _instruction(row: Mapping[str, Any]) -> str:
    given = row.get("input")
    return "\n\n".join(filter(None, (row["instruction"], given if isinstance(given, str) else None)))


def _value(row: Mapping[str, Any], path: str, where: str) -> Any:
    """Return what stands at a path, which may also be the name of a column as it is."""
    if path in row:
        return row[path]
    value: Any = row
    for name, index in _STEP.findall(path) or [(path, "")]:
        value = _step(value, name or index)
        if value is _ABSENT:
            raise DatasetError(f"{where}: has no column {path!r}, which parser names; its columns are {listed(row)}")
    return value


def _step(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, _ABSENT)
    if isinstance(value, list) and name.isdigit() and int(name) < len(value):
        return value[int(name)]
    return _ABSENT


def listed(row: Mapping[str, Any]) -> str:
    """Return the names of a row's columns, as a message has them."""
    return ", ".join(f"'{column}'" for column in row) or "none"


def parser_line(row: Mapping[str, Any]) -> str | None:
    """Return the `parser` that probably finds a row's prompt: 'parser: {prompt: conversations[0].value}', or None."""
    texts: dict[str, str] = {}
    for path, value in _walk(row, ""):
        if isinstance(value, str):
            texts[path] = value
        elif _is_messages(value):
            return f"parser: {{messages: {path}}}"
    if not texts:
        return None
    by_name = {path.lower(): path for path in texts}
    likely = [by_name[name] for name in _LIKELY if name in by_name] + [one for one in texts if one.endswith(".value")]
    return f"parser: {{prompt: {next(iter(likely), max(texts, key=lambda one: len(texts[one])))}}}"


def _walk(value: Any, path: str, depth: int = 3) -> Iterator[tuple[str, Any]]:
    """Yield every value in a row with its path; of a list the first item only, or ShareGPT's first human turn."""
    if path:
        yield path, value
    if isinstance(value, Mapping) and depth:
        for name, one in value.items():
            yield from _walk(one, f"{path}.{name}" if path else str(name), depth - 1)
    elif isinstance(value, list) and value and depth:
        human = (
            at for at, one in enumerate(value) if isinstance(one, Mapping) and one.get("from") in {"human", "user"}
        )
        first = next(human, 0)
        yield from _walk(value[first], f"{path}[{first}]", depth - 1)


def _is_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, Mapping) and {"role", "content"} <= one.keys() for one in value)
    )
