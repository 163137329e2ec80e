"""A request's body: bytes, or pieces of what is too large to be put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

#: So many bytes are handed to a connection at once.
_SLICE_BYTES = 2**18


class Pieces:
    """A body of hundreds of megabytes: pieces that are sent one behind the other, and never copied into one.

    A piece is bytes, or any other buffer: a view of a mapped file is read as it is sent. `len` is in bytes.
    """

    __slots__ = ("_length", "_views")

    def __init__(self, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
        self._views = [memoryview(piece).cast("B") for piece in pieces if len(piece)]
        self._length = sum(map(len, self._views))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[memoryview]:
        """Yield the bytes in order, up to 256 KiB at a time."""
        for view in self._views:
            for start in range(0, len(view), _SLICE_BYTES):
                yield view[start : start + _SLICE_BYTES]

    def __bytes__(self) -> bytes:
        return b"".join(self._views)


Body: TypeAlias = bytes | Pieces
