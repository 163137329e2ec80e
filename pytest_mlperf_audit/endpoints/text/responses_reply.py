"""Replies of /v1/responses: one JSON document, or a stream of events. Pure.

Events: OpenAI's API reference, "Streaming events" of Responses. A stream says every text several times: in deltas, in
the event that ends a text, in those that end its part and its item, and in the last one. Each kind of output is read
from one sort of event, the first that brings any; the text of the others must be the same, white space apart, since no
one could say which of two is the output. A stream is whole with the response in its last event, without [DONE];
llama.cpp's events lack the members by which OpenAI's are numbered, transformers' and LiteLLM's lack their names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, Literal

import msgspec

from ..base import Reply
from ..failures import GAVE_UP, error_text, failure, may_fail
from ..replies import (
    as_count,
    as_list,
    as_mapping,
    as_text,
    as_unicode,
    as_word,
    bad,
    compact,
    parse_leniently,
    parse_strictly,
)
from ..stream import DocumentDecoder, Endings, EventStream
from .openai_parts import Message, call, counts, piece
from .openai_reply import Collector

_LAST: Final = frozenset({"response.completed", "response.incomplete"})
_GAVE_UP: Final = frozenset({"error", "response.failed", "response.cancelled", "response.error"})
#: The finish reasons of chat completions, which records have, by those of Responses.
_REASONS: Final = {"completed": "stop", "max_output_tokens": "length", "max_tokens": "length"}
_NOT_OVER: Final = frozenset({"queued", "in_progress"})
_OWN: Final = re.compile(rb'"type"\s*:\s*"response\.')
_TEXTS: Final = {"output_text": "content", "text": "content", "refusal": "refusal"}
_MESSAGES: Final[Mapping[str, Callable[[str], Message]]] = {
    "content": lambda text: Message(content=text),
    "reasoning": lambda text: Message(reasoning=text),
    "refusal": lambda text: Message(refusal=text),
}


class _TextDelta(msgspec.Struct, gc=False):
    """The event that most of a stream's are."""

    type: Literal["response.output_text.delta"]
    delta: str


_TEXT_DELTA = msgspec.json.Decoder(_TextDelta)


class _Gathered:
    """Puts a response together, from a document or from events. `whole` is whether its end has come."""

    def __init__(self, endings: Endings, *, keep_output: bool) -> None:
        self._collector = Collector(endings, keep_output=keep_output)
        self._read_from: dict[str, str] = {}
        self._copies: dict[str, hashlib._Hash] = {}
        self._calls: dict[str, int] = {}
        self.whole = False

    def add_text(self, kind: str, source: str, text: str | None) -> bool:
        """Take the text of a kind that a sort of event brings; return whether it is output that is new."""
        if not text:
            return False
        if kind == "content":
            copy = self._copies.get(source)
            if copy is None:
                copy = self._copies[source] = hashlib.sha256()
            copy.update("".join(text.split()).encode())
        if self._read_from.setdefault(kind, source) != source:
            return False
        return self._collector.add(piece(_MESSAGES[kind](text)))

    def add_event(self, event: Mapping[str, Any]) -> bool:
        """Take an event; return whether it brought output. Raises BadReplyError."""
        kind = as_word(event.get("type")) or ""
        if kind in _GAVE_UP:
            response = as_mapping(event.get("response"))
            raise bad("server_error", error_text(response.get("error") or event.get("error") or event))
        if wrong := failure(event, answers=kind.startswith("response.")):
            raise bad("server_error", wrong)
        if kind in _LAST:
            return self.add_response(as_mapping(event.get("response")), kind)
        if kind.startswith("response.output_item."):
            return self._add_item(as_mapping(event.get("item")), kind, self._place(event, "item"))
        if kind == "response.content_part.done":
            return self._add_part(as_mapping(event.get("part")), kind)
        if "response" in event:
            return self._add_head(as_mapping(event["response"]))
        return self._add_piece(event, kind)

    def _add_head(self, response: Mapping[str, Any]) -> bool:
        """Take what an event at the start says: who answers, and that nothing is wrong."""
        _refuse_failed(response)
        self._collector.add(piece(id=as_word(response.get("id")), model=as_word(response.get("model"))))
        return False

    def _add_piece(self, event: Mapping[str, Any], kind: str) -> bool:
        """Take a delta, or a text or the arguments of a call as a whole."""
        name, _, part = kind.removeprefix("response.").rpartition(".")
        text = event.get("delta") if part == "delta" else next((event[key] for key in _WHOLE if event.get(key)), None)
        if name == "output_text":
            return self.add_text("content", kind, as_text(text))
        if name.startswith("refusal"):
            return self.add_text("refusal", kind, as_text(text))
        if name.startswith("reasoning"):
            return self.add_text("reasoning", kind, as_text(text) or as_text(as_mapping(event.get("part")).get("text")))
        if name.endswith(("_arguments", "_input", "_code")):
            return self._add_call(kind, self._place(event, ""), arguments=_as_arguments(text))
        return False

    def _add_part(self, part: Mapping[str, Any], source: str) -> bool:
        """Take a part of a message's content."""
        kind = _TEXTS.get(as_word(part.get("type")) or "")
        return kind is not None and self.add_text(kind, source, as_text(part.get("text") or part.get("refusal")))

    def _add_item(self, item: Mapping[str, Any], source: str, place: int) -> bool:
        """Take an item of the output: a message, reasoning, or a call of a tool; of one begun, only a tool's name."""
        kind, begun = as_word(item.get("type")) or "", source.endswith(".added")
        brought = []
        if kind == "message" and not begun:
            content = item.get("content")
            parts = [{"type": "output_text", "text": content}] if isinstance(content, str) else as_list(content)
            brought = [self._add_part(as_mapping(part), source) for part in parts]
        elif kind == "reasoning" and not begun:
            said = as_list(item.get("content")) or as_list(item.get("summary"))
            texts = [as_text(as_mapping(part).get("text")) for part in said]
            brought = [self.add_text("reasoning", source, text) for text in texts]
        elif kind.endswith("_call"):
            name, call_id = as_word(item.get("name")) or "", as_word(item.get("call_id"))
            brought = [self._add_call(source, place, name=name, call_id=call_id)]
            whole = None if begun else next((item[key] for key in _WHOLE if item.get(key)), None)
            brought.append(self._add_call(source, place, arguments=_as_arguments(whole)))
        return any(brought)

    def _add_call(self, source: str, place: int, **said: Any) -> bool:
        """Take the name or the arguments of a call; each is read from one sort of event, as texts are."""
        if not (said.get("name") or said.get("arguments")):
            return False
        if self._read_from.setdefault("name" if said.get("name") else "arguments", source) != source:
            return False
        return self._collector.add(piece(call(place, **said)))

    def _place(self, event: Mapping[str, Any], inside: str) -> int:
        """Return which item an event is of: by its number, by the item's id, or else the latest."""
        if (number := as_count(event.get("output_index"))) is not None:
            return number
        named = as_word(as_mapping(event.get(inside)).get("id")) if inside else as_word(event.get("item_id"))
        return self._calls.setdefault(named, len(self._calls)) if named else max(0, len(self._calls) - 1)

    def add_response(self, response: Mapping[str, Any], source: str) -> bool:
        """Take a response that is over; return whether it brought output. Raises BadReplyError."""
        _refuse_failed(response)
        status = as_word(response.get("status"))
        if status in _NOT_OVER:
            raise bad("truncated", f"the response is not over; its status is {status}")
        items = [as_mapping(item) for item in as_list(response.get("output"))]
        places = [self._calls.get(as_word(item.get("id")) or "", at) for at, item in enumerate(items)]
        brought = [self._add_item(item, source, place) for item, place in zip(items, places, strict=True)]
        usage = as_mapping(response.get("usage"))
        cached = as_mapping(usage.get("input_tokens_details")).get("cached_tokens")
        counted = counts(as_count(usage.get("input_tokens")), as_count(usage.get("output_tokens")), as_count(cached))
        reason = as_word(as_mapping(response.get("incomplete_details")).get("reason")) or status
        self._collector.add(
            piece(
                finish_reason=_REASONS.get(reason or "", reason),
                id=as_word(response.get("id")),
                model=as_word(response.get("model")),
                usage=counted if usage else None,
            )
        )
        self.whole = True
        return any(brought)

    def reply(self, first_token_ns: int | None = None, *, streamed: bool = False) -> Reply:
        """Return what was gathered. Raises BadReplyError, `malformed` where two copies of a text differ."""
        read_from = self._read_from.get("content", "")
        for source, copy in islice(self._copies.items(), 1, None):
            if copy.digest() != self._copies[read_from].digest():
                raise bad("malformed", f"the text that {read_from} brought is another than that of {source}")
        return self._collector.reply(first_token_ns, streamed=streamed)


