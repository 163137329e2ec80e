"""Replies to transcriptions, as servers were seen to give them: vLLM 0.32, transformers 5.24, faster-whisper-server."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply, digest
from pytest_mlperf_audit.endpoints.media.audio_reply import TranscriptDecoder

JSON, TEXT, STREAM = "application/json", "text/plain; charset=utf-8", "text/event-stream; charset=utf-8"


def decode(body: bytes, media_type: str = JSON, *, at: int = 0) -> Reply:
    """Decode a body that comes in pieces, cut at a byte and behind each event."""
    decoder = TranscriptDecoder(streaming=b"data:" in body, keep_output=True)
    decoder.on_head({"Content-Type": media_type} if media_type else {})
    for number, piece in enumerate(filter(None, (body[:at], body[at:]))):
        decoder.feed(piece, number)
    return decoder.finish()


def refusal(body: bytes, media_type: str = JSON) -> BadReplyError:
    with pytest.raises(BadReplyError) as caught:
        decode(body, media_type)
    return caught.value


def events(*documents: Any, done: bool = False) -> bytes:
    lines = [f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in documents]
    return "".join([*lines, *(["data: [DONE]\n\n"] if done else [])]).encode()


def chunk(content: str | None, reason: str | None = None) -> dict[str, Any]:
    """Return an event of vLLM's."""
    delta = {} if content is None else {"content": content}
    choice = {"delta": delta, "finish_reason": reason}
    return {"id": "trsc-1", "object": "transcription.chunk", "created": 1, "model": "tiny", "choices": [choice]}


VLLM_USAGE = {**chunk(None), "choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}}
OPENAI = events(
    {"type": "transcript.text.delta", "delta": "he", "logprobs": []},
    {"type": "transcript.text.delta", "delta": "llo you"},
    {
        "type": "transcript.text.done",
        "text": "hello you",
        "usage": {"type": "tokens", "input_tokens": 4, "output_tokens": 3, "total_tokens": 7},
    },
)
VLLM = events(chunk("he"), chunk("llo you", "stop"), VLLM_USAGE, done=True)
BARE = events("he", "llo", " you")
SEGMENTS = [{"id": 0, "text": "hello", "tokens": [1, 2]}, {"id": 1, "text": " you", "tokens": [3]}]
WHOLE = [
    (b'{"text":"hello you","usage":{"type":"duration","seconds":2}}', JSON),
    (b'{"text":"hello you"}', JSON),
    (b'{"text":"hello you"}', TEXT),
    (b'{"text":"hello you"}', ""),
    (json.dumps({"task": "transcribe", "text": "hello you", "segments": SEGMENTS}).encode(), JSON),
    (b"hello you\n", TEXT),
    (b"hello you", ""),
    (b'"hello you"', JSON),
    (OPENAI, STREAM),
    (VLLM, STREAM),
    (BARE, STREAM),
    (BARE, ""),
    (b'{"text":"hello you"}', STREAM),
]


@pytest.mark.parametrize(("body", "media_type"), WHOLE, ids=range(len(WHOLE)))
def test_every_form_says_the_same(body, media_type):
    for at in range(0, len(body), 7):
        reply = decode(body, media_type, at=at)
        assert (reply.output, reply.digest) == ("hello you", digest(b"hello you"))


def test_tokens_are_counted_where_they_are_told():
    told = [decode(body, media_type) for body, media_type in WHOLE]
    assert [(one.prompt_tokens, one.tokens) for one in told if one.tokens] == [(None, 3), (4, 3), (4, 3)]
    segments = [{**SEGMENTS[0], "tokens": None}, SEGMENTS[1]]
    assert decode(json.dumps({"text": "a", "segments": segments}).encode()).tokens is None
    assert decode(b'{"text": "a", "segments": []}').tokens is None


def test_what_a_stream_says_of_itself():
    first = [len(events(chunk("he"))), len(events("he")), len(OPENAI.split(b"\n\n")[0]) + 2]
    for body, at in zip((VLLM, BARE, OPENAI), first, strict=True):
        assert decode(body, STREAM, at=at).first_token_ns == 0
    reply = decode(VLLM, STREAM)
    assert (reply.id, reply.model, reply.finish_reason) == ("trsc-1", "tiny", "stop")
    assert decode(b'{"text":"hello you"}', STREAM).first_token_ns is None


def test_no_header_is_an_id():
    decoder = TranscriptDecoder()
    decoder.on_head({"Content-Type": JSON, "x-request-id": "new each time"})
    decoder.feed(b'{"text":"a"}', 0)
    assert decoder.finish().id is None


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b'{"text":""}', JSON),
        (b"", TEXT),
        (b"\n", TEXT),
        (events(chunk(""), chunk(None, "stop"), done=True), STREAM),
        (events({"type": "transcript.text.done", "text": ""}), STREAM),
    ],
    ids=range(5),
)
def test_a_sound_without_words_has_a_transcript_without_words(body, media_type):
    reply = decode(body, media_type)
    assert (reply.output, reply.digest) == ("", digest(b""))
    assert reply.first_token_ns is None


