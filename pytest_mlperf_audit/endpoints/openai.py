"""`openai`: POST /v1/chat/completions, streamed or not. Pure."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec.structs import replace

from ..config.model_params import ModelParams
from ..runs.script import NO_EDIT, Edit
from .base import Row
from .openai_request import CommonRequest, OpenAIAdapter


class ChatRequest(CommonRequest, kw_only=True, omit_defaults=True):
    """The request body."""

    messages: Any
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    chat_template: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None


Message = dict[str, Any]


class OpenAIChatAdapter(OpenAIAdapter):
    """Chat completions.

    A row has `messages`, or `prompt` (a text, or a list of content parts) and perhaps `system` and `name`; where it
    has both, `messages` is sent. An edit's prompt is the text of the last user message; its lead stands in the first
    message that has text.
    """

    api_type: ClassVar[str] = "openai"
    path: ClassVar[str] = "/v1/chat/completions"
    body: ClassVar[type[CommonRequest]] = ChatRequest
    length_field: ClassVar[str] = "max_completion_tokens"
    prompt_columns = ("prompt", "system", "name")

    def _own_params(self, params: ModelParams) -> dict[str, Any]:
        return {"chat_template_kwargs": params.chat_template_kwargs}

    def _prompt_problem(self, row: Row) -> str | None:
        return _message_problem(row)

    def _prompt(self, given: Row, edit: Edit) -> dict[str, Any]:
        return {"messages": _messages(given, edit)}


def _message_problem(row: Row) -> str | None:
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


def _messages(row: Row, edit: Edit) -> list[Message]:
    if (given := row.get("messages")) is not None:
        messages = [_without_nulls(message) for message in given]
    else:
        messages = [{"role": "system", "content": row["system"]}] if "system" in row else []
        messages.append({"role": "user", "content": row["prompt"]})
        if "name" in row:
            messages[-1]["name"] = row["name"]
    return messages if edit is NO_EDIT else _edited(messages, edit)


def _edited(messages: list[Message], edit: Edit) -> list[Message]:
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


def _without_nulls(message: Message) -> Message:
    """Drop what Parquet adds to every message because another one has it; `content` may be null by the API."""
    return {key: value for key, value in message.items() if value is not None or key == "content"}


def _last_user(messages: list[Message]) -> int | None:
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
