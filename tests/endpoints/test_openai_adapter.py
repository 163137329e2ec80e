from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply, digest
from pytest_mlperf_audit.endpoints.registry import shipped
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit

ADAPTER = OpenAIChatAdapter(ModelParams(name="llama", max_new_tokens=8))


def sent(row: dict[str, Any], edit: Edit = NO_EDIT) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(ADAPTER.encode(row, edit))
    return body


def decode(body: bytes, *, keep_output: bool = False) -> Reply:
    decoder = ADAPTER.decoder(keep_output=keep_output)
    for start in range(0, len(body), 1000):
        decoder.feed(body[start : start + 1000], 0)
    return decoder.finish()


def reply(message: dict[str, Any] | None, **fields: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"id": "c1", "choices": [choice], **fields}).encode()


def refusal(body: bytes) -> BadReplyError:
    with pytest.raises(BadReplyError) as caught:
        decode(body)
    assert len(caught.value.detail) <= 200
    assert caught.value.detail.isprintable()
    return caught.value


def test_every_shipped_adapter_stands_in_the_page_on_formats_once():
    types = [adapter.api_type for adapter in shipped()]
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
    rows = re.findall(r"^\| \[?`(\w+)`", page, re.MULTILINE)
    assert sorted([*types, "api_type"]) == sorted(rows)
    assert len(set(types)) == len(types)


def test_unset_parameters_are_left_out():
    assert sent({"prompt": "hi"}) == {
        "messages": [{"role": "user", "content": "hi"}],
        "model": "llama",
        "max_completion_tokens": 8,
    }
    assert "model" not in json.loads(OpenAIChatAdapter(ModelParams()).encode({"prompt": "hi"}))


def test_every_parameter_of_the_model_is_sent():
    fields: dict[str, Any] = {"temperature": 0.0, "seed": 3, "top_p": 0.9, "top_k": 5, "repetition_penalty": 1.1}
    fields |= {"presence_penalty": 0.1, "frequency_penalty": 0.2, "chat_template_kwargs": {"enable_thinking": False}}
    body = json.loads(OpenAIChatAdapter(ModelParams(name="m", **fields)).encode({"prompt": "hi"}))
    assert {key: body[key] for key in fields} == fields
    assert body["max_completion_tokens"] == 1024


def test_streaming_asks_for_usage():
    body = json.loads(OpenAIChatAdapter(ModelParams(name="m"), streaming=True).encode({"prompt": "hi"}))
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_columns_of_the_api_pass_through_and_others_do_not():
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"z": 1, "a": 2}}}]
    row = {"prompt": "p", "system": "s", "name": "Bob", "tools": tools, "tool_choice": "auto", "stop": ["x"], "n": 1}
    row |= {"logit_bias": {"5": -1.0}, "user": "u", "chat_template": "t", "seed": "9", "answer": "42", "top_p": None}
    body = sent(row)
    assert body["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "p", "name": "Bob"}]
    for column in ("tools", "tool_choice", "stop", "n", "logit_bias", "user", "chat_template"):
        assert body[column] == row[column]
    assert body["seed"] == 9
    assert not {"answer", "top_p", "prompt", "system", "name"} & body.keys()
    assert json.dumps(tools, separators=(",", ":")).encode() in ADAPTER.encode(row), "tools keep the row's key order"


def test_max_tokens_of_a_row_replaces_the_other_spelling():
    body = sent({"prompt": "p", "max_tokens": 5})
    assert body["max_tokens"] == 5
    assert "max_completion_tokens" not in body
    assert sent({"prompt": "p", "max_completion_tokens": 5})["max_completion_tokens"] == 5


def test_messages_go_as_they_are_without_the_nulls_of_parquet():
    messages = [
        {"role": "user", "content": "a", "tool_calls": None},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "user", "content": "b", "tool_calls": None},
    ]
    assert sent({"messages": messages, "prompt": "unused"})["messages"] == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "user", "content": "b"},
    ]


def test_the_order_of_columns_does_not_change_the_bytes():
    row = {"prompt": "p", "system": "s", "seed": 1, "user": "u", "n": 2}
    assert ADAPTER.encode(row) == ADAPTER.encode(dict(reversed(row.items()))) == ADAPTER.encode(row)


SYSTEM_AND_USER = {"prompt": "b c d", "system": "s t"}


@pytest.mark.parametrize(
    ("edit", "system", "user"),
    [
        (Edit(lead="5eed"), "5eed s t", "b c d"),
        (Edit(head="5eed"), "s t", "5eed b c d"),
        (Edit(tail="5eed"), "s t", "b c d 5eed"),
        (Edit(lead="l", head="h", text="x", tail="t"), "l s t", "h x t"),
        (Edit(lead="l", head="h", tail="t", in_place=True), "l t", "h c t"),
        (Edit(max_tokens=9), "s t", "b c d"),
    ],
)
def test_an_edit_leads_the_conversation_and_changes_what_the_user_says_last(edit, system, user):
    row = {**SYSTEM_AND_USER, "user": "u"}
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    assert sent(row, edit) == {**sent(row), "messages": messages}


