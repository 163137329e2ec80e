"""A reply as it arrives, one JSON document or server-sent events: when it began, when it is whole, what is wrong. Pure.

Server-sent events: WHATWG HTML, 9.2.6. A wire format subclasses DocumentDecoder and EventStream to say what is in them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from .base import BadReplyError, Reply, ReplyDecoder
from .failures import GAVE_UP, error_text, failure
from .replies import BYTE_ORDER_MARK, LONGEST_MARK, bad, parse_leniently, refuse_coded

_LONGEST_NAME = 100


class Endings:
    """Knows whether the endpoint gives finish reasons; then a reply without one was broken off.

    One for each adapter, which all phases of a run share. A count of the tokens behind the output is an ending, too:
    a server that broke a reply off does not count it.
    """

    def __init__(self) -> None:
        self._gives_reasons = False

    def check(self, *, finish_reason: str | None, counted: bool) -> None:
        """Note how a reply with output ended. Raises BadReplyError("truncated")."""
        if finish_reason:
            self._gives_reasons = True
        elif self._gives_reasons and not counted:
            raise bad("truncated", "the reply ended without the finish reason that the run's other replies have")


class DocumentDecoder(ABC):
    """Reads a reply that is one JSON document; a subclass says what is in it."""

    def __init__(self, endings: Endings, *, keep_output: bool = False) -> None:
        self._endings = endings
        self._keep_output = keep_output
        self._pieces: list[bytes] = []

    @abstractmethod
    def _read(self, body: bytes) -> Reply:
        """Return what the document says. Raises BadReplyError."""

    def feed(self, data: bytes, at_ns: int) -> None:  # noqa: ARG002 - the load engine times a whole reply itself
        """Take the next piece of the body."""
        self._pieces.append(data)

    def finish(self) -> Reply:
        """Return the reply. Raises BadReplyError."""
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        if not body.strip():
            raise bad("empty", "the reply has no body")
        return self._read(body)


class _ErrorEvent(bytes):
    """The data of an event whose name says that the server failed, or its name where it has no data."""


class _StrayObject(bytes):
    """A line between the fields that begins as a JSON object does: no event, but servers write errors so."""


class EventParser:
    """Yields the data of each event from pieces of a body cut anywhere.

    Ids and retry times play no part in the APIs read here, names that of an error. Lines may end in LF, CRLF or CR.
    Work is linear in the bytes fed, however small the pieces. llama.cpp's server had a field of its own, `error`, in
    place of an event of that name.
    """

    def __init__(self) -> None:
        self._begun_line = bytearray()
        self._data: list[bytes] = []
        self._after_cr = False
        self._first = True
        self._error_name = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next piece of the body and return the data of every event that ended in it."""
        if (plain := self._plain_events(piece)) is not None:
            return plain
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
            self._add_line(line, events)
        self._begun_line += rest
        return events

    def _plain_events(self, piece: bytes) -> list[bytes] | None:
        """Return the data of a piece of whole events of one `data: ` line each, as most are; None for any other."""
        if not (piece.startswith(b"data: ") and piece.endswith(b"\n\n")) or b"\r" in piece:
            return None
        if self._begun_line or self._data or self._error_name:
            return None
        events = piece[6:-2].split(b"\n\ndata: ")
        if b"\n" in (events[0] if len(events) == 1 else b"".join(events)):
            return None
        self._first = self._after_cr = False
        return events

    def flush(self) -> list[bytes]:
        """Return the event that the body ended in without the empty line that was due, if any."""
        events: list[bytes] = []
        self._add_line(bytes(self._begun_line), events)
        self._begun_line.clear()
        self._end_of_event(events)
        return events

    def _add_line(self, line: bytes, events: list[bytes]) -> None:
        if self._first:
            self._first = False
            line = line.removeprefix(BYTE_ORDER_MARK)
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
            events.append(_ErrorEvent(line[6:].strip()))
        elif line.startswith(b"{"):
            events.append(_StrayObject(line))

    def _end_of_event(self, events: list[bytes]) -> None:
        data = b"\n".join(self._data)
        if self._error_name:
            events.append(_ErrorEvent(data.strip() or b"event: " + self._error_name))
        elif self._data:
            events.append(data)
        self._data = []
        self._error_name = b""


