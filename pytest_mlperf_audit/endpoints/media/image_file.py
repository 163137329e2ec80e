"""One image as it arrives: its digest, its size, and whether it came whole. Pure; an image is never held.

Formats: PNG (ISO/IEC 15948: chunks with a CRC each, IHDR first, IEND last), JPEG (ITU-T T.81: SOI, a frame header,
EOI) and WebP (RFC 9649: one RIFF chunk that says how long it is). What decoders make of the pixels is not looked at.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Final, NamedTuple

from ..base import BadReplyError
from ..replies import bad

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
#: Bytes at the start of a file that tell its format.
N_TELLING: Final = 12
#: A JPEG's frame header stands behind its metadata; of so many bytes it is looked for.
_MOST_HEAD: Final = 2**17
#: Bytes at its end in which that is looked for, since some writers fill up the last block.
_TAIL: Final = 16
_CHUNK_HEAD: Final = 8
_CRC: Final = 4
#: Frame headers, SOF0 to SOF15 without the tables between them (DHT, JPG, DAC).
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Markers without a length: TEM, RST0 to RST7, SOI.
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})


class Image(NamedTuple):
    """A whole image: 128 bits of its bytes' SHA-256 in hex, and its size as WIDTHxHEIGHT, None where it hides it."""

    digest: str
    size: str | None


def begins_image(data: bytes | bytearray) -> bool:
    """Whether bytes begin as an image does; N_TELLING of them are enough."""
    return data.startswith((_PNG, _JPEG)) or _is_webp(data)


def _is_webp(data: bytes | bytearray) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


class ImageFile:
    """Takes the pieces of an image of whatever format."""

    def __init__(self) -> None:
        self.n_bytes = 0
        self._hash = hashlib.sha256()
        self._head = bytearray()
        self._end = b""
        self._png: _PngChunks | None = None
        self._bad: BadReplyError | None = None

    def feed(self, data: bytes | bytearray) -> None:
        """Take the next piece. What is wrong with it is told by `close`."""
        self._hash.update(data)
        self.n_bytes += len(data)
        if self._bad is None:
            try:
                self._look_at(data)
            except BadReplyError as error:
                self._bad = error

    def _look_at(self, data: bytes | bytearray) -> None:
        if self._png is not None:
            self._png.feed(data)
            return
        self._end = (self._end + bytes(data[-_TAIL:]))[-_TAIL:]
        had = len(self._head)
        if had < N_TELLING <= had + len(data):
            self._begin(bytes(self._head) + data)
        if self._png is None:
            self._head += data[: max(0, _MOST_HEAD - had)]

    def _begin(self, data: bytes) -> None:
        if not begins_image(data):
            raise bad("malformed", "the reply has a file that is no PNG, JPEG or WebP image")
        if data.startswith(_PNG):
            self._png = _PngChunks()
            self._png.feed(data[len(_PNG) :])

    def close(self) -> Image:
        """Return the image once all of it has come. Raises BadReplyError: truncated, or malformed."""
        if self._bad is not None:
            raise self._bad
        if self.n_bytes < N_TELLING:
            raise bad("malformed", "the reply has a file that is no PNG, JPEG or WebP image")
        if self._png is not None:
            self._png.close()
            size = self._png.size
        elif self._head.startswith(_JPEG):
            if not self._end.rstrip(b"\0\r\n").endswith(b"\xff\xd9"):
                raise bad("truncated", "the JPEG image lacks its end")
            size = _jpeg_size(self._head)
        else:
            lacking = int.from_bytes(self._head[4:8], "little") + _CHUNK_HEAD - self.n_bytes
            if lacking > 0:
                raise bad("truncated", f"the WebP image lacks {lacking} bytes")
            size = _webp_size(self._head)
        return Image(self._hash.hexdigest()[:32], f"{size[0]}x{size[1]}" if size else None)


class _PngChunks:
    """Walks the chunks of a PNG behind its signature; a length, a type, data and a CRC each."""

    def __init__(self) -> None:
        self.size: tuple[int, int] | None = None
        self._head = b""
        self._left = 0
        self._crc = 0
        self._kind = b""
        self._sum = b""
        self._first = b""
        self._has_data = self._is_over = False

    def feed(self, data: bytes | bytearray) -> None:
        """Take the next piece; what follows the last chunk is passed over. Raises BadReplyError("malformed")."""
        view, at = memoryview(data), 0
        while at < len(view) and not self._is_over:
            at += self._take(view[at:])

    def _take(self, data: memoryview) -> int:
        """Take some of what there is; return how many bytes."""
        if not self._kind:
            step = min(_CHUNK_HEAD - len(self._head), len(data))
            self._head += bytes(data[:step])
            if len(self._head) == _CHUNK_HEAD:
                self._begin_chunk()
        elif self._left:
            step = min(self._left, len(data))
            self._crc = zlib.crc32(data[:step], self._crc)
            self._first += bytes(data[: max(0, min(step, 8 - len(self._first)))])
            self._left -= step
        else:
            step = min(_CRC - len(self._sum), len(data))
            self._sum += bytes(data[:step])
            if len(self._sum) == _CRC:
                self._end_chunk()
        return step

    def _begin_chunk(self) -> None:
        self._left, self._kind = int.from_bytes(self._head[:4], "big"), self._head[4:]
        self._crc, self._head, self._sum, self._first = zlib.crc32(self._kind), b"", b"", b""
        if self.size is None and self._kind != b"IHDR":
            raise bad("malformed", "the PNG image does not begin with its header (IHDR)")

    def _end_chunk(self) -> None:
        if int.from_bytes(self._sum, "big") != self._crc:
            raise bad("malformed", f"the PNG image is broken: the CRC of chunk {self._kind!r} is wrong")
        if self._kind == b"IHDR":
            self.size = int.from_bytes(self._first[:4], "big"), int.from_bytes(self._first[4:8], "big")
        self._has_data |= self._kind == b"IDAT"
        self._is_over = self._kind == b"IEND"
        self._kind = b""

    def close(self) -> None:
        """Raise BadReplyError unless the last chunk has come, and pixels before it."""
        if not self._is_over:
            raise bad("truncated", "the PNG image lacks its end")
        if not self._has_data:
            raise bad("malformed", "the PNG image has no pixels (no IDAT)")


def _jpeg_size(head: bytes | bytearray) -> tuple[int, int] | None:
    """Return width and height by the frame header; None where it stands too far behind, or is not found."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker in _FRAMES:
            return int.from_bytes(head[at + 7 : at + 9], "big"), int.from_bytes(head[at + 5 : at + 7], "big")
        if marker == 0xFF:  # a filler
            at += 1
        else:
            at += 2 + (0 if marker in _BARE else int.from_bytes(head[at + 2 : at + 4], "big"))
    return None


def _webp_size(head: bytes | bytearray) -> tuple[int, int] | None:
    """Return width and height by the first chunk: lossy, lossless, or extended."""
    kind, body = bytes(head[12:16]), head[20:]
    if len(body) < 10:
        return None
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        return width, height
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        width, height = (int.from_bytes(body[at : at + 3], "little") + 1 for at in (4, 7))
        return width, height
    return None
