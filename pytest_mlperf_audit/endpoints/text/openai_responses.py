"""`openai_responses`: POST /v1/responses, streamed or not. Pure.

Fields: OpenAI's API reference, "Create a model response", and the extensions of vLLM. `stream` is always sent, since
`transformers serve` streams where it is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import msgspec

from ...runs.script import Edit
from ..base import Row, n_words
from .chat_messages import chat_messages, messages_problem
from .responses_reply import ResponseDecoder, ResponseStreamDecoder
from .text_requests import CHAT_COLUMNS, TextAdapter, chat_only_problem, image_url, parts_in_form


class _ResponsesRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The body of a request."""

    input: str | list[dict[str, Any]]
    stream: bool
    model: str | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    ignore_eos: bool | None = None
    stop: str | list[str] | None = None
    logit_bias: dict[str, float] | None = None
    reasoning: dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    truncation: str | None = None
    include: list[str] | None = None
    store: bool | None = None
    user: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None


class OpenAIResponsesAdapter(TextAdapter):
    """Responses, each of one request: nothing is taken from earlier ones (`previous_response_id` is not sent).

    A row has `input`, a text or a list of items, or else `messages` or `prompt` as for `openai`; the first of these
    that it has is sent. `instructions`, or `system` beside `prompt`, stand before all else. An edit's prompt is the
    text of the user's last message; its lead stands in the first message that has text, instructions included.
    """

    api_type: ClassVar[str] = "openai_responses"
    path = "/v1/responses"
    body = _ResponsesRequest
    own_columns: ClassVar[Collection[str]] = ("input",)
    prompt_columns = CHAT_COLUMNS
    limit_field = "max_output_tokens"
    aliases: ClassVar[Mapping[str, str]] = {
        "max_tokens": "max_output_tokens",
        "max_completion_tokens": "max_output_tokens",
    }
    objects = ("reasoning", "text")
    decoders = (ResponseStreamDecoder, ResponseDecoder)

    def n_words(self, row: Row) -> int:
        """Return how many words an edit of a row without a problem finds in its prompt."""
        return super().n_words(row) if row.get("input") is None else n_words(row["input"])

    def _prompt_problem(self, row: Row) -> str | None:
        if row.get("instructions") is not None and row.get("system") is not None:
            return "columns 'instructions' and 'system' are the same; leave one out"
        if (given := row.get("input")) is None:
            return messages_problem(row) or chat_only_problem(row)
        if isinstance(given, str):
            return None if given.strip() else "no text in column 'input'"
        if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
            return "column 'input' is neither a text nor a list of items"
        wrong = messages_problem({"messages": given})
        return None if wrong is None else wrong.replace("'messages'", "'input'").replace("messages such as", "items as")

    def _prompt(self, given: Row, edit: Edit) -> dict[str, Any]:
        """Return instructions and input, edited as the messages that they are."""
        own, instructions = given.get("input"), given.get("instructions")
        if isinstance(own, str):
            own = [{"role": "user", "content": own}]
        if own is None and "messages" not in given:
            instructions = instructions if instructions is not None else given.get("system")
            own = [{"role": "user", "content": given["prompt"]}]
        messages = list(given["messages"] if own is None else own)
        if instructions is not None:
            messages.insert(0, {"role": "system", "content": instructions})
        messages = chat_messages({"messages": messages}, edit)
        if instructions is None:
            return {"input": _as_input(messages)}
        return {"instructions": _as_text(messages[0]["content"]), "input": _as_input(messages[1:])}


def _as_text(content: Any) -> Any:
    """Return instructions as the one text that they are here; what is no text is left for the check to find."""
    if isinstance(content, list) and all(isinstance(part.get("text"), str) for part in content):
        return "\n".join(part["text"] for part in content)
    return content


def _as_input(items: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Return items in this API's form; the text of a lone message of the user for itself."""
    if len(items) == 1 and items[0].keys() == {"role", "content"} and isinstance(items[0]["content"], str):
        return str(items[0]["content"])
    return [_item(item) for item in items]


def _item(item: dict[str, Any]) -> dict[str, Any]:
    if "role" not in item or "content" not in item:
        return item
    text_type = "output_text" if item["role"] == "assistant" else "input_text"

    def convert(part: Mapping[str, Any]) -> Mapping[str, Any]:
        if part.get("type") == "text":
            return {**part, "type": text_type}
        if (url := image_url(part)) is None:
            return part
        image = part["image_url"]
        detail = image.get("detail") if isinstance(image, Mapping) else None
        return {"type": "input_image", "image_url": url, "detail": detail or "auto"}

    return {**item, "content": parts_in_form(item["content"], convert)}