#: Where an event or an item has a text, or the arguments of a call, as a whole.
_WHOLE: Final = ("text", "refusal", "arguments", "input", "code")


def _as_arguments(value: Any) -> str:
    """Return the arguments of a call as the text that they are by the API."""
    return "" if not value else as_unicode(value) if isinstance(value, str) else compact(value)


def _refuse_failed(response: Mapping[str, Any]) -> None:
    """Raise BadReplyError("server_error") for a response that says of itself that it failed."""
    if wrong := failure(response, answers=True):
        raise bad("server_error", wrong)
    if isinstance(status := response.get("status"), str) and GAVE_UP.search(status):
        raise bad("server_error", f"status: {status}")


class ResponseDecoder(DocumentDecoder):
    """Reads a response that is one JSON document."""

    def _read(self, body: bytes) -> Reply:
        document = parse_leniently(body, "the reply")
        if wrong := failure(document, answers="output" in document):
            raise bad("server_error", wrong)
        if not isinstance(document.get("output"), list):
            _refuse_failed(document)
            raise bad("malformed", "the reply has no list `output`")
        gathered = _Gathered(self._endings, keep_output=self._keep_output)
        gathered.add_response(document, "the reply")
        return gathered.reply()


class ResponseStreamDecoder(EventStream):
    """Reads a streamed response. The first token is the first text, thought or call of a tool, in whatever event."""

    def __init__(self, endings: Endings, *, keep_output: bool = False) -> None:
        super().__init__(ResponseDecoder(endings, keep_output=keep_output))
        self._gathered = _Gathered(endings, keep_output=keep_output)

    def _add_event(self, event: bytes) -> bool:
        delta = None if may_fail(event) else parse_strictly(_TEXT_DELTA, event)
        if delta is not None:
            return self._gathered.add_text("content", delta.type, delta.delta)
        return self._gathered.add_event(parse_leniently(event, "an event of the stream"))

    def _knows(self, event: bytes) -> bool:
        """A tool's call may fail and the response go on (`response.mcp_call.failed`)."""
        return _OWN.search(event) is not None

    def _finished(self) -> bool:
        return self._gathered.whole

    def _reply(self, first_token_ns: int | None) -> Reply:
        if not self._gathered.whole:
            raise bad("truncated", "the stream ended without the event response.completed")
        return self._gathered.reply(first_token_ns, streamed=True)
