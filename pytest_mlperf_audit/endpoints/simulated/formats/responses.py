"""OpenAI's Responses, as vLLM gives them. Pure; a stream has the text four times, and no [DONE]."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from ....config.endpoint import SimulatedConfig
from ..exchange import Answer, Ask
from ..model import Output, output
from . import conversation, sse
from .contract import Body, Format, Request, json_body


class _ResponsesRequest(msgspec.Struct):
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    model: str = ""
    stream: bool | None = None


_REQUEST = msgspec.json.Decoder(_ResponsesRequest)


def _read(request: Request) -> Ask:
    """Read a text, which is what the user says, or the items of a conversation."""
    asked = _REQUEST.decode(request.body)
    messages = [{"role": "user", "content": asked.input}] if isinstance(asked.input, str) else asked.input
    prompt, question = conversation.read(messages, asked.instructions)
    return request.ask(prompt, question=question, model=asked.model, stream=bool(asked.stream))


def _reply(config: SimulatedConfig, ask: Ask, answer: Answer) -> Body:
    return json_body(_completed(ask, answer, output(config, answer)))


def _events(config: SimulatedConfig, ask: Ask, answer: Answer) -> list[bytes]:
    """Return the events of a streamed reply: all that stands before the text, each token, then the text in whole."""
    words = output(config, answer)
    numbers = itertools.count()

    def event(kind: str, **fields: Any) -> bytes:
        return sse.event({"type": f"response.{kind}", "sequence_number": next(numbers), **fields}, f"response.{kind}")

    begun = _response(ask, answer, "in_progress")
    at_item = {"output_index": 0}
    at_part = {"item_id": _item_id(answer), "output_index": 0, "content_index": 0}
    at_once = event("created", response=begun) + event("in_progress", response=begun)
    at_once += event("output_item.added", **at_item, item=_item(answer, "in_progress", []))
    at_once += event("content_part.added", **at_part, part=_part(""))
    if words.hasty:
        at_once += event("output_text.delta", **at_part, delta=words.hasty, logprobs=[])
    tokens = [event("output_text.delta", **at_part, delta=piece, logprobs=[]) for piece in words.pieces]
    part = _part(words.text)
    end = event("output_text.done", **at_part, text=words.text, logprobs=[])
    end += event("content_part.done", **at_part, part=part)
    end += event("output_item.done", **at_item, item=_item(answer, "completed", [part]))
    return [at_once, *tokens, end + event("completed", response=_completed(ask, answer, words))]


def _completed(ask: Ask, answer: Answer, words: Output) -> dict[str, Any]:
    item = _item(answer, "completed", [_part(words.text)])
    return {**_response(ask, answer, "completed"), "output": [item], "usage": _usage(answer, words)}


def _response(ask: Ask, answer: Answer, status: str) -> dict[str, Any]:
    """Return a response without what becomes of it."""
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": answer.created_s,
        "model": ask.model,
        "status": status,
        "incomplete_details": None,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }


def _item_id(answer: Answer) -> str:
    return f"msg_{answer.id}"


def _item(answer: Answer, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": _item_id(answer), "type": "message", "role": "assistant", "status": status, "content": content}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": None}


def _usage(answer: Answer, words: Output) -> dict[str, Any]:
    """Return the counts of tokens; those from the cache are among the input's."""
    return {
        "input_tokens": answer.n_prompt_words,
        "input_tokens_details": {"cached_tokens": answer.cached_words, "cache_write_tokens": 0},
        "output_tokens": words.n_reported,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.n_prompt_words + words.n_reported,
    }


FORMAT = Format(name="responses", paths=("/v1/responses",), read=_read, reply=_reply, events=_events)
