"""Conversations: a file of messages, one a line, as rows that each are a client's turn with the history before it.

A line has `conversation_id`, `turn` (1, 2, 3, ...), `role` (user, assistant or tool) and, by its role, `content`,
`tool_calls`, `tool_results`, `reasoning_content` and `name`; `system` is the conversation's system prompt, wherever it
stands. A client's line may have `delay_seconds`, `tools` and other fields of a request.
Source: mlcommons/endpoints `dataset_manager/agentic_inference_dataset.py` and
`scripts/agentic_inference_dataset_schema.json`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ..config.dataset import DatasetConfig
from ..errors import DatasetError
from .conversation_lines import Line, conversation_of, is_text, require_next
from .dataset import Dataset, Rows, find_file, format_of
from .formats import READERS

_CLIENT: Final = frozenset({"user", "tool"})
_OF_MESSAGE: Final = ("role", "content", "name", "tool_calls", "reasoning_content")
#: Columns of a line that are no field of a request.
_NOT_SENT: Final = frozenset({*_OF_MESSAGE, "_type", "system", "tool_results"})
#: Fields that a conversation's first line gives to its later turns, where these have none of their own.
_INHERITED: Final = ("model", "max_completion_tokens", "max_tokens", "max_new_tokens", "tools")
_LIMITS: Final = ("max_completion_tokens", "max_tokens")


class Conversations(Dataset):
    """Rows of a client's turns. Messages are held once, and a row's history is put together when it is asked for.

    `turns` has the number of turns of each conversation.
    """

    of_conversations = True

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name, path, Rows(), "line")
        self.turns: list[int] = []
        self._messages = Rows()
        self._inherited = Rows()
        #: Of each turn: its conversation, and where its messages begin and end.
        self._of = array("L")
        self._first, self._end = array("L"), array("L")
        self._quick: dict[str, array[Any]] = {"turn": array("L"), "delay_seconds": array("d")}

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self._row(index, range(self._first[index], self._end[index]))

    def pieces(self, n_bytes: int) -> Iterator[tuple[bytes, tuple[int, ...]]]:
        """Raise NotImplementedError: one process sends conversations, which the configuration has seen to."""
        raise NotImplementedError("conversations are sent by one process")

    def column(self, index: int, name: str) -> Any:
        """Return what a row has in a column, the messages aside, None for nothing."""
        if name in self._quick:  # asked for between a reply and the next turn, where no row should be decoded
            return self._quick[name][index]
        found = self._rows[index].get(name)
        return self._inherited[self._of[index]].get(name) if found is None else found

    def to_check(self, index: int) -> Mapping[str, Any]:
        """Return a row with the first of its messages and those that the turn before it did not have.

        What it inherits is looked at with the conversation's first turn alone.
        """
        start, before = self._first[index], index - 1
        since = self._end[before] if before >= 0 and self._of[before] == self._of[index] else start
        opening = range(start, min(since, self._opening_end(start)))
        messages = [self._messages[at] for at in (*opening, *range(since, self._end[index]))]
        inherited = self._inherited[self._of[index]] if since == start else {}
        return {**inherited, **self._rows[index], "messages": messages}

    def of_each(self) -> Dataset:
        """Return a data set with one row for each conversation: its middle turn. Nothing of it is copied."""
        firsts, rows = 0, []
        for n_turns in self.turns:
            rows.append(firsts + n_turns // 2)
            firsts += n_turns
        return _Chosen(self, rows)

    def _opening_end(self, start: int) -> int:
        """Return where a conversation's system prompt and first message end."""
        return start + 1 + (self._messages[start].get("role") == "system")

    def _row(self, index: int, messages: Sequence[int]) -> dict[str, Any]:
        own, inherited = self._rows[index], self._inherited[self._of[index]]
        if any(name in own for name in _LIMITS):
            inherited = {name: value for name, value in inherited.items() if name not in _LIMITS}
        return {**inherited, **own, "messages": [self._messages[at] for at in messages]}

    def begin(self, lines: Sequence[Line]) -> None:
        """Add a conversation whose lines have been checked."""
        start, conversation = len(self._messages), len(self.turns)
        system = next((line.row["system"] for line in lines if is_text(line.row.get("system"))), None)
        if system is not None:
            self._messages.append({"role": "system", "content": system}, lines[0].number)
        given = {name: lines[0].row[name] for name in _INHERITED if lines[0].row.get(name) is not None}
        self._inherited.append(_limited(given), lines[0].number)
        n_turns = 0
        for line in lines:
            for message in _messages(line.row):
                self._messages.append(message, line.number)
            if line.row["role"] in _CLIENT:
                n_turns += 1
                fields = {
                    name: value for name, value in line.row.items() if name not in _NOT_SENT and value is not None
                }
                if line is lines[0]:
                    fields = {name: value for name, value in fields.items() if name not in given}
                self._rows.append(_limited(fields), line.number)
                self._of.append(conversation)
                self._quick["turn"].append(line.row["turn"])
                self._quick["delay_seconds"].append(line.row.get("delay_seconds", 0.0))
                self._first.append(start)
                self._end.append(len(self._messages))
        self.turns.append(n_turns)


