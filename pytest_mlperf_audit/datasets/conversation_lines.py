"""The lines of a file of conversations: what each has to be, and the message where it is not.

Source: mlcommons/endpoints `dataset_manager/agentic_inference_dataset.py`, whose rules these are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import DatasetError

#: Which roles may follow one, "" before the first.
_NEXT: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"user"}),
    "user": frozenset({"assistant"}),
    "assistant": frozenset({"tool", "user"}),
    "tool": frozenset({"assistant", "user"}),
}
#: A week, in seconds: what is longer was meant in another unit, and no clock takes any number.
_LONGEST_DELAY_S: Final = 604_800


class Line:
    """One line of the file: what it has, its number, and how a message names it."""

    def __init__(self, path: Path, unit: str, row: dict[str, Any], number: int) -> None:
        self.row = row
        self.number = number
        self._at = f"{path} {unit} {number}"

    def wrong(self, what: str) -> DatasetError:
        """Return an error that names this line and its conversation."""
        conversation, turn = self.row.get("conversation_id"), self.row.get("turn")
        return DatasetError(f"{self._at} (conversation {conversation!r:.80}, turn {turn!r:.20}): {what}")


def conversation_of(line: Line) -> str:
    """Return the conversation's id, which becomes a header's value. Raises DatasetError."""
    if (name := line.row.get("conversation_id")) is None:
        raise line.wrong(
            "has no conversation_id; each line needs conversation_id, turn and role (docs/multi-turn.md), or take "
            "agentic_inference out for a data set of single prompts"
        )
    if isinstance(name, int) and not isinstance(name, bool):
        name = line.row["conversation_id"] = str(name)
    if not isinstance(name, str) or not name.strip() or name != name.strip():
        raise line.wrong("its conversation_id is no text, or has blanks at an end; give each conversation a plain name")
    if not (name.isascii() and name.isprintable()):
        raise line.wrong("its conversation_id is sent as a header; use printable ASCII characters only")
    return name


def require_next(line: Line, before: Line | None, due: int) -> None:
    """Raise DatasetError unless a line is turn number `due` of its conversation and may follow `before`."""
    row, turn = line.row, line.row.get("turn")
    if isinstance(turn, bool) or not isinstance(turn, int | float) or turn != due:
        raise line.wrong(
            f"its turn should be {due}; number the lines of a conversation 1, 2, 3, ... in the file's order"
        )
    row["turn"] = due
    role, last = row.get("role"), before.row["role"] if before else ""
    if not isinstance(role, str) or role not in _NEXT:
        raise line.wrong("its role is none of user, assistant and tool; a system prompt goes into 'system' of a line")
    if role not in _NEXT[last]:
        may = " or ".join(sorted(_NEXT[last]))
        raise line.wrong(
            f"a line of {role} cannot {f'follow one of {last}' if last else 'come first'}; it must be {may}"
        )
    called = bool(before and before.row.get("tool_calls"))
    if role == "user":
        if called and last == "assistant":
            raise line.wrong("the assistant has called tools; a line of tool with their tool_results must come first")
        if row.get("content") in (None, "", []):
            raise line.wrong("a line of user needs content")
    elif role == "tool":
        _require_results(line, called=called)
    else:
        _require_calls(line)
    _require_fields(line)


def _require_results(line: Line, *, called: bool) -> None:
    results = line.row.get("tool_results")
    if not called:
        raise line.wrong("a line of tool must follow one of assistant with tool_calls")
    if not isinstance(results, list) or not results:
        raise line.wrong('a line of tool needs tool_results, a list of {"tool_call_id": "...", "content": "..."}')
    for at, result in enumerate(results):
        if not isinstance(result, dict) or not is_text(result.get("tool_call_id")) or result.get("content") is None:
            raise line.wrong(f"tool_results[{at}] needs a tool_call_id and a content")


def _require_calls(line: Line) -> None:
    calls = line.row.get("tool_calls")
    if calls is None:
        if line.row.get("content") in (None, "", []):
            raise line.wrong("a line of assistant needs content or tool_calls")
        return
    if not isinstance(calls, list) or not calls:
        raise line.wrong("its tool_calls are no list of calls; take the column out where no tool is called")
    for at, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if (
            not isinstance(function, dict)
            or not is_text(call.get("id"))
            or call.get("type") != "function"
            or not is_text(function.get("name"))
            or not isinstance(function.get("arguments"), str | dict)
        ):
            raise line.wrong(
                f'tool_calls[{at}] is not {{"id": "...", "type": "function", "function": {{"name": "...", '
                '"arguments": "..."}}'
            )


def _require_fields(line: Line) -> None:
    delay_s = line.row.get("delay_seconds", 0)
    plain = isinstance(delay_s, int | float) and not isinstance(delay_s, bool)
    if not plain or not 0 <= delay_s <= _LONGEST_DELAY_S:  # NaN is neither
        raise line.wrong(f"its delay_seconds is no number of seconds from 0 to {_LONGEST_DELAY_S:,}")
    if "system" in line.row and not isinstance(line.row["system"], str):
        raise line.wrong("its system prompt is no text")


def is_text(value: Any) -> bool:
    """Whether a value is a text that says something."""
    return isinstance(value, str) and bool(value)
