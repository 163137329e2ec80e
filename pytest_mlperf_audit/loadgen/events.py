"""A detail log as LoadGen leaves it: every line an event, all of them decoded at once.

Nearly all published logs are such, and a round has thousands: lines taken one by one cost ten times as much. Whatever
is odd about a log is for `detail`, which reads line by line and says what it found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from ..errors import RecordError
from .text import read_plain

#: What begins a line of each kind of log.
MARKERS: Final = (":::MLLOG", ":::ENDPTS")
#: A larger log is read in pieces.
_LIMIT_BYTES: Final = 4 * 1024 * 1024
#: Of a longer line, which holds a list of thousands of samples, these are what can be anything but figures.
_HEAD: Final = 512
_TAIL: Final = 1024
_FIGURES: Final = frozenset(b"0123456789,")
_NULL: Final = msgspec.Raw(b"null")


class _Metadata(msgspec.Struct, frozen=True, gc=False):
    is_error: bool
    is_warning: bool


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event; its value is JSON that is decoded where somebody asks for it."""

    key: str
    metadata: _Metadata
    value: msgspec.Raw = _NULL


_decoder = msgspec.json.Decoder(Event)


class Events(NamedTuple):
    """A log that is as LoadGen writes one: its `data`, its events, and where the JSON text of each lies in `data`."""

    data: bytes
    events: list[Event]
    spans: list[tuple[int, int]]

    @property
    def n_errors(self) -> int:
        """How many events are errors."""
        return sum([event.metadata.is_error for event in self.events])

    @property
    def n_warnings(self) -> int:
        """How many events are warnings."""
        return sum([event.metadata.is_warning for event in self.events])


def read_events(path: Path) -> Events | None:
    """Return a log that is as LoadGen writes one, None for any other, and for one that cannot be read."""
    try:
        return events_of(read_plain(path, _LIMIT_BYTES))
    except (OSError, RecordError):
        return None


def events_of(data: bytes) -> Events | None:
    """Return the events of a log, None unless every line of it is one event as LoadGen spells it.

    That is ASCII without odd line ends and NUL bytes, each line `:::MLLOG {"key": "...", ...}`, and JSON. Then nothing
    in it can be read in two ways: key and flags are named once in each line.
    """
    marker = next((name.encode() for name in MARKERS if data.startswith(name.encode())), b"")
    if not marker or not data.isascii() or b"\r" in data or b"\0" in data:
        return None
    spans = _spans(data, marker + b" ")
    if not spans or not _are_named_once(_spoken(data, spans), len(spans)):
        return None
    view = memoryview(data)
    try:
        events = [_decoder.decode(view[start:end]) for start, end in spans]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return Events(data, events, spans)


def _spans(data: bytes, marker: bytes) -> list[tuple[int, int]]:
    """Return where each line's object lies, [] where a line is none."""
    spans = []
    begin, at = marker + b'{"key": "', 0
    while at < len(data):
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        if not (data.startswith(begin, at) and data.endswith(b"}", at, end)):
            return []
        spans.append((at + len(marker), end))
        at = end + 1
    return spans


def _are_named_once(text: bytes, n_lines: int) -> bool:
    """Whether key and flags, which each event has, are each named in one place of it, and spelt plainly there."""
    return b"\\u" not in text and all(
        text.count(name) == n_lines for name in (b'"key"', b'"is_error"', b'"is_warning"')
    )


def _spoken(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    """Return a log without what lies between the ends of a long line where that is a list of figures."""
    pieces, at = [], 0
    for start, end in spans:
        low, high = start + _HEAD, end - _TAIL
        if low < high and data[low] in _FIGURES and data.find(b'"', low, high) < 0 and data.find(b"\\", low, high) < 0:
            pieces.append(data[at:low])
            at = high
    return b"".join([*pieces, data[at:]])