class EventStream(ABC):
    """Reads a streamed reply, event by event; a subclass says what is in an event.

    A stream is whole with `[DONE]` or where the subclass has seen it finish; else it is `truncated`. A server that
    ignores `stream` and sends one JSON document is read as such, and its reply has no time of a first token.
    """

    #: Whether the data of an event may be bare text, of which white space at its ends is a part.
    blanks_count: ClassVar[bool] = False

    def __init__(self, document: ReplyDecoder) -> None:
        self._if_document = document
        self._document: ReplyDecoder | None = None
        self._events = EventParser()
        self._begun = False
        self._head = b""
        self._any_event = False
        self._done = False
        self._at_ns: int | None = None
        self._first_token_ns: int | None = None
        self._bad: BadReplyError | None = None

    @abstractmethod
    def _add_event(self, event: bytes) -> bool:
        """Take in an event; return whether the output has begun by it. Raises BadReplyError."""

    def _knows(self, event: bytes) -> bool:  # noqa: ARG002 - an API with such names overrides this
        """Whether an event that has the name of a failure is one that this API has, and that _add_event judges."""
        return False

    @abstractmethod
    def _finished(self) -> bool:
        """Whether an event said that the output is complete."""

    @abstractmethod
    def _reply(self, first_token_ns: int | None) -> Reply:
        """Return what the events came to. Raises BadReplyError."""

    def feed(self, data: bytes, at_ns: int) -> None:
        """Take the next piece of the body, received at `at_ns`."""
        if self._begun:
            if len(self._head) < LONGEST_MARK:  # by its first bytes a coded reply is known, however they are cut
                self._head += data
        elif data := self._start(data):
            self._begun = True
            if data.removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"{"):
                self._document = self._if_document
        if self._document is not None:
            self._document.feed(data, at_ns)
        elif self._begun and self._bad is None and not self._done:
            self._at_ns = at_ns
            try:
                self._add_events(self._events.feed(data))
            except BadReplyError as error:
                self._bad = error

    def _start(self, data: bytes) -> bytes:
        """Return what came so far without white space before it; nothing until it is more than the start of a BOM."""
        self._head = (self._head + data).lstrip()
        return b"" if len(self._head) <= len(BYTE_ORDER_MARK) and BYTE_ORDER_MARK.startswith(self._head) else self._head

    def _add_events(self, events: list[bytes]) -> None:
        for raw in events:
            if self._done:
                return
            if type(raw) is not bytes and not (isinstance(raw, _ErrorEvent) and self._knows(raw)):
                _refuse_failure(raw)
                if isinstance(raw, _StrayObject):
                    continue
            event = raw.strip()
            if event == b"[DONE]":
                self._done = True
            elif event or (raw and self.blanks_count):
                self._any_event = True
                if self._add_event(raw if self.blanks_count else event) and self._first_token_ns is None:
                    self._first_token_ns = self._at_ns

    def _add_unended(self) -> None:
        """Take a last event whose empty line is missing; half of one is what `truncated` is for, not `malformed`."""
        try:
            self._add_events(self._events.flush())
        except BadReplyError as error:
            if error.reason == "server_error":
                self._bad = error

    def finish(self) -> Reply:
        """Return the reply. Raises BadReplyError."""
        if self._document is not None:
            return self._document.finish()
        if self._bad is None:
            self._add_unended()
        if self._bad is not None:
            raise self._bad
        if not self._begun:
            raise bad("empty", "the reply has no body")
        if not self._any_event and not self._done:
            refuse_coded(self._head, "the reply")
            raise bad("malformed", "the reply has no event of a stream in it")
        if not self._done and not self._finished():
            raise bad("truncated", "the stream ended without [DONE] and without a finish reason")
        return self._reply(self._first_token_ns)


def _refuse_failure(event: bytes) -> None:
    """Raise BadReplyError("server_error") for what is a failure by its place in the stream, whatever API it is of."""
    if isinstance(event, _ErrorEvent):
        document = _read_object(event)
        raise bad("server_error", event.decode("utf-8", "replace") if document is None else error_text(document))
    if (
        isinstance(event, _StrayObject)
        and (document := _read_object(event))
        and (wrong := failure(document, answers="choices" in document))
    ):
        raise bad("server_error", wrong)


def _read_object(data: bytes) -> Mapping[str, Any] | None:
    """Return the object that a text is, None where it is none."""
    try:
        return parse_leniently(data, "")
    except BadReplyError:
        return None