@pytest.mark.parametrize(
    ("edit", "contents"),
    [
        (Edit(lead="5eed"), ["5eed a", "x", "b"]),
        (Edit(head="5eed"), ["a", "x", "5eed b"]),
        (Edit(tail="5eed"), ["a", "x", "b 5eed"]),
    ],
)
def test_an_edit_of_a_conversation(edit, contents):
    said = [("user", "a"), ("assistant", "x"), ("user", "b")]
    messages: list[dict[str, Any]] = [{"role": role, "content": content} for role, content in said]
    assert [message["content"] for message in sent({"messages": messages}, edit)["messages"]] == contents
    assert [message["content"] for message in messages] == ["a", "x", "b"], "the row itself is left alone"
    messages.insert(0, {"role": "system", "content": None})
    assert [message["content"] for message in sent({"messages": messages}, edit)["messages"]] == [None, *contents]


def test_an_edit_of_content_parts():
    image = {"type": "image_url", "image_url": {"url": "data:,x"}}
    a, b = ({"type": "text", "text": text} for text in "ab")

    def parts(prompt: list[Any], edit: Edit, **columns: Any) -> list[Any]:
        content = sent({"prompt": prompt, **columns}, edit)["messages"][-1]["content"]
        return [part.get("text", "image") for part in content]

    assert parts([a, image, b], Edit(lead="l", head="h", tail="t")) == ["l h a", "image", "b t"]
    assert parts([a, image, b], Edit(head="h", text="x", tail="t")) == ["h x t", "image"]
    assert parts([image, a], Edit(lead="l", tail="t")) == ["image", "l a t"]
    assert parts([image], Edit(lead="5eed")) == parts([image], Edit(head="5eed")) == ["5eed", "image"]
    assert parts([image], Edit(tail="5eed")) == ["image", "5eed"]
    assert parts([image], Edit(lead="5eed", tail="t"), system="s") == ["image", "t"]
    assert parts([image], Edit(lead="5eed"), system="s") == ["image"]
    assert parts([image], Edit(max_tokens=3)) == ["image"]
    system = sent({"prompt": "p", "system": [a, b]}, Edit(lead="l"))["messages"][0]["content"]
    assert [part["text"] for part in system] == ["l a", "b"]
    odd = {"messages": [{"role": "system", "content": ["no part"]}, {"role": "user", "content": "p"}]}
    assert sent(odd, Edit(lead="l"))["messages"][1]["content"] == "l p"


