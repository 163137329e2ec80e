"""Small images as files, made by the formats' own rules, without a library."""

from __future__ import annotations

import zlib


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png(width: int = 8, height: int = 4, grey: int = 7, comment: str = "") -> bytes:
    """Return a PNG of one grey, and perhaps a comment."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 0, 0, 0, 0))
    rows = (b"\0" + bytes((grey,)) * width) * height
    said = chunk(b"tEXt", b"Comment\0" + comment.encode()) if comment else b""
    parts = chunk(b"IHDR", header), said, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg(width: int = 8, height: int = 4) -> bytes:
    """Return what has the markers of a JPEG; its pixels are none."""
    app0 = b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
    frame = b"\xff\xff\xc0\x00\x0b\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x01\x01\x11\0"
    return b"\xff\xd8" + app0 + frame + b"\xff\xda\x00\x08\x01\x01\0\0\x3f\0" + b"pixels" + b"\xff\xd9"


def webp(kind: bytes, body: bytes) -> bytes:
    """Return a WebP whose only chunk is of a kind: lossy, lossless or extended."""
    inner = b"WEBP" + kind + len(body).to_bytes(4, "little") + body
    return b"RIFF" + len(inner).to_bytes(4, "little") + inner


LOSSY = webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + (8).to_bytes(2, "little") + (4).to_bytes(2, "little") + b"pixels")
LOSSLESS = webp(b"VP8L", b"\x2f" + (7 | 3 << 14).to_bytes(4, "little") + b"pixels.")
EXTENDED = webp(b"VP8X", b"\0\0\0\0" + (7).to_bytes(3, "little") + (3).to_bytes(3, "little"))
