"""OpenAI's embeddings, as vLLM gives them. Pure."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Annotated, Any, Final, Literal

import msgspec

from ....config.endpoint import SimulatedConfig
from ..exchange import Answer, Ask
from . import parts
from .contract import BadRequestError, Body, Format, Request, json_body

_N_NUMBERS: Final = 16


class _EmbeddingsRequest(msgspec.Struct):
    input: str | list[Any]
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=4096)] | None = None


class _Wants(msgspec.Struct, frozen=True, gc=False):
    base64: bool
    n_numbers: int


_REQUEST = msgspec.json.Decoder(_EmbeddingsRequest)


def _read(request: Request) -> Ask:
    """Read a text, a list of texts, a list of token ids, or a list of such lists."""
    asked = _REQUEST.decode(request.body)
    given = asked.input
    if isinstance(given, str) or _are_ids(given):
        given = [given]
    texts = [_text(one) for one in given]
    if not texts or not all(text.strip() for text in texts):
        raise BadRequestError("the input is empty")
    wants = _Wants(asked.encoding_format == "base64", asked.dimensions or _N_NUMBERS)
    return request.ask(parts.joined(texts), model=asked.model, wants=wants)


def _text(given: Any) -> str:
    """Return a text, or token ids as one: each is a word."""
    if isinstance(given, str):
        return given
    if _are_ids(given):
        return " ".join(map(str, given))
    raise BadRequestError("the input is neither texts nor token ids")


def _are_ids(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(type(one) is int for one in given)


def _reply(_config: SimulatedConfig, ask: Ask, answer: Answer) -> Body:
    data = [
        {"index": at, "object": "embedding", "embedding": _embedding(ask.wants, parts.source(answer, text))}
        for at, text in enumerate(parts.texts(answer))
    ]
    return json_body(
        {
            "id": f"embd-{answer.id}",
            "object": "list",
            "created": answer.created_s,
            "model": ask.model,
            "data": data,
            "usage": {
                "prompt_tokens": answer.n_prompt_words,
                "total_tokens": answer.n_prompt_words,
                "completion_tokens": 0,
                "prompt_tokens_details": None,
            },
        }
    )


def _embedding(wants: _Wants, source: bytes) -> list[float] | str:
    """Return numbers from -1 to 1, each of 16 bits so that a float32 holds it; or these as little-endian float32."""
    noise = hashlib.shake_128(source).digest(2 * wants.n_numbers)
    numbers = [number / 2**15 for (number,) in struct.iter_unpack("<h", noise)]
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode() if wants.base64 else numbers


FORMAT = Format(name="embeddings", paths=("/v1/embeddings",), read=_read, reply=_reply)