@pytest.mark.parametrize(
    ("columns", "limits"),
    [
        ({}, {"max_completion_tokens": 5}),
        ({"max_tokens": "7"}, {"max_tokens": 5}),
        ({"max_tokens": 3}, {"max_tokens": 3}),
        ({"max_tokens": 7, "max_completion_tokens": 6}, {"max_tokens": 5, "max_completion_tokens": 5}),
        ({"min_tokens": 6}, {"max_completion_tokens": 5, "min_tokens": 5}),
    ],
)
def test_an_edit_lowers_every_limit_on_output_tokens(columns, limits):
    body = sent({"prompt": "p", **columns}, Edit(max_tokens=5))
    assert {key: value for key, value in body.items() if key.endswith("_tokens")} == limits
    assert sent({"prompt": "p"}, Edit(max_tokens=99))["max_completion_tokens"] == 8


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({}, "no text in column 'prompt'"),
        ({"prompt": " "}, "no text in column 'prompt'"),
        ({"prompt": 5}, "column 'prompt' is neither a text nor a list of content parts"),
        ({"prompt": ["text"]}, "column 'prompt' is neither a text nor a list of content parts"),
        ({"prompt": "p", "system": 5}, "column 'system' is neither"),
        ({"prompt": "p", "name": 5}, "column 'name' is not a text"),
        ({"prompt": "p", "temprature": 1}, "unknown column 'temprature'; did you mean 'temperature'?"),
        ({"prompt": "p", "stream": True}, "column 'stream' cannot be set by a row"),
        ({"prompt": "p", "seed": "many"}, "column 'seed': expected int | null, got str"),
        ({"prompt": "p", "temperature": float("nan")}, "a value cannot be sent as JSON"),
        ({"prompt": "p", "logit_bias": {"1": float("inf")}}, "a value cannot be sent as JSON"),
        ({"prompt": "p", "tools": [{"a": object()}]}, "a value cannot be sent as JSON"),
        ({"prompt": "half \ud800"}, "half of a surrogate pair"),
        ({"messages": "hi"}, "column 'messages' is not a list of messages"),
        ({"messages": []}, "column 'messages' has no message with the role 'user'"),
        ({"messages": [{"role": "user", "content": None}]}, "no text in the last user message in column 'messages'"),
        ({"messages": [{"role": "user", "content": "a"}], "system": "s"}, "column 'system' has no place beside"),
    ],
)
def test_a_row_that_cannot_be_sent_is_named(row, problem):
    assert problem in (ADAPTER.problem(row) or "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
EDITS = st.sampled_from(
    [Edit(lead="5eed"), Edit(head="5eed"), Edit(tail="5eed", in_place=True), Edit(text="5eed", max_tokens=1)]
)
COLUMNS = st.sampled_from(["prompt", "system", "messages", "name", "seed", "stop", "tools", "logit_bias", "user", "zz"])


@given(st.dictionaries(COLUMNS, JSON | st.just([{"role": "user", "content": "x"}]), max_size=5), EDITS)
def test_a_row_has_a_problem_or_can_be_sent(row, edit):
    if ADAPTER.problem(row) is None:
        assert json.loads(ADAPTER.encode(row))["messages"]
        assert b"5eed" in ADAPTER.encode(row, edit)
        assert ADAPTER.encode(row) == ADAPTER.encode(row) != ADAPTER.encode(row, edit)


def test_a_reply():
    usage = {"completion_tokens": 7, "prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 3}}
    got = decode(reply({"role": "assistant", "content": "hello"}, usage=usage), keep_output=True)
    assert got == Reply(
        digest=digest(b"hello"),
        id="c1",
        output="hello",
        tokens=7,
        prompt_tokens=9,
        cached_tokens=3,
        finish_reason="stop",
    )
    assert decode(reply({"content": "hello"}, usage=None)).output is None


@pytest.mark.parametrize(
    ("message", "output"),
    [
        ({"reasoning_content": "why"}, "why"),
        ({"reasoning": "why", "content": None}, "why"),
        ({"refusal": "no"}, "no"),
        ({"tool_calls": [{"id": "1", "function": {"name": "look", "arguments": "{}"}}]}, "look{}"),
        ({"reasoning": "why", "content": "so"}, "so"),
    ],
)
def test_what_counts_as_output(message, output):
    got = decode(reply(message), keep_output=True)
    assert got.output == output
    assert got.digest != decode(reply({"content": "other"})).digest
    assert got.digest == decode(reply(message, id="c2")).digest


def test_the_first_of_several_choices_is_the_output():
    choices = [{"index": 1, "message": {"content": "b"}}, {"index": 0, "message": {"content": "a"}}]
    assert decode(json.dumps({"choices": choices, "usage": {"completion_tokens": 1}}).encode()).digest == digest(b"a")


def test_an_empty_answer_that_took_tokens_is_an_answer():
    got = decode(reply({"content": ""}, usage={"completion_tokens": 1}))
    assert (got.tokens, got.finish_reason) == (1, "stop")
    assert refusal(reply({"content": ""}, usage={"completion_tokens": 0})).reason == "empty"
    assert refusal(reply({"content": None})).reason == "empty"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"  ", "empty"),
        (b"{}", "malformed"),
        (b'{"choices":[]}', "malformed"),
        (b'{"choices":{}}', "malformed"),
        (b'{"choices":[{"message":{"content":5}}]}', "empty"),
        (b'{"choices":[{"message":{"content":"\xff"}}]}', "malformed"),
        (b'{"choices":[{"message":{"content":"a\x00"}}]}', "malformed"),
        (b'{"choices":[{"message":{"content":"a"}}', "malformed"),
        (b'{"error":' + b'{"a":' * 50_000, "malformed"),
        (b"[" * 50_000, "malformed"),
        (b"<html>", "malformed"),
        (b'{"error":{"message":"overloaded"}}', "server_error"),
        (b'{"error":{"code":17}}', "server_error"),
        (b'{"error":{"x":17}}', "server_error"),
        (b'{"object":"error","message":"bad","choices":[]}', "server_error"),
    ],
)
def test_what_is_no_answer_is_refused_with_its_reason(body, reason):
    assert refusal(body).reason == reason


def test_a_long_id_is_cut():
    assert len(decode(reply({"content": "a"}, id="x" * 10_000)).id or "") == 200


def detail_of(body: bytes, *, streaming: bool) -> str:
    decoder = OpenAIChatAdapter(ModelParams(), streaming=streaming).decoder(keep_output=True)
    decoder.feed(body, 1)
    try:
        return decoder.finish().digest
    except BadReplyError as error:
        return error.detail


AS_JSON = JSON.map(lambda value: json.dumps(value).encode())
AS_MESSAGE = JSON.map(lambda value: json.dumps({"choices": [{"message": value}]}).encode())


@given(st.one_of(st.binary(), AS_JSON, AS_MESSAGE), st.booleans())
def test_no_reply_raises_anything_else(body, streaming):
    detail = detail_of(body, streaming=streaming)
    assert 0 < len(detail) <= 200
    assert detail.isprintable()
