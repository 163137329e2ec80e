"""The endpoints tool's video generation. Pure."""

from __future__ import annotations

import base64
import hashlib
from typing import Final, NamedTuple

import msgspec

from ....config.endpoint import SimulatedConfig
from ..exchange import Answer, Ask
from .contract import Body, Format, Request, json_body

#: Bytes of a simulated video; enough to be one, and little enough not to measure the network.
_VIDEO_BYTES: Final = 4096

_FTYP: Final = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42"


class _VideoRequest(msgspec.Struct):
    prompt: str
    response_format: str = "video_path"


class _Wants(NamedTuple):
    video_bytes: bool


_REQUEST = msgspec.json.Decoder(_VideoRequest)


def _read(request: Request) -> Ask:
    video = _REQUEST.decode(request.body)
    return request.ask(video.prompt, wants=_Wants(video.response_format == "video_bytes"))


def _reply(config: SimulatedConfig, ask: Ask, answer: Answer) -> Body:
    kind = "base64" if config.video_reply == "path" and ask.wants.video_bytes else config.video_reply
    if kind == "raw":
        return Body(_mp4(answer), "video/mp4")
    if kind == "base64":
        video = {"video_bytes": base64.b64encode(_mp4(answer)).decode()}
    else:
        video = {"video_path": f"/simulated/videos/{answer.id}.mp4"}
    return json_body({"video_id": f"video_{answer.id}", **video})


def _mp4(answer: Answer) -> bytes:
    """Return a file that begins as MP4 does and goes on with noise in one `mdat` box; equal prompts, equal bytes."""
    noise = hashlib.shake_128(answer.source).digest(_VIDEO_BYTES - len(_FTYP) - 8)
    return _FTYP + (len(noise) + 8).to_bytes(4, "big") + b"mdat" + noise


FORMAT = Format(name="video", paths=("/v1/videos/generations",), read=_read, reply=_reply)
