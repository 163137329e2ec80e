"""OpenAI's image generation, with the settings that servers of diffusion models add under one name or the other. Pure.

A name that it does not know is ignored, as there.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import zlib
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec

from ....config.endpoint import SimulatedConfig
from ..exchange import Answer, Ask
from .contract import BadRequestError, Body, Format, Request, json_body

#: Steps of an image that costs what the configuration says: MLPerf's of Stable Diffusion XL.
_USUAL_STEPS: Final = 20

_LARGEST_SIDE: Final = 4096
_SIZE: Final = re.compile(r"(\d{1,4})x(\d{1,4})", re.ASCII)

#: An image is so many patches high and wide, each of one colour.
_N_PATCHES: Final = 16


class _ImagesRequest(msgspec.Struct):
    prompt: str
    model: str = ""
    n: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    size: str = "64x64"
    response_format: Literal["b64_json", "url"] = "b64_json"
    seed: int | None = None
    steps: Annotated[int, msgspec.Meta(ge=1)] | None = None
    num_inference_steps: Annotated[int, msgspec.Meta(ge=1)] | None = None
    guidance: float | None = None
    guidance_scale: float | None = None
    negative_prompt: str | None = None


class _Wants(msgspec.Struct, frozen=True, gc=False):
    """`size` is width and height in pixels; `settings` is what changes an image beside the prompt."""

    n: int
    size: tuple[int, int]
    url: bool
    settings: bytes


_REQUEST = msgspec.json.Decoder(_ImagesRequest)


def _read(request: Request) -> Ask:
    asked = _REQUEST.decode(request.body)
    steps = asked.steps or asked.num_inference_steps or _USUAL_STEPS
    guidance = asked.guidance if asked.guidance_scale is None else asked.guidance_scale
    settings = msgspec.json.encode([asked.seed, steps, guidance, asked.negative_prompt])
    return request.ask(
        asked.prompt,
        model=asked.model,
        wants=_Wants(asked.n, _size(asked.size), asked.response_format == "url", settings),
        work=asked.n * steps / _USUAL_STEPS,
    )


def _size(text: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(text)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (0 < width <= _LARGEST_SIDE and 0 < height <= _LARGEST_SIDE):
        raise BadRequestError(f"size must be <width>x<height> in pixels, up to {_LARGEST_SIDE} each")
    return width, height


def _reply(_config: SimulatedConfig, ask: Ask, answer: Answer) -> Body:
    wants: _Wants = ask.wants
    name, head = ("url", "data:image/png;base64,") if wants.url else ("b64_json", "")
    images = 0 if answer.dishonest == "skipped_empty" else wants.n
    data = [{name: head + base64.b64encode(_image(wants, answer, at)).decode()} for at in range(images)]
    return json_body({"created": answer.created_s, "data": data})


def _image(wants: _Wants, answer: Answer, number: int) -> bytes:
    """Return an image whose patches have colours made from prompt, settings and its number among those of a reply."""
    source = b"%d %b\n%b" % (number, wants.settings, answer.source)
    return png(hashlib.shake_128(source).digest(3 * _N_PATCHES**2), *wants.size)


def png(colours: bytes, width: int, height: int) -> bytes:
    """Return a picture of 16 by 16 patches from its palette of 256 colours in RGB, one for each patch, row by row."""
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"PLTE", colours), (b"IDAT", _patches(width, height)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


@lru_cache(maxsize=16)
def _patches(width: int, height: int) -> bytes:
    """Return, compressed, which patch each pixel is of.

    A row that is like the one above it is zeros under PNG's filter 2, which compress to next to nothing (PNG, 3rd
    edition, 9.2).
    """
    lines = []
    above = -1
    for y in range(height):
        first = y * _N_PATCHES // height * _N_PATCHES
        if first == above:
            lines.append(b"\2" + bytes(width))
        else:
            lines.append(b"\0" + bytes(first + x * _N_PATCHES // width for x in range(width)))
        above = first
    return zlib.compress(b"".join(lines))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


FORMAT = Format(name="images", paths=("/v1/images/generations",), read=_read, reply=_reply)
