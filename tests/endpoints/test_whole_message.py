"""Replies of OpenAI's chat API put together as one message: texts in order of arrival, tool calls by their index."""

from __future__ import annotations

import json

from pytest_mlperf_audit.endpoints.stream import Endings
from pytest_mlperf_audit.endpoints.text.openai_reply import CompletionDecoder, StreamDecoder
from pytest_mlperf_audit.runs.message import AssistantMessage, ToolCall


def streamed(*deltas, keep=True):
    decoder = StreamDecoder(Endings(), keep_output=keep)
    for delta in deltas:
        decoder.feed(b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n", 1)
    decoder.feed(b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n', 2)
    return decoder.finish().message


def whole(message):
    decoder = CompletionDecoder(Endings(), keep_output=True)
    decoder.feed(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode(), 1)
    return decoder.finish()


def call(index, **function):
    return {"tool_calls": [{"index": index, "function": function}]}


def test_texts_in_order_of_arrival():
    made = streamed({"reasoning": "wh"}, {"reasoning_content": "y"}, {"content": "s"}, {"content": "o"})
    assert made == AssistantMessage("so", "why", first_in="reasoning", n_first=2)
    assert made.after_first == "yso"
    assert streamed({"content": "a"}, {"reasoning": "late"}).after_first == "late"
    assert AssistantMessage("abc", n_first=1).after_first == "bc"


def test_parallel_calls_by_index():
    first = {"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "two", "arguments": ""}}]}
    made = streamed(
        first, call(0, name="one"), call(1, arguments="{}"), call(0, arguments='{"a"'), call(0, arguments=":1}")
    )
    assert made.tool_calls == (ToolCall("one", '{"a":1}'), ToolCall("two", "{}", "b", "function"))
    assert (made.content, made.first_in, made.n_first) == ("", "tools", 3)


def test_one_document():
    calls = [{"id": "x", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}]
    made = whole({"content": None, "reasoning": "why", "tool_calls": calls}).message
    assert made == AssistantMessage("", "why", (ToolCall("f", '{"a":1}', "x", "function"),), first_in="reasoning")
    assert made.after_first == "", "a document has no first piece"
    assert whole({"content": None, "function_call": {"name": "f", "arguments": "1"}}).message.tool_calls == (
        ToolCall("f", "1"),
    )
    assert whole({"content": None, "refusal": "no"}).message.content == "no"


def test_a_text_alone_is_its_output():
    assert (whole({"content": "just this"}).message, whole({"content": "just this"}).output) == (None, "just this")
    assert streamed({"content": "a"}, {"content": "b"}) is None
    assert streamed({"reasoning": "a"}, {"content": "b"}, keep=False) is None
