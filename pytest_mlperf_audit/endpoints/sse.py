"""Server-sent events (WHATWG HTML, 9.2.6), from pieces of a body cut anywhere. Pure."""

from __future__ import annotations

from .failures import GAVE_UP

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_NAME = 100


class ErrorEvent(bytes):
    """The data of an event whose name says that the server failed, or its name where it has no data."""


class StrayObject(bytes):
    """A line between the fields that begins as a JSON object does: no event, but servers write errors so."""


class EventParser:
    """Yields the data of each event; ids and retry times play no part in the APIs read here, names that of an error.

    Lines may end in LF, CRLF or CR. Work is linear in the bytes fed, however small the pieces. llama.cpp's server had
    a field of its own, `error`, in place of an event of that name.
    """

    def __init__(self) -> None:
        self._begun_line = bytearray()
        self._data: list[bytes] = []
        self._after_cr = False
        self._first = True
        self._error_name = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next piece of the body and return the data of every event that ended in it."""
        if self._after_cr and piece:
            self._after_cr = False
            piece = piece.removeprefix(b"\n")
        if b"\r" in piece:
            self._after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = piece.split(b"\n")
        rest = lines.pop()
        if lines and self._begun_line:
            lines[0] = bytes(self._begun_line) + lines[0]
            self._begun_line.clear()
        events: list[bytes] = []
        for line in lines:
            self._take_line(line, events)
        self._begun_line += rest
        return events

    def flush(self) -> list[bytes]:
        """Return the event that the body ended in without the empty line that was due, if any."""
        events: list[bytes] = []
        self._take_line(bytes(self._begun_line), events)
        self._begun_line.clear()
        self._end_of_event(events)
        return events

    def _take_line(self, line: bytes, events: list[bytes]) -> None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif not line:
            self._end_of_event(events)
        elif line == b"data":
            self._data.append(b"")
        elif line.startswith(b"event:"):
            name = line[6:].strip()
            self._error_name = name if GAVE_UP.search(name[:_LONGEST_NAME].decode("latin-1")) else b""
        elif line.startswith(b"error:"):
            events.append(ErrorEvent(line[6:].strip()))
        elif line.startswith(b"{"):
            events.append(StrayObject(line))

    def _end_of_event(self, events: list[bytes]) -> None:
        data = b"\n".join(self._data)
        if self._error_name:
            events.append(ErrorEvent(data.strip() or b"event: " + self._error_name))
        elif self._data:
            events.append(data)
        self._data = []
        self._error_name = b""
