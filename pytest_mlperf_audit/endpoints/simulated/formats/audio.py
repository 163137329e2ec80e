"""OpenAI's transcriptions: a form with a sound in it. Pure.

What is said depends on the file's bytes alone, its name left out. A stream has OpenAI's events.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ....config.endpoint import SimulatedConfig
from ..exchange import Answer, Ask
from ..model import output
from . import binary, sse
from .contract import BadRequestError, Body, Format, Request, json_body

_FORMS: Final = ("json", "text", "verbose_json")
_BOUNDARY: Final = re.compile(r'multipart/form-data\s*;.*?boundary="?([^";]+)', re.IGNORECASE)
_NAME: Final = re.compile(rb'\bname="([^"]*)"')
_N_STRETCHES: Final = 16
#: What a segment says of itself besides.
_SURE: Final = {"temperature": 0.0, "avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.0}
#: Bytes of a second, as of 16 bits at 16 kHz.
_BYTES_A_SECOND: Final = 32_000


class _Wants(msgspec.Struct, frozen=True, gc=False):
    """`response_format` is one of the API's; `seconds` is about how long the sound lasts."""

    response_format: str
    seconds: float


def _read(request: Request) -> Ask:
    parts = _parts(request)
    data, fields = parts.get("file"), {name: part.decode(errors="replace") for name, part in parts.items()}
    if not data:
        raise BadRequestError("the form has no file", 422)
    form = fields.get("response_format", "json")
    if form not in _FORMS:
        raise BadRequestError(f"response_format must be one of {', '.join(_FORMS)}")
    return request.ask(
        f"{_heard(data)} {binary.text_of(data, 1)}",
        model=fields.get("model", ""),
        stream=fields.get("stream", "").lower() == "true",
        wants=_Wants(form, round(len(data) / _BYTES_A_SECOND, 3)),
    )


def _heard(data: bytes) -> str:
    """Return words that sounds which nobody could tell apart share, as a rule: how loud they are, stretch by stretch.

    A cache that goes by all words but the last, which is a digest, so takes a sound with a little noise for the same.
    """
    high = data[1::2]  # the higher bytes of 16 bits
    stretch = max(1, -(-len(high) // _N_STRETCHES))
    return " ".join(str(sum(high[at : at + stretch]) >> 6) for at in range(0, len(high), stretch))


def _parts(request: Request) -> Mapping[str, bytes]:
    """Return the parts of a form by their names. Raises BadRequestError."""
    found = _BOUNDARY.match(request.headers.get("Content-Type", ""))
    if found is None:
        raise BadRequestError("the request is no multipart/form-data", 422)
    mark = b"\r\n--" + found[1].encode()
    parts: dict[str, bytes] = {}
    for part in (b"\r\n" + request.body).split(mark)[1:]:
        head, _, data = part.partition(b"\r\n\r\n")
        if (name := _NAME.search(head)) is not None:
            parts[name[1].decode(errors="replace")] = data
    return parts


def _reply(config: SimulatedConfig, ask: Ask, answer: Answer) -> Body:
    wants: _Wants = ask.wants
    said = output(config, answer)
    if wants.response_format == "text":
        return Body(said.text.encode(), "text/plain")
    usage = {"type": "duration", "seconds": math.ceil(wants.seconds)}
    if wants.response_format == "json":
        return json_body({"text": said.text, "usage": usage})
    segment = {"id": 0, "seek": 0, "start": 0.0, "end": wants.seconds, "text": said.text, "tokens": said.ids, **_SURE}
    about = {"task": "transcribe", "language": "english", "duration": wants.seconds}
    return json_body({**about, "text": said.text, "segments": [segment], "usage": usage})


def _events(config: SimulatedConfig, _ask: Ask, answer: Answer) -> list[bytes]:
    said = output(config, answer)
    deltas = [_event("delta", delta=piece) for piece in said.pieces if piece]
    n_tokens = {"input_tokens": answer.n_prompt_words, "output_tokens": said.n_reported}
    usage = {"type": "tokens", **n_tokens, "total_tokens": sum(n_tokens.values())}
    return [b"", *deltas, _event("done", text=said.text, usage=usage)]


def _event(kind: str, **members: Any) -> bytes:
    return sse.event({"type": f"transcript.text.{kind}", **members})


FORMAT = Format(name="audio", paths=("/v1/audio/transcriptions",), read=_read, reply=_reply, events=_events)
