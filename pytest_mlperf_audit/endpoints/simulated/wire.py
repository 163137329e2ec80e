"""The wire formats from the server's side: request bytes to an Ask, an Answer to reply bytes. Pure.

An Answer always gives the same bytes for the same Ask, so a cache that replays an Answer replays the reply's bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from ...config.endpoint import SimulatedConfig
from . import generate
from .exchange import Answer, Ask, Kind
from .model import Output, output

PATHS: dict[str, Kind] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "text",
    "/generate": "generate",
    "/v1/videos/generations": "video",
}

#: Bytes of a simulated video; enough to be one, and little enough not to measure the network.
_VIDEO_BYTES = 4096

_FTYP = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42"


class BadRequestError(Exception):
    """The request cannot be read; the message says why."""


class _Body(NamedTuple):
    """A reply's body and its media type."""

    content: bytes
    media_type: str


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _TokensRequest(msgspec.Struct, kw_only=True):
    """What chat and text completions have in common."""

    model: str = ""
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    return_token_ids: bool | None = None


class _ChatRequest(_TokensRequest, kw_only=True):
    messages: list[dict[str, Any]]


class _TextRequest(_TokensRequest, kw_only=True):
    prompt: str | list[int]


class _VideoRequest(msgspec.Struct):
    prompt: str
    response_format: str = "video_path"


_CHAT = msgspec.json.Decoder(_ChatRequest)
_TEXT = msgspec.json.Decoder(_TextRequest)
_VIDEO = msgspec.json.Decoder(_VideoRequest)


def read(path: str, url: str, body: bytes) -> Ask:
    """Read a request sent to one of PATHS; `url` is the path as sent, with its query string. Raises BadRequestError."""
    key = hashlib.sha256(url.encode(errors="surrogateescape") + b"\n" + body).digest()
    try:
        return msgspec.structs.replace(_READERS[PATHS[path]](key, body), url=url)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(str(error)) from None


def _read_chat(key: bytes, body: bytes) -> Ask:
    request = _CHAT.decode(body)
    texts = [(message.get("role"), " ".join(_texts(message.get("content")))) for message in request.messages]
    prompt = " ".join(text for _role, text in texts if text)
    if not prompt.strip():
        raise BadRequestError("no message has a text")
    question = next((text for role, text in reversed(texts) if role == "user"), "")
    return _ask_for_tokens("chat", key, request, prompt, question)


def _read_text(key: bytes, body: bytes) -> Ask:
    """Read a prompt of words, or of token ids, each of which is a word."""
    request = _TEXT.decode(body)
    prompt = request.prompt if isinstance(request.prompt, str) else " ".join(map(str, request.prompt))
    if not prompt.strip():
        raise BadRequestError("the prompt is empty")
    return _ask_for_tokens("text", key, request, prompt, prompt)