class _Chosen(Dataset):
    """Some rows of a data set."""

    of_conversations = True

    def __init__(self, dataset: Conversations, rows: Sequence[int]) -> None:
        super().__init__(f"{dataset.name} (the middle turn of each conversation)", dataset.path, Rows(), "line")
        self._dataset = dataset
        self._chosen = rows

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self._dataset[self._at(index)]

    def column(self, index: int, name: str) -> Any:
        """Return what a row has in a column, None for nothing."""
        return self._dataset.column(self._at(index), name)

    def where(self, index: int) -> str:
        """Return where a row stands, for a message."""
        return self._dataset.where(self._at(index))

    def _at(self, index: int) -> int:
        if not 0 <= index < len(self._chosen):
            raise IndexError(f"conversation {index} of a data set of {len(self._chosen)}")
        return self._chosen[index]


def load_conversations(config: DatasetConfig, search: Sequence[Path]) -> Conversations:
    """Load a file of conversations. Raises DatasetError: no such file, or a line that is wrong, with the cure."""
    path = find_file(config, search)
    for key in ("samples", "parser", "template"):
        if getattr(config, key) is not None:
            raise DatasetError(
                f"data set {config.name!r}: {key} has no meaning for conversations; take it out (how many are played "
                "is agentic_inference.num_trajectories_to_issue)",
                key=key,
            )
    read, unit = READERS[format_of(config, path)]
    found, known, lines = Conversations(config.name, path), set[str](), list[Line]()
    try:
        for row, number, _ in read(path):
            if row.get("_type") == "dataset_metadata":
                continue
            line = Line(path, unit, {name: value for name, value in row.items() if value is not None}, number)
            name = conversation_of(line)
            if lines and name != lines[0].row["conversation_id"]:
                found.begin(lines)
                lines = []
            if not lines and name in known:
                raise line.wrong("its conversation has other lines further up; put all lines of one together")
            known.add(name)
            require_next(line, lines[-1] if lines else None, len(lines) + 1)
            lines.append(line)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); check its permissions", key="path") from None
    if not lines:
        raise DatasetError(f"{path}: holds no conversation; check that this is the right file", key="path")
    found.begin(lines)
    return found


def _messages(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the messages of a line: one, or one for each result of a tool."""
    if row["role"] == "tool":
        for result in row["tool_results"]:
            yield {"role": "tool", "tool_call_id": result["tool_call_id"], "content": result["content"]}
        return
    message = {name: row[name] for name in _OF_MESSAGE if name in row}
    if "tool_calls" in message:
        message.setdefault("content", None)
    yield message


def _limited(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields with `max_new_tokens`, the endpoints tool's name for it, as the API has it."""
    limit = fields.pop("max_new_tokens", None)
    if limit is not None and not any(name in fields for name in _LIMITS):
        fields["max_completion_tokens"] = limit
    return fields
