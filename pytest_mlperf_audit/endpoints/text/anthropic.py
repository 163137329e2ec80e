"""`anthropic`: POST /v1/messages, streamed or not. Pure.

Fields: Anthropic's API reference, "Create a Message"; servers of other models take them as far as they know them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from ...runs.script import Edit
from ..base import Row
from .anthropic_reply import MessageDecoder, MessageStreamDecoder
from .chat_messages import chat_messages, messages_problem
from .text_requests import CHAT_COLUMNS, TextAdapter, chat_only_problem, image_url, parts_in_form, without_system

_HEADERS: Mapping[str, str] = {**TextAdapter.headers, "anthropic-version": "2023-06-01"}
_DATA_URL = re.compile(r"data:(?P<kind>[\w.+/-]+);base64,(?P<data>.*)", re.DOTALL)


class _MessagesRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The body of a request."""

    messages: list[dict[str, Any]]
    max_tokens: int
    stream: bool = False
    model: str | None = None
    system: str | list[dict[str, Any]] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop_sequences: list[str] | None = None
    thinking: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    service_tier: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None


class AnthropicAdapter(TextAdapter):
    """Messages. A row has `messages` or `prompt`, and `system`, as for `openai`.

    System messages that `messages` begin with are sent as `system`, which is where the API has them. An edit's prompt
    is the text of the user's last message; its lead stands in the first message that has text, the system's included.
    """

    api_type: ClassVar[str] = "anthropic"
    path = "/v1/messages"
    headers = _HEADERS
    key_headers: ClassVar[Mapping[str, str]] = {**TextAdapter.key_headers, "x-api-key": "{key}"}
    body = _MessagesRequest
    prompt_columns = CHAT_COLUMNS
    limit_field = "max_tokens"
    aliases: ClassVar[Mapping[str, str]] = {
        "max_output_tokens": "max_tokens",
        "max_completion_tokens": "max_tokens",
        "stop": "stop_sequences",
    }
    objects = ("thinking",)
    decoders = (MessageStreamDecoder, MessageDecoder)

    def _prompt_problem(self, row: Row) -> str | None:
        if self.token_limit(row) is None:
            return "no limit on the output, which this API requires; set model_params.max_new_tokens"
        columns = CHAT_COLUMNS if row.get("messages") is None else ("messages",)
        return messages_problem({column: row.get(column) for column in columns}) or chat_only_problem(row)

    def _given(self, row: Row) -> dict[str, Any]:
        given = super()._given(row)
        if isinstance(stop := given.get("stop_sequences"), str):
            given["stop_sequences"] = [stop]
        return given

    def _prompt(self, given: Row, edit: Edit) -> dict[str, Any]:
        """Return system and messages, edited as the messages that they are."""
        row = {column: given[column] for column in CHAT_COLUMNS if column in given}
        if "messages" in row and "system" in row:
            row = {"messages": [{"role": "system", "content": row["system"]}, *row["messages"]]}
        systems, messages = without_system(chat_messages(row, edit))
        said = {"messages": [_message(message) for message in messages]}
        return {**said, "system": _system(systems)} if systems else said


def _system(contents: list[Any]) -> Any:
    """Return the contents of system messages as the one that there may be: a text, or blocks."""
    if len(contents) == 1:
        return parts_in_form(contents[0], _block)
    blocks = ([{"type": "text", "text": one}] if isinstance(one, str) else list(one or ()) for one in contents)
    return [_block(part) for parts in blocks for part in parts]


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    return {**message, "content": parts_in_form(message.get("content"), _block)}


def _block(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part of a content as this API's block: chat completions have images by URL, with the bytes in it."""
    if (url := image_url(part)) is None:
        return part
    if (data := _DATA_URL.fullmatch(url)) is None:
        return {"type": "image", "source": {"type": "url", "url": url}}
    return {"type": "image", "source": {"type": "base64", "media_type": data["kind"], "data": data["data"]}}