def test_white_space_and_line_breaks_of_bare_text():
    assert decode(events(" a", " ", "b ", "[Music]", "{x", '{"x": 1}'), STREAM).output == ' a b [Music]{x{"x": 1}'
    assert decode(events(" ", "a"), STREAM, at=len(events(" "))).first_token_ns == 1, "white space is no first token"


@pytest.mark.parametrize("text", ["[Music]", "{ hm", "<unk> and so on", "(laughs)", '"Quoted", he said'])
def test_plain_texts_that_look_like_something_else(text):
    assert decode(text.encode(), TEXT).output == text


@pytest.mark.parametrize(
    ("body", "media_type", "reason", "words"),
    [
        (b"", JSON, "empty", "no body"),
        (b"  ", JSON, "empty", "no body"),
        (b"", STREAM, "empty", "no body"),
        (b"hello", JSON, "malformed", "not JSON"),
        (b"<!DOCTYPE html><title>Log in</title>", TEXT, "malformed", "not JSON"),
        (b"<html>", "text/html", "malformed", "not JSON"),
        (b"\xff\xfe", TEXT, "malformed", "UTF-8"),
        (b"\x1f\x8b\x08", TEXT, "malformed", "gzip"),
        (b'{"text":null}', JSON, "malformed", "no text"),
        (b'{"text":"he', "", "malformed", "not JSON"),
        (b"  ", "", "empty", "no body"),
        (b'{"text":["a"]}', JSON, "malformed", "no text"),
        (b'{"task":"transcribe"}', JSON, "malformed", "no text"),
        (b"[]", JSON, "malformed", "no object"),
        (b'{"error":"out of memory"}', JSON, "server_error", "out of memory"),
        (b'{"error":{"message":"no such model","code":404}}', TEXT, "server_error", "no such model"),
        (b'{"text":"a","error":{"message":"cut"}}', JSON, "server_error", "cut"),
        (b'{"detail":[{"loc":["body","file"],"msg":"Field required"}]}', JSON, "server_error", "Field required"),
        (events(chunk("he")), STREAM, "truncated", "ended without"),
        (events({"type": "transcript.text.delta", "delta": "he"}), STREAM, "truncated", "ended without"),
        (events(chunk("he"), "llo"), STREAM, "malformed", "not JSON"),
        (events(chunk("he", "error")), STREAM, "server_error", "finish_reason: error"),
        (events({"type": "error", "message": "lost it"}), STREAM, "server_error", "lost it"),
        (events("he", '{"error": "CUDA "gone""}'), STREAM, "server_error", 'CUDA "gone"'),
        (events("he", '{"error": "gone"}'), STREAM, "server_error", "gone"),
        (b"event: error\ndata: x\n\n", STREAM, "server_error", "x"),
        (b": ping\n\n", STREAM, "malformed", "no event"),
    ],
    ids=range(27),
)
def test_what_is_no_transcript_fails(body, media_type, reason, words):
    failed = refusal(body, media_type)
    assert failed.reason == reason
    assert words in failed.detail


@given(st.binary(max_size=200), st.sampled_from([JSON, TEXT, STREAM, ""]), st.integers(0, 200))
def test_no_body_breaks_the_decoder(body, media_type, at):
    with suppress(BadReplyError):
        (decode(body, media_type, at=at).output or "").encode()
