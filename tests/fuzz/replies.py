"""Replies with status 200, for each adapter, streamed and not, with the output kept and not, cut in several ways.

Oracle: BadReplyError is the only exception, its reason is known, its detail short and printable; a reply fits into a
record; the verdict is the same however the body is cut; no part of a JSON document or of a stream is a whole reply.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pytest_mlperf_audit.config.http_json import HttpJson
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.config.tensors import TensorInput, Tensors
from pytest_mlperf_audit.endpoints.base import BadReplyError, EndpointAdapter, Reply
from pytest_mlperf_audit.endpoints.http_json import HttpJsonAdapter
from pytest_mlperf_audit.endpoints.media.audio import OpenAIAudioAdapter
from pytest_mlperf_audit.endpoints.media.openai_images import OpenAIImagesAdapter
from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
from pytest_mlperf_audit.endpoints.numbers.kserve import KServeAdapter
from pytest_mlperf_audit.endpoints.numbers.openai_embeddings import OpenAIEmbeddingsAdapter
from pytest_mlperf_audit.endpoints.numbers.openai_rerank import OpenAIRerankAdapter
from pytest_mlperf_audit.endpoints.text.anthropic import AnthropicAdapter
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter, OpenAICompletionsAdapter
from pytest_mlperf_audit.endpoints.text.openai_responses import OpenAIResponsesAdapter
from pytest_mlperf_audit.endpoints.text.sglang import SGLangAdapter
from pytest_mlperf_audit.runs.query import REASONS
from tests.support.pictures import EXTENDED, LOSSLESS, LOSSY, jpeg, png

from .kind import WrongError, require
from .mutate import mutate_json, mutated, pieces
from .text_replies import MESSAGE_STREAMS, MESSAGES, RANKINGS, RESPONSE_STREAMS, RESPONSES, VECTORS

_PARAMS = ModelParams(
    name="m",
    tensors=Tensors(inputs=(TensorInput(name="x", shape=(4,)),)),
    http=HttpJson(
        path="/p", body={"q": "{q}"}, twin="q", output="out[0].text", id="id", model="by", tokens="n.out", error="wrong"
    ),
)
_DETAIL_CHARACTERS = 200
_USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
_TOOL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sky"}'}}
_MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0\0\0\x10moov" + b"\1" * 8 + b"\0\0\0\x14mdat" + bytes(range(12))
_AVI = b"RIFF\x14\0\0\0AVI " + b"movi" + bytes(range(12))

#: Outputs that are sent as they are.
_FILES: dict[type[EndpointAdapter], Sequence[bytes]] = {
    VideoGenAdapter: (_MP4, _AVI),
    OpenAIImagesAdapter: (png(), jpeg(), LOSSY, LOSSLESS, EXTENDED),
}

Verdict = tuple[Any, ...]


def _chat(message: dict[str, Any], reason: str | None = "stop") -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason, "token_ids": [5, 6, 2]}
    return {"id": "c-1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": _USAGE}


def _text(text: str) -> dict[str, Any]:
    choice = {"index": 0, "text": text, "finish_reason": "length", "logprobs": None, "token_ids": [5, 6]}
    return {"id": "t-1", "object": "text_completion", "choices": [choice], "usage": _USAGE}


def _generated(text: str, ids: list[int], reason: Any) -> dict[str, Any]:
    meta = {"id": "g", "finish_reason": reason, "prompt_tokens": 4, "completion_tokens": len(ids), "cached_tokens": 0}
    return {"text": text, "output_ids": ids, "meta_info": meta}


def _inferred(*outputs: dict[str, Any]) -> dict[str, Any]:
    return {"id": "k", "model_name": "m", "model_version": "1", "outputs": list(outputs)}


_STOP = {"type": "stop", "matched": 2}
_ERRORS: Sequence[dict[str, Any]] = (
    {"error": {"message": "out of memory", "type": "server_error", "code": 500}},
    {"object": "error", "message": "no", "code": 400},
    {"detail": [{"loc": ["body"], "msg": "missing"}]},
    {"error_code": 50001, "text": "NETWORK ERROR"},
)
_DOCUMENTS: dict[type[EndpointAdapter], Sequence[dict[str, Any]]] = {
    OpenAIChatAdapter: (
        _chat({"content": "It is \u00fcber 9 \U0001f600."}),
        _chat({"content": [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": "b"}]}),
        _chat({"content": None, "reasoning_content": "Well.", "tool_calls": [_TOOL]}, "tool_calls"),
        *_ERRORS,
    ),
    OpenAICompletionsAdapter: (_text(" and then"), _text("\u2028x"), *_ERRORS),
    SGLangAdapter: (_generated("a b", [5, 6, 2], _STOP), _generated("", [2], {"type": "length"}), *_ERRORS),
    OpenAIResponsesAdapter: (*RESPONSES, *_ERRORS),
    AnthropicAdapter: (*MESSAGES, *_ERRORS),
    OpenAIImagesAdapter: (
        {"created": 1, "data": [{"b64_json": base64.b64encode(png()).decode(), "revised_prompt": "a cat"}]},
        {"data": [{"url": f"data:image/png;base64,{base64.b64encode(png(3)).decode()}"}, {"url": "http://h/2.png"}]},
        {"id": "i-1", "data": [{"b64_json": base64.b64encode(jpeg()).decode()}, {"b64_json": None, "url": None}]},
        *_ERRORS,
    ),
    OpenAIEmbeddingsAdapter: (*VECTORS, *_ERRORS),
    OpenAIRerankAdapter: (*RANKINGS, *_ERRORS),
    HttpJsonAdapter: (
        {"out": [{"text": "blue \u2028 sky"}], "id": 7, "by": "m2", "n": {"out": "3"}, "wrong": None},
        {"out": [{"text": {"b": [1.5, None], "a": "x"}}], "id": {"name": "i"}},
        *_ERRORS,
    ),
    KServeAdapter: (
        _inferred({"name": "p", "datatype": "FP32", "shape": [1, 3], "data": [0.1, 0.7, 0.2]}),
        _inferred(
            {"name": "label", "datatype": "INT64", "shape": [2], "data": [[65], [970]]},
            {"name": "words", "datatype": "BYTES", "shape": [1, 1], "data": ["a \u2028 b"]},
        ),
        {"error": "unexpected shape for input 'x'"},
        *_ERRORS,
    ),
    OpenAIAudioAdapter: (
        {"text": "\u00fcber", "usage": {"type": "duration", "seconds": 2}},
        {"task": "transcribe", "text": "a b", "segments": [{"text": "a b", "tokens": [1, 2]}], "duration": 2.0},
        *_ERRORS,
    ),
    VideoGenAdapter: (
        {"video_id": "v1", "video_path": "/videos/v1.mp4", "status": "completed"},
        {"video_id": "v2", "video_bytes": base64.b64encode(_MP4 * 3).decode()},
        {"status": "failed", "error": "no memory"},
    ),
}


def _delta(piece: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"id": "s-1", "choices": [{"index": 0, "delta": piece, "finish_reason": reason, "token_ids": [5]}]}


def _piece(text: str, reason: str | None = None) -> dict[str, Any]:
    return {"id": "p-1", "choices": [{"index": 0, "text": text, "finish_reason": reason}]}


_END = {"choices": [], "usage": _USAGE}
_STREAMS: dict[type[EndpointAdapter], Sequence[Sequence[dict[str, Any]]]] = {
    OpenAIChatAdapter: (
        (
            _delta({"role": "assistant"}),
            _delta({"content": "It "}),
            _delta({"content": "is."}),
            _delta({}, "stop"),
            _END,
        ),
        (_delta({"reasoning": "Hm"}), _delta({"content": "\u00fc\U0001f600"}), _delta({"content": "."}, "length")),
        (_delta({"tool_calls": [_TOOL]}), _delta({}, "tool_calls")),
    ),
    OpenAICompletionsAdapter: (
        (_piece(" a"), _piece(" b"), _piece("", "stop"), _END),
        (_piece("x"), _piece("y", "length")),
    ),
    OpenAIResponsesAdapter: RESPONSE_STREAMS,
    AnthropicAdapter: MESSAGE_STREAMS,
    OpenAIAudioAdapter: (
        (_delta({"content": "It "}), _delta({"content": "is."}, "stop"), _END),
        (
            {"type": "transcript.text.delta", "delta": "It "},
            {"type": "transcript.text.done", "text": "It is.", "usage": {"input_tokens": 4, "output_tokens": 2}},
        ),
    ),
    SGLangAdapter: (
        (_generated("a", [5], None), _generated("a b", [5, 6], None), _generated("a b", [5, 6, 2], _STOP)),
        (_generated("a", [5], None), _generated(" b", [6], None), _generated("", [2], _STOP)),
    ),
}
_LINE_ENDS = (b"\n", b"\n", b"\n", b"\r\n", b"\r")
_BETWEEN = (b": ping", b"event: message", b"id: 7", b"retry: 10", b"event: error", b"data:", b'{"error": "no"}')


class Replies:
    """Bodies of replies."""

    name = "replies"

    def try_one(self, drawn: random.Random) -> None:
        """Make a body, and have it read in several cuts."""
        kind = drawn.choice(tuple(_DOCUMENTS))
        streaming = kind in _STREAMS and drawn.random() < 0.6
        keep = drawn.random() < 0.5
        body, whole_from = _stream(kind, drawn) if streaming and drawn.random() < 0.85 else _document(kind, drawn)

        def read(parts: Sequence[bytes]) -> Verdict:
            return _read(kind(_PARAMS, streaming=streaming), parts, keep=keep)

        whole = read([body])
        for parts in _cuts(body, drawn):
            require(read(parts) == whole, f"{kind.api_type}: {body!r} is {whole}, cut as {parts!r} {read(parts)}")
        if whole_from:
            part = body[: drawn.randrange(whole_from)]
            require(read([part])[0] != "reply", f"{kind.api_type}: a part is taken for a whole reply: {part!r}")

    def close(self) -> None:
        """Nothing is held."""


def _document(kind: type[EndpointAdapter], drawn: random.Random) -> tuple[bytes, int]:
    """Return a body that is one document, and the length below which none of its starts is a reply; 0: not known."""
    if kind in _FILES and drawn.random() < 0.2:
        file = drawn.choice(_FILES[kind])
        return (mutated(file, drawn), 0) if drawn.random() < 0.8 else (file, len(file))
    document = json.loads(json.dumps(drawn.choice(_DOCUMENTS[kind])))
    way = drawn.random()
    if way > 0.2:
        mutate_json(document, drawn)
    body = _dumped(document, drawn)
    if way > 0.6:
        return mutated(body, drawn), 0
    return body, len(body.rstrip())


def _dumped(value: Any, drawn: random.Random) -> bytes:
    """Return JSON as various servers write it."""
    text = json.dumps(value, ensure_ascii=drawn.random() < 0.5, indent=drawn.choice((None, None, None, 1)))
    return text.encode("utf-8", "surrogatepass") + drawn.choice((b"", b"", b"\n", b" \r\n"))


def _stream(kind: type[EndpointAdapter], drawn: random.Random) -> tuple[bytes, int]:
    """Return a body that is a stream of events, and the length below which no start of it is whole; 0: not known."""
    events = json.loads(json.dumps(drawn.choice(_STREAMS[kind])))
    way = drawn.random()
    if 0.2 < way < 0.6:
        mutate_json(events, drawn)
    end = drawn.choice(_LINE_ENDS)
    lines = [
        b"data: " + json.dumps(event, ensure_ascii=drawn.random() < 0.5).encode("utf-8", "surrogatepass")
        for event in events
    ]
    whole_from = 0
    if way <= 0.2:
        ends = next(at for at, event in enumerate(events) if _ends(event))
        whole_from = len((end * 2).join(lines[: ends + 1]))
    else:
        for _ in range(drawn.choice((0, 0, 1, 2))):
            lines.insert(drawn.randint(0, len(lines)), drawn.choice(_BETWEEN))
    body = (end * 2).join([*lines, *([b"data: [DONE]"] if drawn.random() < 0.6 else [])]) + end * drawn.choice(
        (0, 1, 2, 2)
    )
    return (mutated(body, drawn), 0) if way > 0.5 else (body, whole_from)


def _ends(event: dict[str, Any]) -> bool:
    """Whether an event says that the output ended."""
    if event.get("type") in ("message_stop", "response.completed", "response.incomplete", "transcript.text.done"):
        return True
    reasons = [choice["finish_reason"] for choice in event.get("choices", ())]
    return any(reasons) or bool(event.get("meta_info", {}).get("finish_reason"))


def _cuts(body: bytes, drawn: random.Random) -> list[list[bytes]]:
    single = [bytes([byte]) for byte in body] if len(body) < 400 and drawn.random() < 0.05 else pieces(body, drawn, 20)
    return [pieces(body, drawn), single]


def _read(adapter: EndpointAdapter, parts: Sequence[bytes], *, keep: bool) -> Verdict:
    """Return what a decoder makes of a body, times left out."""
    decoder = adapter.decoder(keep_output=keep)
    try:
        for part in parts:
            decoder.feed(part, 7)
        reply = decoder.finish()
    except BadReplyError as error:
        _require_told(error)
        return ("bad", error.reason, error.detail)
    _require_fit(reply)
    return ("reply", *(_plain(getattr(reply, name)) for name in Reply.__struct_fields__))


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return repr(value)
    return value if value is None or isinstance(value, str | int) else list(value)


def _require_told(error: BadReplyError) -> None:
    require(error.reason in REASONS, f"a reason that nobody knows: {error.reason!r}")
    require(error.detail, f"nothing is said of {error.reason}")
    require(len(error.detail) <= _DETAIL_CHARACTERS, f"a detail of {len(error.detail)} characters: {error.detail!r}")
    require(error.detail.isprintable(), f"a detail that cannot be shown: {error.detail!r}")


def _require_fit(reply: Reply) -> None:
    """A record is written as UTF-8, and its ids are 32-bit numbers."""
    for name in ("digest", "id", "output", "finish_reason", "text", "first_text"):
        value = getattr(reply, name)
        try:
            (value or "").encode()
        except UnicodeEncodeError:
            raise WrongError(f"{name} cannot be written: {value!r}") from None
    require(len(reply.digest) == 32, f"a digest of {len(reply.digest)} digits")
    require(
        len(reply.id or "") <= 200 and len(reply.finish_reason or "") <= 200, "an id or a finish reason is not bounded"
    )
    for count in (reply.tokens, reply.cached_tokens):
        require(count is None or 0 <= count < 2**31, f"a count of {count}")
    for ids in (reply.output_ids or (), reply.first_ids or ()):
        require(all(0 <= one < 2**31 for one in ids), f"ids that no record can hold: {ids!r:.200}")


MAKE: Callable[[], Replies] = Replies
