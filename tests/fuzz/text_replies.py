"""Replies of Responses and Messages, whole and streamed, of which the fuzz makes its bodies."""

from __future__ import annotations

from typing import Any


def _response(*items: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    usage = {"input_tokens": 9, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 4}}
    return {"id": "r-1", "object": "response", "model": "m", "status": status, "output": list(items), "usage": usage}


def _said(text: str) -> dict[str, Any]:
    return {"type": "message", "id": "m1", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def _blocks(*blocks: dict[str, Any], stop: str | None = "end_turn") -> dict[str, Any]:
    usage = {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 3}
    return {
        "id": "msg-1",
        "type": "message",
        "model": "m",
        "content": list(blocks),
        "stop_reason": stop,
        "usage": usage,
    }


_CALLED = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "look", "arguments": '{"at": "sky"}'}
_THOUGHT = {"type": "reasoning", "id": "t1", "summary": [{"type": "summary_text", "text": "Well."}]}


def _event(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": kind, **members}


_TEXT_DELTA = "response.output_text.delta"
_BLOCK = "content_block_delta"

_READ = {"prompt_tokens": 4, "total_tokens": 4}
RESPONSES: tuple[dict[str, Any], ...] = (
    _response(_said("It is \u00fcber 9 \U0001f600.")),
    _response(_THOUGHT, _CALLED, status="incomplete") | {"incomplete_details": {"reason": "max_output_tokens"}},
)
MESSAGES: tuple[dict[str, Any], ...] = (
    _blocks({"type": "text", "text": "It is \u00fcber 9 \U0001f600."}),
    _blocks(
        {"type": "thinking", "thinking": "Well.", "signature": "c2ln"},
        {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "sky"}},
        stop="tool_use",
    ),
)
VECTORS: tuple[dict[str, Any], ...] = (
    {"id": "e1", "object": "list", "model": "m", "data": [{"index": 0, "embedding": [0.5, -1e-9]}], "usage": _READ},
    {"data": [{"index": 1, "embedding": "AACAPw=="}, {"index": 0, "embedding": "AACAPw=="}]},
)
RANKINGS: tuple[dict[str, Any], ...] = (
    {
        "id": "s1",
        "results": [{"index": 1, "relevance_score": 0.5}, {"index": 0, "relevance_score": -2}],
        "usage": _READ,
    },
)
RESPONSE_STREAMS: tuple[tuple[dict[str, Any], ...], ...] = (
    (
        _event("response.created", response={"id": "r-1", "status": "in_progress"}),
        _event(_TEXT_DELTA, delta="It ", item_id="m1"),
        _event(_TEXT_DELTA, delta="\u00fc\U0001f600", item_id="m1"),
        _event("response.output_text.done", text="It \u00fc\U0001f600", item_id="m1"),
        _event("response.completed", response=_response(_said("It \u00fc\U0001f600"))),
    ),
    (
        _event("response.reasoning_text.delta", delta="Hm"),
        _event("response.output_item.added", item={**_CALLED, "arguments": ""}, output_index=1),
        _event("response.function_call_arguments.delta", delta='{"at": "sky"}', output_index=1),
        _event("response.output_item.done", item=_CALLED, output_index=1),
        _event("response.incomplete", response=_response(_THOUGHT, _CALLED, status="incomplete")),
    ),
)
MESSAGE_STREAMS: tuple[tuple[dict[str, Any], ...], ...] = (
    (
        _event("message_start", message=_blocks(stop=None)),
        _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        _event("ping"),
        _event(_BLOCK, index=0, delta={"type": "text_delta", "text": "It \u00fc\U0001f600"}),
        _event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3}),
        _event("message_stop"),
    ),
    (
        _event("message_start", message=_blocks(stop=None)),
        _event(_BLOCK, index=0, delta={"type": "thinking_delta", "thinking": "Hm"}),
        _event("content_block_start", index=1, content_block={"type": "tool_use", "id": "c1", "name": "look"}),
        _event(_BLOCK, index=1, delta={"type": "input_json_delta", "partial_json": '{"at": "sky"}'}),
        _event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 3}),
        _event("message_stop"),
    ),
)
