"""`openai`: POST /v1/chat/completions, streamed or not. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from ..config.model_params import ModelParams
from .base import EndpointAdapter, Nonce, ReplyDecoder, Row
from .openai_reply import CompletionDecoder, StreamDecoder
from .rows import nearest, unsendable


class ChatRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The request body: OpenAI's fields and the common extensions of vLLM, SGLang and TensorRT-LLM, in this order."""

    messages: Any
    model: str | None = None
    temperature: float | None = None
    seed: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    ignore_eos: bool | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    n: int | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    user: str | None = None
    chat_template: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None


_STREAM_COLUMNS = {"stream", "stream_options"}
_COLUMNS = {"prompt", "system", "name", *ChatRequest.__struct_fields__} - _STREAM_COLUMNS
_ENCODER = msgspec.json.Encoder()
Message = dict[str, Any]


class OpenAIChatAdapter(EndpointAdapter):
    """Chat completions.

    A row has `messages`, or `prompt` (a text, or a list of content parts) and perhaps `system` and `name`; where it
    has both, `messages` is sent. Columns named as request fields override model_params; an absent value, None, does
    not. Other columns (expected answers, ids) are not sent; one that looks like a misspelt field is a problem.
    """

    api_type: ClassVar[str] = "openai"
    path: ClassVar[str] = "/v1/chat/completions"

    def __init__(self, params: ModelParams, *, streaming: bool = False) -> None:
        super().__init__(params, streaming=streaming)
        self._from_params: dict[str, Any] = {
            "model": params.name or None,
            "temperature": params.temperature,
            "seed": params.seed,
            "top_p": params.top_p,
            "top_k": params.top_k,
            "repetition_penalty": params.repetition_penalty,
            "presence_penalty": params.presence_penalty,
            "frequency_penalty": params.frequency_penalty,
            "max_completion_tokens": params.max_new_tokens,
            "chat_template_kwargs": params.chat_template_kwargs,
        }
        self._stream = {"stream": True, "stream_options": {"include_usage": True}} if streaming else {}

    def problem(self, row: Row) -> str | None:
        """Return what keeps a row from being sent, or None."""
        return _column_problem(row) or _message_problem(row) or unsendable(lambda: self._request(row))

    def encode(self, row: Row, nonce: Nonce | None = None) -> bytes:
        """Return the request body; the nonce stands in the text of the last user message, after any system prompt."""
        return _ENCODER.encode(self._request(row, nonce))

    def decoder(self, *, keep_output: bool = False) -> ReplyDecoder:
        """Return a decoder for one reply."""
        kind: Callable[..., ReplyDecoder] = StreamDecoder if self.streaming else CompletionDecoder
        return kind(keep_output=keep_output)

    def _request(self, row: Row, nonce: Nonce | None = None) -> ChatRequest:
        given = {column: value for column, value in row.items() if value is not None}
        fields = {**self._from_params, **given, **self._stream, "messages": _messages(given, nonce)}
        if "max_tokens" in given and "max_completion_tokens" not in given:
            del fields["max_completion_tokens"]  # the two are one setting, and servers refuse both at once
        return msgspec.convert(fields, ChatRequest, strict=False)  # CSV has every number as text


def _column_problem(row: Row) -> str | None:
    for column in row:
        if column in _STREAM_COLUMNS:
            return f"column {column!r} cannot be set by a row; set model_params.streaming in the YAML"
        if column not in _COLUMNS and (guess := nearest(str(column), _COLUMNS, cutoff=0.85)):
            return f"unknown column {column!r}; did you mean {guess!r}? Rename it, or drop it if it is not to be sent"
    return None


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


def _messages(row: Row, nonce: Nonce | None) -> list[Message]:
    if (given := row.get("messages")) is not None:
        messages = [_without_nulls(message) for message in given]
    else:
        messages = [{"role": "system", "content": row["system"]}] if "system" in row else []
        messages.append({"role": "user", "content": row["prompt"]})
        if "name" in row:
            messages[-1]["name"] = row["name"]
    if nonce is not None and (last := _last_user(messages)) is not None:
        messages[last] = {**messages[last], "content": _with_nonce(messages[last]["content"], nonce)}
    return messages


def _without_nulls(message: Message) -> Message:
    """Drop what Parquet adds to every message because another one has it; `content` may be null by the API."""
    return {key: value for key, value in message.items() if value is not None or key == "content"}


def _last_user(messages: list[Message]) -> int | None:
    return next((at for at in reversed(range(len(messages))) if messages[at].get("role") == "user"), None)


def _with_nonce(content: Any, nonce: Nonce) -> Any:
    """Put the nonce beside the text: before the first text part or behind the last one, if there are parts."""
    if isinstance(content, str):
        return nonce.apply(content)
    parts = list(content)
    texts = [at for at, part in enumerate(parts) if isinstance(part.get("text"), str)]
    first = nonce.position == "prefix"
    if texts:
        at = texts[0 if first else -1]
        parts[at] = {**parts[at], "text": nonce.apply(parts[at]["text"])}
    else:
        parts.insert(0 if first else len(parts), {"type": "text", "text": nonce.text})
    return parts