def _ask_for_tokens(kind: Kind, key: bytes, request: _TokensRequest, prompt: str, question: str) -> Ask:
    options = request.stream_options
    return Ask(
        kind=kind,
        key=key,
        prompt=prompt,
        question=question,
        model=request.model,
        stream=bool(request.stream),
        include_usage=options is not None and options.include_usage,
        return_token_ids=bool(request.return_token_ids),
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
    return Ask(
        kind="video",
        key=key,
        prompt=request.prompt,
        question=request.prompt,
        wants_video_bytes=request.response_format == "video_bytes",
    )


_READERS: dict[Kind, Callable[[bytes, bytes], Ask]] = {
    "chat": _read_chat,
    "text": _read_text,
    "generate": generate.read,
    "video": _read_video,
}


def reply(config: SimulatedConfig, ask: Ask, answer: Answer) -> _Body:
    """Return the whole reply; a streamed one as all its events in one piece, as caches replay them."""
    ask = answer.form or ask
    if ask.kind == "video":
        return _video(config, ask, answer)
    if ask.stream:
        return _Body(b"".join(events(config, ask, answer)), "text/event-stream")
    words = output(config, answer)
    if ask.kind == "generate":
        return _Body(generate.reply(answer, words), "application/json")
    text = words.text
    text_field = {"text": text} if ask.kind == "text" else {"message": {"role": "assistant", "content": text}}
    document = {
        **_head(ask, answer),
        "choices": [{"index": 0, **text_field, "finish_reason": "stop", **_token_ids(ask, words.ids)}],
        "usage": _usage(answer, words),
    }
    return _Body(msgspec.json.encode(document), "application/json")


def events(config: SimulatedConfig, ask: Ask, answer: Answer) -> list[bytes]:
    """Return the events of a streamed reply: what comes at once, each token, then finish, usage and [DONE] in one.

    What comes at once is the role, and may be nothing.
    """
    words = output(config, answer)
    if ask.kind == "generate":
        return generate.events(answer, words)
    at_once = _chunk(ask, answer, {"role": "assistant", "content": ""})
    if words.hasty:
        at_once += _chunk(ask, answer, {"content": words.hasty})
    tokens = [
        _chunk(ask, answer, {"content": piece}, **_token_ids(ask, [token]))
        for piece, token in zip(words.pieces, words.ids, strict=True)
    ]
    end = _chunk(ask, answer, {}, finish_reason="stop")
    if ask.include_usage:
        end += _event({**_head(ask, answer, ".chunk"), "choices": [], "usage": _usage(answer, words)})
    return [at_once, *tokens, end + b"data: [DONE]\n\n"]


def error(message: str, kind: str) -> bytes:
    """Return an error document."""
    return msgspec.json.encode({"error": {"message": message, "type": kind}})


def _head(ask: Ask, answer: Answer, part: str = "") -> dict[str, Any]:
    """Return what a reply and each of its chunks begin with; `part` is what chat calls a chunk by."""
    name, kind = ("cmpl", "text_completion") if ask.kind == "text" else ("chatcmpl", f"chat.completion{part}")
    return {"id": f"{name}-{answer.id}", "object": kind, "created": answer.created_s, "model": ask.model}


def _chunk(ask: Ask, answer: Answer, delta: dict[str, str], finish_reason: str | None = None, **fields: Any) -> bytes:
    text_field = {"text": delta.get("content", "")} if ask.kind == "text" else {"delta": delta}
    choice = {"index": 0, **text_field, "finish_reason": finish_reason, **fields}
    return _event({**_head(ask, answer, ".chunk"), "choices": [choice]})


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(document) + b"\n\n"


def _token_ids(ask: Ask, ids: Sequence[int]) -> dict[str, Any]:
    """Return the field of a choice in which vLLM gives its tokens to those who ask for them."""
    return {"token_ids": ids} if ask.return_token_ids else {}


def _usage(answer: Answer, words: Output) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.n_prompt_words,
        "completion_tokens": words.n_reported,
        "total_tokens": answer.n_prompt_words + words.n_reported,
        "prompt_tokens_details": {"cached_tokens": answer.cached_words},
    }


def _video(config: SimulatedConfig, ask: Ask, answer: Answer) -> _Body:
    kind = "base64" if config.video_reply == "path" and ask.wants_video_bytes else config.video_reply
    if kind == "raw":
        return _Body(_mp4(answer), "video/mp4")
    if kind == "base64":
        video = {"video_bytes": base64.b64encode(_mp4(answer)).decode()}
    else:
        video = {"video_path": f"/simulated/videos/{answer.id}.mp4"}
    return _Body(msgspec.json.encode({"video_id": f"video_{answer.id}", **video}), "application/json")


def _mp4(answer: Answer) -> bytes:
    """Return a file that begins as MP4 does and goes on with noise in one `mdat` box; equal prompts, equal bytes."""
    noise = hashlib.shake_128(answer.source).digest(_VIDEO_BYTES - len(_FTYP) - 8)
    return _FTYP + (len(noise) + 8).to_bytes(4, "big") + b"mdat" + noise
