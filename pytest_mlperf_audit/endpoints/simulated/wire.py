"""Both wire formats from the server's side: request bytes to an Ask, an Answer to reply bytes. Pure.

An Answer always gives the same bytes for the same Ask, so a cache that replays an Answer replays the reply's bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from ...config.endpoint import SimulatedConfig
from .exchange import Answer, Ask, Kind

PATHS: dict[str, Kind] = {"/v1/chat/completions": "chat", "/v1/videos/generations": "video"}

#: Bytes of a simulated video; enough to be one, and little enough not to measure the network.
VIDEO_BYTES = 4096

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jade", "knoll", "larch")
_FTYP = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42"


class BadRequestError(Exception):
    """The request cannot be read; the message says why."""


class Body(NamedTuple):
    """A reply's body and its media type."""

    content: bytes
    media_type: str


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _ChatRequest(msgspec.Struct):
    messages: list[dict[str, Any]]
    model: str = ""
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


class _VideoRequest(msgspec.Struct):
    prompt: str
    response_format: str = "video_path"


_CHAT = msgspec.json.Decoder(_ChatRequest)
_VIDEO = msgspec.json.Decoder(_VideoRequest)


def read(path: str, body: bytes) -> Ask:
    """Read a request sent to one of PATHS. Raises BadRequestError."""
    key = hashlib.sha256(path.encode() + b"\n" + body).digest()
    try:
        return _read_chat(key, body) if PATHS[path] == "chat" else _read_video(key, body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(str(error)) from None


def _read_chat(key: bytes, body: bytes) -> Ask:
    request = _CHAT.decode(body)
    prompt = " ".join(text for message in request.messages for text in _texts(message.get("content")))
    if not prompt.strip():
        raise BadRequestError("no message has a text")
    options = request.stream_options
    return Ask(
        kind="chat",
        key=key,
        prompt=prompt,
        model=request.model,
        stream=bool(request.stream),
        include_usage=options is not None and options.include_usage,
    )


def _texts(content: Any) -> Iterator[str]:
    """Yield the texts of a message's content, which is a text or a list of parts."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))


def _read_video(key: bytes, body: bytes) -> Ask:
    request = _VIDEO.decode(body)
    if not request.prompt.strip():
        raise BadRequestError("the prompt is empty")
    return Ask(kind="video", key=key, prompt=request.prompt, wants_video_bytes=request.response_format == "video_bytes")


def reply(config: SimulatedConfig, ask: Ask, answer: Answer) -> Body:
    """Return the whole reply; a streamed one as all its events in one piece, as caches replay them."""
    if ask.kind == "video":
        return _video(config, ask, answer)
    if ask.stream:
        return Body(b"".join(events(config, ask, answer)), "text/event-stream")
    choice = {"index": 0, "message": {"role": "assistant", "content": " ".join(_words(config, answer))}}
    document = {
        **_head(ask, answer, "chat.completion"),
        "choices": [{**choice, "finish_reason": "stop"}],
        "usage": _usage(config, answer),
    }
    return Body(msgspec.json.encode(document), "application/json")


def events(config: SimulatedConfig, ask: Ask, answer: Answer) -> list[bytes]:
    """Return the events of a streamed reply: the role, each token, then the finish, usage and [DONE] as one piece."""
    pieces = [_chunk(ask, answer, {"role": "assistant", "content": ""})]
    for at, word in enumerate(_words(config, answer)):
        pieces.append(_chunk(ask, answer, {"content": f" {word}" if at else word}))
    end = _chunk(ask, answer, {}, finish_reason="stop")
    if ask.include_usage:
        end += _event({**_head(ask, answer, "chat.completion.chunk"), "choices": [], "usage": _usage(config, answer)})
    return [*pieces, end + b"data: [DONE]\n\n"]


def error(message: str, kind: str) -> bytes:
    """Return an error document."""
    return msgspec.json.encode({"error": {"message": message, "type": kind}})


def _head(ask: Ask, answer: Answer, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{answer.id}", "object": kind, "created": answer.created_s, "model": ask.model}


def _chunk(ask: Ask, answer: Answer, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _event({**_head(ask, answer, "chat.completion.chunk"), "choices": [choice]})


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(document) + b"\n\n"


def _usage(config: SimulatedConfig, answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.n_prompt_words,
        "completion_tokens": config.output_tokens,
        "total_tokens": answer.n_prompt_words + config.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_words},
    }


def _words(config: SimulatedConfig, answer: Answer) -> list[str]:
    """Return the output of a deterministic model: equal prompts give equal words."""
    noise = hashlib.shake_128(answer.source).digest(config.output_tokens)
    return [_WORDS[byte % len(_WORDS)] for byte in noise]


def _video(config: SimulatedConfig, ask: Ask, answer: Answer) -> Body:
    kind = "base64" if config.video_reply == "path" and ask.wants_video_bytes else config.video_reply
    if kind == "raw":
        return Body(_mp4(answer), "video/mp4")
    if kind == "base64":
        video = {"video_bytes": base64.b64encode(_mp4(answer)).decode()}
    else:
        video = {"video_path": f"/simulated/videos/{answer.id}.mp4"}
    return Body(msgspec.json.encode({"video_id": f"video_{answer.id}", **video}), "application/json")


def _mp4(answer: Answer) -> bytes:
    """Return a file that begins as MP4 does and goes on with noise in one `mdat` box; equal prompts, equal bytes."""
    noise = hashlib.shake_128(answer.source).digest(VIDEO_BYTES - len(_FTYP) - 8)
    return _FTYP + (len(noise) + 8).to_bytes(4, "big") + b"mdat" + noise
