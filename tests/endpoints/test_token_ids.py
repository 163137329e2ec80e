"""Token ids in replies of vLLM's kind: asked for, gathered, and those of the first piece."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import Reply
from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter, OpenAICompletionsAdapter
from pytest_mlperf_audit.runs.script import Edit

KINDS = [OpenAIChatAdapter, OpenAICompletionsAdapter]
PARAMS = ModelParams(name="m")
USAGE = {"completion_tokens": 3}
DONE = b"data: [DONE]\n\n"


def choice(
    kind: type, text: str | None, ids: Any, finish: str | None = None, *, streamed: bool = False
) -> dict[str, Any]:
    told: dict[str, Any] = {"text": text}
    if kind is OpenAIChatAdapter:
        told = {"delta" if streamed else "message": {"content": text}}
    return {"index": 0, **told, "finish_reason": finish, "token_ids": ids}


def chunk(kind: type, text: str | None, ids: Any, finish: str | None = None, **fields: Any) -> bytes:
    document = {"choices": [choice(kind, text, ids, finish, streamed=True)], **fields}
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def decoded(kind: type, *pieces: bytes, streaming: bool = True, keep_output: bool = True) -> Reply:
    decoder = kind(PARAMS, streaming=streaming).decoder(keep_output=keep_output)
    for at, piece in enumerate(pieces):
        decoder.feed(piece, 10 * (at + 1))
    reply: Reply = decoder.finish()
    return reply


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_adapter_that_is_to_ask_asks(kind):
    plain = kind(PARAMS, streaming=True)
    asking = plain.with_token_ids()
    row = {"prompt": "p", "temperature": 0.5}
    before, after = json.loads(plain.encode(row)), json.loads(asking.encode(row))
    assert after == {**before, "return_token_ids": True}
    assert "return_token_ids" not in json.loads(plain.encode(row)), "the other adapter is left as it was"
    assert asking.encode(row, Edit(tail="x")) == asking.encode(row, Edit(tail="x"))
    assert (asking.streaming, type(asking)) == (True, kind)


def test_videos_have_no_token_ids():
    assert VideoGenAdapter(PARAMS).with_token_ids() is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_reply(kind):
    body = json.dumps({"choices": [choice(kind, "a b c", [5, 6, 7], "stop")], "usage": USAGE}).encode()
    got = decoded(kind, body, streaming=False)
    assert (list(got.output_ids or ()), got.first_ids, got.first_text) == ([5, 6, 7], None, None)
    fallen_back = decoded(kind, body)
    assert (list(fallen_back.output_ids or ()), fallen_back.first_ids) == ([5, 6, 7], None), "it was not streamed"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ids", [None, []])
def test_a_reply_without_token_ids(kind, ids):
    body = json.dumps({"choices": [choice(kind, "a b c", ids, "stop")], "usage": USAGE}).encode()
    assert decoded(kind, body, streaming=False).output_ids is None
    got = decoded(kind, chunk(kind, "", ids), chunk(kind, "a", ids), chunk(kind, None, ids, "stop"), DONE)
    assert (got.output_ids, got.first_ids) == (None, None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep_output", [True, False])
def test_a_stream(kind, keep_output):
    pieces = [
        chunk(kind, "", None),
        chunk(kind, "a", [5, 6]),
        chunk(kind, " b", [7]),
        chunk(kind, "", [2], "stop", usage=USAGE),
        DONE,
    ]
    got = decoded(kind, *pieces, keep_output=keep_output)
    assert list(got.output_ids or ()) == [5, 6, 7, 2]
    assert list(got.first_ids or ()) == [5, 6]
    assert got.first_token_ns == 20
    assert got.first_text == ("a" if keep_output else None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_first_piece_whose_text_is_held_back_has_its_tokens(kind):
    """Half of a character has no text yet; the server sends its token all the same."""
    got = decoded(kind, chunk(kind, "", [5]), chunk(kind, "é", [6]), chunk(kind, "", [], "stop"), DONE)
    assert (list(got.first_ids or ()), list(got.output_ids or ())) == ([5], [5, 6])


@pytest.mark.parametrize("kind", KINDS)
def test_a_first_piece_of_text_without_a_token_shows(kind):
    got = decoded(kind, chunk(kind, "Well", None), chunk(kind, "a", [5]), chunk(kind, "", [], "stop"), DONE)
    assert got.first_ids is not None
    assert (list(got.first_ids), list(got.output_ids or ())) == ([], [5])


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_of_eos_alone_has_a_first_token(kind):
    got = decoded(kind, chunk(kind, "", [2], "stop"), chunk(kind, "", None, usage={"completion_tokens": 1}), DONE)
    assert (list(got.output_ids or ()), list(got.first_ids or ())) == ([2], [2])


def test_the_tokens_of_the_first_choice_count():
    other = {"index": 1, "delta": {"content": "z"}, "token_ids": [99]}
    both = {"choices": [other, choice(OpenAIChatAdapter, "a", [5], "stop", streamed=True)]}
    got = decoded(OpenAIChatAdapter, b"data: " + json.dumps(both).encode() + b"\n\n", DONE)
    assert list(got.output_ids or ()) == [5]


@pytest.mark.parametrize("ids", [[-1], [2**31], ["x"], [1.5], 5])
@pytest.mark.parametrize("kind", KINDS)
def test_ids_that_cannot_be_read_are_unknown_and_no_reason_to_refuse_the_reply(kind, ids):
    got = decoded(kind, chunk(kind, "a", [7]), chunk(kind, "b", ids), chunk(kind, "", None, "stop"), DONE)
    assert (got.output, got.output_ids, got.first_ids) == ("ab", None, None)


def test_reasoning_is_a_part_of_the_text():
    deltas = [{"reasoning": "hm"}, {"reasoning": "m"}, {"content": "42"}]
    chunks = [
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n" for delta in deltas
    ]
    got = decoded(OpenAIChatAdapter, *chunks, DONE)
    assert (got.output, got.text, got.first_text) == ("42", "hmm42", "hm")
