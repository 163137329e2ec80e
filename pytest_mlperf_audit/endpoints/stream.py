"""A streamed reply, as every API of server-sent events has it: when it began, when it is whole, what is wrong. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .base import BadReplyError, Reply, ReplyDecoder
from .failures import error_text, failure
from .replies import BYTE_ORDER_MARK, LONGEST_MARK, bad, read_object, refuse_coded
from .sse import ErrorEvent, EventParser, StrayObject


class EventStream(ABC):
    """Reads a streamed reply, event by event; a subclass says what is in an event.

    A stream is whole with `[DONE]` or where the subclass has seen it finish; else it is `truncated`. A server that
    ignores `stream` and sends one JSON document is read as such, and its reply has no time of a first token.
    """

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
    def _take(self, event: bytes) -> bool:
        """Take in an event; return whether the output has begun by it. Raises BadReplyError."""

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
                self._take_all(self._events.feed(data))
            except BadReplyError as error:
                self._bad = error

    def _start(self, data: bytes) -> bytes:
        """Return what came so far without white space before it; nothing until it is more than the start of a BOM."""
        self._head = (self._head + data).lstrip()
        return b"" if len(self._head) <= len(BYTE_ORDER_MARK) and BYTE_ORDER_MARK.startswith(self._head) else self._head

    def _take_all(self, events: list[bytes]) -> None:
        for raw in events:
            if self._done:
                return
            _refuse_failure(raw)
            event = raw.strip()
            if isinstance(raw, StrayObject):
                continue
            if event == b"[DONE]":
                self._done = True
            elif event:
                self._any_event = True
                if self._take(event) and self._first_token_ns is None:
                    self._first_token_ns = self._at_ns

    def _take_unended(self) -> None:
        """Take a last event whose empty line is missing; half of one is what `truncated` is for, not `malformed`."""
        try:
            self._take_all(self._events.flush())
        except BadReplyError as error:
            if error.reason == "server_error":
                self._bad = error

    def finish(self) -> Reply:
        """Return the reply. Raises BadReplyError."""
        if self._document is not None:
            return self._document.finish()
        if self._bad is None:
            self._take_unended()
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
    if isinstance(event, ErrorEvent):
        said = read_object(event)
        raise bad("server_error", event.decode("utf-8", "replace") if said is None else error_text(said))
    if (
        isinstance(event, StrayObject)
        and (said := read_object(event))
        and (wrong := failure(said, answers="choices" in said))
    ):
        raise bad("server_error", wrong)
