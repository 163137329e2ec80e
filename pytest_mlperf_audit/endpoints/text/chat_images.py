"""Images in the rows of chat APIs: files, bytes and URLs become `image_url` parts with the bytes in them.

A row has them in a column `image` or `images`, or as `image_url` parts of its own messages. Files are read when a
request is made, so that none is held. A URL with http is sent as it is: the server fetches it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ..base import Row

COLUMNS: Final = ("image", "images")

_Find = Callable[[str], Path]
_REMOTE: Final = re.compile(r"https?://", re.IGNORECASE)
_DATA: Final = re.compile(r"data:(?P<kind>image/[\w.+-]+);base64,(?P<data>.*)", re.DOTALL)
#: What image files begin with.
_KINDS: Final = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"), (b"BM", "bmp"))
_LONGEST_PATH: Final = 4096
#: Changed images are kept, since an audit repeats them: so many, of about a megabyte each.
_KEPT: Final = 64


class ImageError(Exception):
    """What a row gives is no image that can be sent; the message says why."""


def images_problem(row: Row, find: _Find) -> str | None:
    """Return what keeps a row's images from being sent, or None."""
    for column in COLUMNS:
        if (given := row.get(column)) is None:
            continue
        try:
            for one in _listed(given):
                _url(one, find)
        except ImageError as error:
            return f"column {column!r} {error}"
    try:
        for part in _own_parts(row):
            _url(_url_of(part), find)
    except ImageError as error:
        return f"a part of its messages {error}"
    return None


def with_images(row: Row, find: _Find, seed: str = "") -> Row:
    """Return a row whose images stand as parts in its prompt or in its last message of the user, before the text.

    With a `seed`, each image has one pixel changed by it and is a PNG file, but for those that a server fetches.
    """
    given = [_url(one, find, seed) for column in COLUMNS for one in _listed(row.get(column))]
    if not given and not any(True for _ in _own_parts(row)):
        return row
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in given]
    row = {column: value for column, value in row.items() if column not in COLUMNS}
    if (messages := row.get("messages")) is None:
        return {**row, "prompt": [*parts, *_parts(row.get("prompt"), find, seed)]}
    messages = [_with_own(message, find, seed) for message in messages]
    last = max((at for at, one in enumerate(messages) if one.get("role") == "user"), default=None)
    if parts and last is not None:
        messages[last] = {**messages[last], "content": [*parts, *_parts(messages[last].get("content"), find, seed)]}
    return {**row, "messages": messages}


def has_images(row: Row) -> bool:
    """Whether a row without a problem has images whose bytes are here, so that they can be changed."""
    given = [one for column in COLUMNS for one in _listed(row.get(column))]
    urls = [*given, *(_url_of(part) for part in _own_parts(row))]
    return any(not isinstance(one, str) or not _REMOTE.match(one) for one in urls)


def _listed(given: Any) -> Sequence[Any]:
    return () if given is None else given if isinstance(given, list) else [given]


def _contents(row: Row) -> Iterator[Any]:
    messages = row.get("messages")
    if messages is None:
        yield row.get("prompt")
    elif isinstance(messages, list):
        yield from (one.get("content") for one in messages if isinstance(one, Mapping))


def _own_parts(row: Row) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of a row's own messages that are images."""
    for content in _contents(row):
        for part in content if isinstance(content, list) else ():
            if isinstance(part, Mapping) and part.get("type") == "image_url":
                yield part


def _url_of(part: Mapping[str, Any]) -> Any:
    image = part.get("image_url")
    return image.get("url") if isinstance(image, Mapping) else image


def _with_own(message: Mapping[str, Any], find: _Find, seed: str) -> Mapping[str, Any]:
    content = message.get("content")
    return {**message, "content": _parts(content, find, seed)} if isinstance(content, list) else message


def _parts(content: Any, find: _Find, seed: str) -> list[Any]:
    """Return content as parts, images of its own with their bytes."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    made = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, Mapping) and part.get("type") == "image_url":
            image = part.get("image_url")
            further = image if isinstance(image, Mapping) else {}
            part = {**part, "image_url": {**further, "url": _url(_url_of(part), find, seed)}}  # noqa: PLW2901
        made.append(part)
    return made


def _url(given: Any, find: _Find, seed: str = "") -> str:
    """Return an image as a URL: one with its bytes, or that of another server. Raises ImageError."""
    if isinstance(given, str) and (_REMOTE.match(given) or (not seed and given.startswith("data:"))):
        return given
    data = _bytes(given, find)
    if (kind := next((kind for start, kind in _KINDS if data.startswith(start)), None)) is None:
        raise ImageError("is no PNG, JPEG, GIF, WebP or BMP image")
    if seed:
        data, kind = _changed(data, seed), "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _bytes(given: Any, find: _Find) -> bytes:
    """Return an image's bytes: of a file, a data: URL, base64, or as tables of images have them ({"bytes": ...})."""
    if isinstance(given, Mapping):
        given = given.get("bytes") or given.get("path")
    if not isinstance(given, str) or not given.strip():
        raise ImageError("is neither a file's path, nor base64, nor a URL")
    if data := _DATA.fullmatch(given):
        return _decoded(data["data"])
    if len(given) <= _LONGEST_PATH:
        try:
            return find(given).read_bytes()
        except (OSError, ValueError) as error:
            if len(given) < 64 or "." in given:  # no image is so short; base64 has no dot
                raise ImageError(f"cannot be read: {error}") from None
    return _decoded(given)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("is no base64") from None


@lru_cache(maxsize=_KEPT)
def _changed(data: bytes, seed: str) -> bytes:
    """Return an image as a PNG of which one pixel is another by a level or so, drawn by a seed. Raises ImageError."""
    try:
        from PIL import Image  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise ImageError("needs Pillow to be changed; pip install 'pytest-mlperf-audit[images]'") from None
    try:
        with Image.open(io.BytesIO(data)) as opened:
            image = opened.convert("RGB")
    except Exception as error:  # noqa: BLE001 - Pillow lets through what its parsers of broken files raise, and refuses bombs
        raise ImageError(f"cannot be read: {error}") from None
    drawn = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=16).digest(), "big")
    width, height = image.size
    drawn, x = divmod(drawn, width)
    drawn, y = divmod(drawn, height)
    pixel = image.getpixel((x, y))
    assert isinstance(pixel, tuple), "an image of three bands"
    levels = []
    for level in pixel[:3]:
        drawn, step = divmod(drawn, 16)
        levels.append(level - 1 - step if level >= 128 else level + 1 + step)
    image.putpixel((x, y), (levels[0], levels[1], levels[2]))
    made = io.BytesIO()
    image.save(made, "PNG", compress_level=1)
    return made.getvalue()
