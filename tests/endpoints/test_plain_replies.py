"""The short ways for common replies come to what the long ways do."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mlperf_audit.endpoints import failures
from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply
from pytest_mlperf_audit.endpoints.stream import Endings, EventParser
from pytest_mlperf_audit.endpoints.text import openai_parts
from pytest_mlperf_audit.endpoints.text.openai_parts import read_part
from pytest_mlperf_audit.endpoints.text.openai_reply import Collector, CompletionDecoder, StreamDecoder

texts = st.none() | st.just("") | st.text(max_size=20)
counts = st.none() | st.just(0) | st.integers(0, 2**31 - 1)
messages = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": texts,
        "reasoning": texts,
        "reasoning_content": texts,
        "refusal": texts,
        "tool_calls": st.none() | st.just([{"function": {"name": "f", "arguments": "{}"}}]),
        "error": st.none() | st.just("broken"),
    },
)
reasons = st.none() | st.sampled_from(["stop", "length", "tool_calls", "error", "abort", "content_filter", ""])
choices = st.fixed_dictionaries(
    {"message": st.none() | messages, "finish_reason": reasons},
    optional={
        "index": st.integers(0, 1),
        "delta": messages,
        "text": texts,
        "token_ids": st.none() | st.lists(st.integers(0, 9), max_size=3),
    },
)
documents = st.fixed_dictionaries(
    {"choices": st.lists(choices, min_size=1, max_size=2)},
    optional={
        "id": texts,
        "model": texts,
        "object": st.sampled_from(["chat.completion", "error", "other", None]),
        "usage": st.none()
        | st.fixed_dictionaries(
            {"completion_tokens": counts},
            optional={"prompt_tokens_details": st.none() | st.fixed_dictionaries({"cached_tokens": counts})},
        ),
        "errors": st.none() | st.just([]) | st.just(["broken"]),
        "error_code": st.none() | st.sampled_from([0, 50002]),
    },
)


def decoded(body: bytes, keep: bool) -> Reply | tuple[str, str]:
    decoder = CompletionDecoder(Endings(), keep_output=keep)
    decoder.feed(body, 1)
    try:
        return decoder.finish()
    except BadReplyError as error:
        return error.reason, error.detail


def collected(body: bytes, keep: bool) -> Reply | tuple[str, str]:
    try:
        collector = Collector(Endings(), keep_output=keep)
        collector.add(read_part(body, "the reply"))
        return collector.reply()
    except BadReplyError as error:
        return error.reason, error.detail


@given(documents, st.booleans())
@settings(max_examples=500)
def test_a_plain_reply_is_read_as_the_collector_reads_it(document: dict[str, Any], keep: bool) -> None:
    body = json.dumps(document).encode()
    assert decoded(body, keep) == collected(body, keep)


def test_the_short_way_is_taken() -> None:
    body = b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}'
    decoder = CompletionDecoder(Endings())
    assert decoder._plain(read_part(body, "")) == collected(body, keep=False)


@pytest.mark.parametrize("member", [*failures._ERRORS, *failures._CODES, "type", "object"])
@pytest.mark.parametrize("part", ["document", "choice", "message", "delta"])
def test_no_member_by_which_a_server_says_of_a_failure_is_overlooked(member: str, part: str) -> None:
    wrong = "error" if member in {"type", "object"} else "out of memory"
    choice: dict[str, Any] = {"message": {"content": "a"}, "delta": {"content": "a"}, "finish_reason": "stop"}
    document: dict[str, Any] = {"choices": [choice]}
    within = {"document": document, "choice": choice, "message": choice["message"], "delta": choice["delta"]}[part]
    within[member] = wrong
    with pytest.raises(BadReplyError) as caught:
        read_part(json.dumps(document).encode(), "the reply")
    assert caught.value.reason == "server_error"
    within[member] = None
    assert read_part(json.dumps(document).encode(), "the reply").choices


def test_the_strict_decoder_knows_every_member_of_a_failure() -> None:
    names = {field.encode_name for field in msgspec.structs.fields(openai_parts._Part)}
    assert names == {*failures._ERRORS, *failures._CODES, "type", "object"}


chunks = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {"delta": st.none() | messages, "finish_reason": reasons},
                optional={"index": st.integers(0, 1), "token_ids": st.none() | st.lists(st.integers(0, 9), max_size=3)},
            ),
            max_size=2,
        )
    },
    optional={
        "id": texts,
        "model": texts,
        "usage": st.none() | st.fixed_dictionaries({"completion_tokens": counts}),
        "error": st.none() | st.just("broken"),
    },
)
contents = st.builds(
    lambda text: {"id": "1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}, texts
)


def streamed(pieces: list[bytes], keep: bool) -> Reply | tuple[str, str]:
    decoder = StreamDecoder(Endings(), keep_output=keep)
    try:
        for at, piece in enumerate(pieces, start=1):
            decoder.feed(piece, at)
        return decoder.finish()
    except BadReplyError as error:
        return error.reason, error.detail


@given(
    st.lists(contents | chunks, max_size=8), st.sampled_from(["\n\n", "\r\n\r\n", "\n\n\n"]), st.booleans(), st.data()
)
@settings(max_examples=300)
def test_a_plain_chunk_is_read_as_the_collector_reads_it(
    documents: list[dict[str, Any]], ending: str, keep: bool, data: st.DataObject
) -> None:
    events = [f"data: {json.dumps(document)}{ending}".encode() for document in documents] + [b"data: [DONE]\n\n"]
    pieces, joined = [], b""
    for event in events:  # whole events, some at a time, or one cut in two
        joined += event
        match data.draw(st.sampled_from(["more", "whole", "cut"])):
            case "whole":
                pieces.append(joined)
                joined = b""
            case "cut":
                at = data.draw(st.integers(0, len(joined)))
                pieces.append(joined[:at])
                joined = joined[at:]
    pieces.append(joined)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Collector, "add_plain", lambda _self, _part: False)
        patch.setattr(EventParser, "_plain_events", lambda _self, _piece: None)
        slowly = streamed(pieces, keep)
    assert streamed(pieces, keep) == slowly


def test_an_id_behind_an_empty_one_is_taken_from_a_plain_chunk():
    decoder = StreamDecoder(Endings())
    for reply_id, model in [("", ""), ("", ""), ("c1", "m1"), ("c2", "m2")]:
        chunk = {"id": reply_id, "model": model, "choices": [{"index": 0, "delta": {"content": "a"}}]}
        decoder.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n", 1)
    decoder.feed(b"data: [DONE]\n\n", 2)
    assert (decoder.finish().id, decoder.finish().model) == ("c1", "m1")
