"""Members that decide nothing are read leniently: an honest reply is not refused for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.endpoints.text.sglang import SGLangAdapter

PARAMS = ModelParams(name="m")


def chat(said: Any, *, streaming: bool = False) -> Reply:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    decoder = OpenAIChatAdapter(PARAMS, streaming=streaming).decoder(keep_output=True)
    decoder.feed(b"data: " + body + b"\n\ndata: [DONE]\n\n" if streaming else body, 1)
    return decoder.finish()


def generated(said: Any) -> Reply:
    decoder = SGLangAdapter(PARAMS).decoder(keep_output=True)
    decoder.feed(json.dumps(said).encode(), 1)
    return decoder.finish()


def reply(message: Any, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}


@pytest.mark.parametrize(
    ("finish", "read"),
    [({"type": "stop", "matched": 1}, "stop"), (0, "0"), ({"reason": "length"}, "length"), ([], None), (False, None)],
)
def test_a_finish_reason_of_another_type(finish, read):
    assert chat(reply({"content": "a"}, finish)).finish_reason == read
    assert chat(reply({"content": "a"}, finish), streaming=True).finish_reason == read


@pytest.mark.parametrize(
    ("message", "output"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": {"type": "text", "text": "ab"}}, "ab"),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"text": "ab"}]}, "ab"),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, "hm"),
        ({"content": "ab", "reasoning": [], "refusal": False}, "ab"),
        (
            {"content": [], "tool_calls": [{"function": {"name": "f", "arguments": {"y": 1, "x": "é"}}}]},
            'f{"x":"é","y":1}',
        ),
        ({"tool_calls": {"function": {"name": "f", "arguments": "{}"}}}, "f{}"),
        ({"content": None, "function_call": {"name": "f", "arguments": "{}"}}, "f{}"),
        ({"function_call": {"name": "f", "arguments": {"x": 1}}}, 'f{"x":1}'),
        ("ab", "ab"),
    ],
)
def test_output_of_another_shape(message, output):
    assert chat(reply(message)).output == output
    assert chat(reply(message), streaming=True).output == output


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"completion_tokens": 4.0}, 4),
        ({"completion_tokens": "4"}, 4),
        ({"completion_tokens": 4, "prompt_tokens_details": []}, 4),
        ({"completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": "x"}}, 4),
        ({"completion_tokens": -1}, None),
        ({"completion_tokens": 1e30}, None),
        ({"completion_tokens": True}, None),
        ([], None),
        ("4", None),
    ],
)
def test_usage_of_another_type(usage, tokens):
    got = chat(reply({"content": "a"}, usage=usage))
    assert (got.tokens, got.cached_tokens) == (tokens, None)


def test_other_members():
    assert chat({**reply({"content": "a"}), "id": 7}).id == "7"
    assert chat({**reply({"content": "a"}), "id": {"x": 1}, "object": 5, "error": []}).output == "a"
    for index in (None, "0", 0.0, "x"):
        said = reply({"content": "a"})
        said["choices"][0]["index"] = index
        assert chat(said).output == "a"
    assert chat({"choices": reply({"content": "a"})["choices"][0]}).output == "a"
    assert chat([reply({"content": "a"})]).output == "a"


def test_what_encoders_make_of_json():
    body = json.dumps(reply({"content": "a"}, logprobs=float("nan"), top=float("-inf"))).encode()
    assert chat(body).output == "a"
    for streaming in (False, True):
        assert chat(b"\xef\xbb\xbf" + json.dumps(reply({"content": "a"})).encode(), streaming=streaming).output == "a"
    assert chat(reply({"content": "half \ud83d"})).output == "half �", "UTF-8 has no half of a pair"


@pytest.mark.parametrize(("start", "name"), [(b"\x1f\x8b\x08\x00", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd")])
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("cut", [1, 3, 34])
def test_a_coded_body_is_named(start, name, streaming, cut):
    decoder = OpenAIChatAdapter(PARAMS, streaming=streaming).decoder()
    body = start + b"\x00" * 30
    for at in range(0, len(body), cut):
        decoder.feed(body[at : at + cut], 1)
    with pytest.raises(BadReplyError, match=f"coded in {name}") as caught:
        decoder.finish()
    assert caught.value.reason == "malformed"


def test_sglang():
    meta = {"id": 5, "completion_tokens": 2.0, "cached_tokens": [], "finish_reason": {"type": "stop", "matched": [1]}}
    got = generated({"text": "a", "output_ids": [1.0, "2"], "meta_info": meta})
    assert (got.id, got.tokens, got.cached_tokens, got.finish_reason) == ("5", 2, None, "stop")
    assert list(got.output_ids or ()) == [1, 2]
    assert generated({"text": ["a", "b"], "meta_info": []}).output == "ab"
    assert generated([{"text": "a", "meta_info": {"finish_reason": 0}}]).finish_reason == "0"
    unknown = generated({"text": "a", "output_ids": [-1], "meta_info": {"finish_reason": "stop"}})
    assert (unknown.output, unknown.output_ids) == ("a", None)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "content", "function", "arguments", "name", "index", "message", "code"]),
            inner,
        )
    ),
    max_leaves=6,
)
MEMBERS = ["id", "usage", "error", "object", "code", "message", "meta_info", "output_ids", "text", "choices"]


def said_of(read: Callable[[Any], Reply], said: Any) -> str:
    """Return a reply's output, or why it was refused."""
    try:
        return read(said).output or ""
    except BadReplyError as error:
        return error.detail


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON), JSON, st.sampled_from(["stop", None, 0, {}]))
def test_no_value_anywhere_raises_anything_else(members, message, finish):
    said = {"text": message, **reply(message, finish), **members}
    for read in (chat, generated):
        assert isinstance(said_of(read, said).encode(), bytes)


@pytest.mark.parametrize("streaming", [False, True])
def test_half_a_surrogate_in_a_message_that_is_a_text_is_read_as_a_replacement_character(streaming: bool):
    said = {
        "id": "c",
        "choices": [{"index": 0, "delta" if streaming else "message": "a\ud800", "finish_reason": "stop"}],
    }
    assert chat(said, streaming=streaming).output == "a\ufffd"
