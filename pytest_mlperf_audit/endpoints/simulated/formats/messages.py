"""Anthropic's Messages, as vLLM gives them, ids included. Pure."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from ....config.endpoint import SimulatedConfig
from ..exchange import Answer, Ask
from ..model import output
from . import conversation, sse
from .contract import Body, Format, Request, json_body


class _MessagesRequest(msgspec.Struct):
    """What is asked; the API requires `max_tokens`, which the simulated model has no need of."""

    messages: list[dict[str, Any]]
    max_tokens: Annotated[int, msgspec.Meta(ge=1)]
    system: str | list[dict[str, Any]] | None = None
    model: str = ""
    stream: bool | None = None


_REQUEST = msgspec.json.Decoder(_MessagesRequest)


def _read(request: Request) -> Ask:
    asked = _REQUEST.decode(request.body)
    prompt, question = conversation.read(asked.messages, asked.system)
    return request.ask(prompt, question=question, model=asked.model, stream=bool(asked.stream))


def _reply(config: SimulatedConfig, ask: Ask, answer: Answer) -> Body:
    words = output(config, answer)
    content = [{"type": "text", "text": words.text}]
    return json_body(_message(ask, answer, content=content, n_tokens=words.n_reported, stop_reason="end_turn"))


def _events(config: SimulatedConfig, ask: Ask, answer: Answer) -> list[bytes]:
    """Return the events of a streamed reply: its head, each token, then how it ended."""
    words = output(config, answer)
    head = _message(ask, answer, content=[], n_tokens=0, stop_reason=None)
    at_once = _event("message_start", message=head)
    at_once += _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    if words.hasty:
        at_once += _delta(words.hasty)
    end = _event("content_block_stop", index=0)
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    end += _event("message_delta", delta=ended, usage=_usage(answer, words.n_reported))
    return [at_once, *map(_delta, words.pieces), end + _event("message_stop")]


def _message(
    ask: Ask, answer: Answer, *, content: list[dict[str, str]], n_tokens: int, stop_reason: str | None
) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{answer.id}",
        "type": "message",
        "role": "assistant",
        "content": content,
        "model": ask.model,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": _usage(answer, n_tokens),
    }


def _delta(text: str) -> bytes:
    return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def _event(kind: str, **fields: Any) -> bytes:
    return sse.event({"type": kind, **fields}, kind)


def _usage(answer: Answer, n_tokens: int) -> dict[str, int]:
    """Return the counts of tokens; those from the cache are not among the input's."""
    return {
        "input_tokens": answer.n_prompt_words - answer.cached_words,
        "output_tokens": n_tokens,
        "cache_read_input_tokens": answer.cached_words,
    }


def _error(message: str, kind: str) -> bytes:
    return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": message}})


FORMAT = Format(name="messages", paths=("/v1/messages",), read=_read, reply=_reply, events=_events, error=_error)
