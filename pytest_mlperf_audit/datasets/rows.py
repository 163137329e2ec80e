"""Rows: every row as JSON bytes in one buffer, 16 bytes of index each."""

from __future__ import annotations

from array import array
from typing import Any

import msgspec

_DECODE = msgspec.json.Decoder(dict[str, Any]).decode
_ENCODE = msgspec.json.Encoder().encode


class Rows:
    """An append-only list of JSON objects; `line` is where a row began in its file, or its number in it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._ends = array("Q", [0])
        self._lines = array("Q")

    def append(self, row: dict[str, Any], line: int, raw: bytes | None = None) -> None:
        """Add a row; `raw` is its JSON where the file has it already."""
        self._buffer += _ENCODE(row) if raw is None else raw
        self._ends.append(len(self._buffer))
        self._lines.append(line)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of a data set of {len(self)} rows")
        with memoryview(self._buffer) as view, view[self._ends[index] : self._ends[index + 1]] as raw:
            return _DECODE(raw)

    def line(self, index: int) -> int:
        """Return the line, or number, that row `index` was added with."""
        return self._lines[index]
