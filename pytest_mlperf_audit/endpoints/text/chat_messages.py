"""Chat messages: those of a row, what is wrong with them, and how an edit changes them. Pure."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ...runs.script import NO_EDIT, Edit
from ..base import Row

_Message = dict[str, Any]


def messages_problem(row: Row) -> str | None:
    """Return what keeps a row from being sent as messages, or None."""
    messages = row.get("messages")
    if messages is None:
        return _content_problem(row.get("prompt"), "column 'prompt'") or _side_column_problem(row)
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return 'column \'messages\' is not a list of messages such as {"role": "user", "content": "..."}'
    for column in ("system", "name"):
        if row.get(column) is not None:
            return f"column {column!r} has no place beside 'messages'; put it into the messages"
    if (last := _last_user(messages)) is None:
        return "column 'messages' has no message with the role 'user'"
    return _content_problem(messages[last].get("content"), "the last user message in column 'messages'")


def _side_column_problem(row: Row) -> str | None:
    if (system := row.get("system")) is not None and (wrong := _content_problem(system, "column 'system'")):
        return wrong
    if not isinstance(row.get("name"), str | None):
        return "column 'name' is not a text"
    return None


def _content_problem(content: Any, where: str) -> str | None:
    if isinstance(content, str):
        return None if content.strip() else f"no text in {where}"
    if isinstance(content, list) and content and all(isinstance(part, dict) and "type" in part for part in content):
        return None
    return f"no text in {where}" if content is None else f"{where} is neither a text nor a list of content parts"


def chat_messages(row: Row, edit: Edit) -> list[_Message]:
    """Return the messages of a row without absent values, changed by `edit`."""
    if (given := row.get("messages")) is None and isinstance(prompt := row["prompt"], str) and "system" not in row:
        content = prompt if edit is NO_EDIT else edit.apply(prompt)
        return [{"role": "user", "content": content, **({"name": row["name"]} if "name" in row else {})}]
    if given is not None:
        messages = [_without_nulls(message) for message in given]
    else:
        messages = [{"role": "system", "content": row["system"]}] if "system" in row else []
        messages.append({"role": "user", "content": row["prompt"]})
        if "name" in row:
            messages[-1]["name"] = row["name"]
    return messages if edit is NO_EDIT else _edited(messages, edit)


def _edited(messages: list[_Message], edit: Edit) -> list[_Message]:
    """Return messages with the lead in the first that has text, and the rest of the edit in the last of the user."""
    last = _last_user(messages)
    if last is None:
        return messages
    first = next((at for at, message in enumerate(messages[:last]) if _text_parts(message.get("content"))), last)
    changed = list(messages)
    if first != last:
        changed[first] = {**messages[first], "content": _each_end(messages[first]["content"], edit, leading=True)}
    content = _each_end(messages[last]["content"], edit, lead=first == last)
    changed[last] = {**messages[last], "content": content}
    return changed


def _without_nulls(message: _Message) -> _Message:
    """Drop what Parquet adds to every message because another one has it; `content` may be null by the API."""
    return {key: value for key, value in message.items() if value is not None or key == "content"}


def _last_user(messages: list[_Message]) -> int | None:
    return next((at for at in reversed(range(len(messages))) if messages[at].get("role") == "user"), None)


def _text_parts(content: Any) -> list[int]:
    """Return which parts of a message's content are texts; a content that is a text is its own part 0."""
    if isinstance(content, str):
        return [0]
    parts = content if isinstance(content, list) else []
    return [at for at, part in enumerate(parts) if isinstance(part, dict) and isinstance(part.get("text"), str)]


def _each_end(content: Any, edit: Edit, *, lead: bool = True, leading: bool = False) -> Any:
    """Return content with its text changed, where it is a list of parts the first text part, or a new one.

    The tail goes behind the last text part, so that all that comes before it can be reused; a text in place of the
    prompt's takes the place of all text parts.
    """
    if isinstance(content, str):
        return edit.leading(content) if leading else edit.apply(content, lead=lead)
    parts, texts = list(content), _text_parts(content)
    if leading:
        _change(parts, texts[0], edit.leading(parts[texts[0]]["text"]))
    elif not texts:
        before = edit.lead if lead else ""
        if text := edit.apply("", lead=lead):
            parts.insert(0 if before or edit.head else len(parts), {"type": "text", "text": text})
    elif len(texts) == 1 or edit.text is not None:
        _change(parts, texts[0], edit.apply(parts[texts[0]]["text"], lead=lead))
        parts = [part for at, part in enumerate(parts) if at not in texts[1:]]
    else:
        start, end = replace(edit, tail=""), replace(edit, lead="", head="")
        _change(parts, texts[0], start.apply(parts[texts[0]]["text"], lead=lead))
        _change(parts, texts[-1], end.apply(parts[texts[-1]]["text"]))
    return parts


def _change(parts: list[Any], at: int, text: str) -> None:
    parts[at] = {**parts[at], "text": text}
