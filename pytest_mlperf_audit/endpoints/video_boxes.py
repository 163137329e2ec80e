"""Whether a video that arrives piece by piece is whole, by the lengths it states of itself. Pure, and holds 16 bytes.

MP4 (ISO/IEC 14496-12, 4.2): boxes of a 32-bit length, a type, and where the length is 1 a 64-bit one; 0 means "to the
end of the file". AVI: one RIFF chunk. What neither says anything of is taken for whole.
"""

from __future__ import annotations

_HEAD = 8
_LONG_HEAD = 16
_RIFF_UNKNOWN = (0, 2**32 - 1)


class VideoLength:
    """Takes the pieces of a video that begins as MP4 or AVI."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._has_media = False
        self._open_ended = False

    def feed(self, data: bytes | bytearray) -> None:
        """Take the next piece."""
        at = 0
        while at < len(data) and not self._open_ended:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
            else:
                step = min(self._wanted() - len(self._head), len(data) - at)
                self._head += bytes(data[at : at + step])
                if len(self._head) == self._wanted():
                    self._begin_box()
            at += step

    def _wanted(self) -> int:
        return _LONG_HEAD if len(self._head) >= _HEAD and self._head[:4] == b"\x00\x00\x00\x01" else _HEAD

    def _begin_box(self) -> None:
        head, self._head = self._head, b""
        if head[:4] == b"RIFF":
            length, kind = int.from_bytes(head[4:8], "little"), b"mdat"
            self._open_ended = length in _RIFF_UNKNOWN
            self._left = length
        else:
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            length = int.from_bytes(head[8:16], "big") if len(head) == _LONG_HEAD else length
            self._open_ended = length < len(head)
            self._left = max(0, length - len(head))
        self._has_media = self._has_media or kind == b"mdat" or self._open_ended

    def lacks(self) -> str:
        """Return what is missing at the end of the video, "" where it is whole."""
        if self._open_ended:
            return ""
        if self._left:
            return f"{self._left} bytes of the box that it ends in"
        if self._head:
            return "the end of a box's head"
        return "" if self._has_media else "its media (there is no mdat box)"
