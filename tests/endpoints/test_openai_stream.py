from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply, digest
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter

DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return b"data: " + json.dumps({"id": "c1", "choices": choices, **fields}).encode() + b"\n\n"


ROLE = chunk({"role": "assistant", "content": ""})
USAGE = chunk(None, usage={"completion_tokens": 2, "prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 1}})
STREAM = [ROLE, chunk({"content": "hé"}), chunk({"content": "llo"}), chunk({}, "stop"), USAGE, DONE]


def decode(*pieces: bytes, keep_output: bool = True) -> Reply:
    """Feed pieces, the first at 10 ns, the next at 20 ns, and so on, as the first reply of a run."""
    decoder = OpenAIChatAdapter(ModelParams(name="m"), streaming=True).decoder(keep_output=keep_output)
    for at, piece in enumerate(pieces):
        decoder.feed(piece, 10 * (at + 1))
    return decoder.finish()


def reason(*pieces: bytes) -> str:
    with pytest.raises(BadReplyError) as caught:
        decode(*pieces)
    return caught.value.reason


def test_a_stream():
    assert decode(*STREAM) == Reply(
        digest=digest("héllo".encode()),
        id="c1",
        output="héllo",
        tokens=2,
        prompt_tokens=5,
        cached_tokens=1,
        finish_reason="stop",
        first_token_ns=20,
        first_text="hé",
    )


def test_a_stream_reads_the_same_wherever_it_is_cut():
    body = b"".join(STREAM)
    whole = decode(body)
    first_end = body.index(b"\n\n", body.index(chunk({"content": "hé"}))) + 2
    for cut in range(len(body) + 1):
        got = decode(body[:cut], body[cut:])
        # An empty piece is never fed a time of its own by a socket, but the end of the body may come with one.
        assert got.first_token_ns == (10 if cut >= first_end else 20)
        assert (got.digest, got.output, got.tokens) == (whole.digest, whole.output, whole.tokens)


@given(st.data())
def test_a_stream_in_many_pieces(data):
    body = b"\xef\xbb\xbf: hello\r\n\r\n" + b"".join(STREAM).replace(b"\n", b"\r\n")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    got = decode(*pieces)
    assert (got.digest, got.tokens, got.finish_reason) == (digest("héllo".encode()), 2, "stop")


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"reasoning_content": "x"},
        {"reasoning": "x"},
        {"tool_calls": [{"index": 0, "function": {"name": "look", "arguments": ""}}]},
    ],
)
def test_the_first_token_is_the_first_output_of_any_kind(delta):
    assert decode(ROLE, b": ping\n\n", chunk({}), chunk(delta), DONE).first_token_ns == 40


def test_the_digest_is_that_of_the_same_reply_in_one_piece():
    message = {"content": "so", "reasoning": "why", "tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]}
    whole = decode(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())
    streamed = decode(
        ROLE,
        chunk({"reasoning": "wh"}),
        chunk({"reasoning": "y", "content": "s"}),
        chunk({"content": "o"}),
        chunk({"tool_calls": [{"index": 0, "id": "fresh", "function": {"name": "look"}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}, "tool_calls"),
    )
    assert streamed.digest == whole.digest
    assert whole.first_token_ns is None, "a document has no first token"


def test_the_end_of_a_stream():
    text = chunk({"content": "a"})
    assert decode(text, DONE).finish_reason is None
    assert decode(text, chunk({}, "length")).finish_reason == "length"
    assert decode(text, b"data: [DONE]").output == "a", "the last empty line may be missing"
    assert decode(text, DONE, b"data: {garbage\n\n").output == "a", "what follows [DONE] is not read"
    assert reason(ROLE, text) == "truncated"
    assert reason(ROLE, text, b'data: {"choices":[{"del') == "truncated"
    assert reason(b'data: {"choices":[{"del') == "truncated"
    assert reason(text, b"data: [DO") == "truncated"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "empty"),
        (b"\r\n\r\n", "empty"),
        (DONE, "empty"),
        (ROLE + chunk({}, "stop") + DONE, "empty"),
        (ROLE + chunk({}, "stop") + chunk(None, usage={"completion_tokens": 0}) + DONE, "empty"),
        (b": only a comment\n\n", "malformed"),
        (b"<html>busy</html>", "malformed"),
        (b"data: {broken\n\n" + DONE, "malformed"),
        (b"data: [1]\n\n" + DONE, "malformed"),
        (b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n' + DONE, "malformed"),
        (b"data: " + b'{"error":' * 50_000 + b"\n\n", "malformed"),
        (STREAM[1] + b'data: {"error":{"message":"out of memory"}}\n\n' + DONE, "server_error"),
        (b'event: error\ndata: {"error":"gone"}\n\n', "server_error"),
        (STREAM[1] + b'data: {"error":"gone"}', "server_error"),
        (b'{"error":{"message":"no"}}', "server_error"),
        (b'{"choices":[]}', "malformed"),
    ],
)
def test_what_is_no_answer_is_refused_with_its_reason(body, expected):
    assert reason(body) == expected
    assert reason(*(body[at : at + 7] for at in range(0, len(body), 7))) == expected


def test_an_empty_answer_that_took_tokens_is_an_answer():
    got = decode(ROLE, chunk({}, "stop"), USAGE, DONE)
    assert (got.tokens, got.output, got.first_token_ns) == (2, "", None)


def test_other_choices_are_left_out():
    other = b'data: {"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":"stop"}]}\n\n'
    assert decode(other, chunk({"content": "a"}), DONE).output == "a"
    assert reason(other, chunk({"content": "a"})) == "truncated"


def detail_of(*pieces: bytes) -> str:
    try:
        return decode(*pieces).digest
    except BadReplyError as error:
        return error.detail


NOISE = [b"data: {", b"}\n\n", b"\n", b"data: null\n\n", b"\xff", b"\x00"]


@given(st.lists(st.sampled_from([*STREAM, *NOISE]), max_size=12))
def test_no_stream_raises_anything_else(pieces):
    detail = detail_of(*pieces)
    assert 0 < len(detail) <= 200
    assert detail.isprintable()


NO_COUNT = {"completion_tokens": 0, "prompt_tokens": 0, "total_tokens": 0}


def test_a_usage_of_no_tokens_beside_output_is_no_count():
    """LiteLLM 1.80 puts one into each chunk of a streamed completion; the true count comes last, where it is asked."""
    said = [chunk({"content": "hello"}, usage=NO_COUNT), chunk({}, "length", usage=NO_COUNT)]
    assert decode(*said, DONE).tokens is None
    assert decode(*said, USAGE, DONE).tokens == 2


def test_a_usage_of_no_tokens_is_no_ending():
    adapter = OpenAIChatAdapter(ModelParams(name="m"), streaming=True)
    whole, broken = adapter.decoder(keep_output=False), adapter.decoder(keep_output=False)
    whole.feed(b"".join(STREAM), 1)
    whole.finish()
    broken.feed(chunk({"content": "hel"}) + chunk({}, usage=NO_COUNT) + DONE, 1)
    with pytest.raises(BadReplyError) as caught:
        broken.finish()
    assert caught.value.reason == "truncated"
