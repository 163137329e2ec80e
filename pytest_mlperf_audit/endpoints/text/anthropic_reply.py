"""Replies of /v1/messages: one JSON document, or a stream of events. Pure.

Events: Anthropic's page "Streaming messages". A stream is whole with `message_stop`; no [DONE] is sent.

Counts of tokens come in the first event and in one of the last, and grow: LiteLLM's first says 0, and llama.cpp's last
has none of the prompt, so the greater of the two holds. By the API, `input_tokens` are those that no cache had; the
prompt's are these, those read from a cache and those written to one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from ..base import Reply
from ..failures import failure, may_fail
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
from .openai_parts import Message, Usage, call, counts, piece
from .openai_reply import Collector

#: The finish reasons of chat completions, which records have, by the stop reasons of Messages.
_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_COUNTS: Final = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


class _Text(msgspec.Struct, gc=False):
    """A delta of a text."""

    type: Literal["text_delta"]
    text: str


class _TextDelta(msgspec.Struct, gc=False):
    """The event that most of a stream's are."""

    type: Literal["content_block_delta"]
    delta: _Text


_TEXT_DELTA = msgspec.json.Decoder(_TextDelta)


class _Gathered:
    """Puts a message together, from a document or from events. `whole` is whether its end has come."""

    def __init__(self, endings: Endings, *, keep_output: bool) -> None:
        self._collector = Collector(endings, keep_output=keep_output)
        self._counts: dict[str, int] = {}
        self.whole = False

    def add_text(self, text: str) -> bool:
        """Take a piece of text; return whether there is any."""
        return self._collector.add(piece(Message(content=text)))

    def add_event(self, event: Mapping[str, Any]) -> bool:
        """Take an event; return whether it brought output. Raises BadReplyError."""
        kind = as_word(event.get("type")) or ""
        if wrong := failure(event, answers=kind.startswith(("message_", "content_block_")) or kind == "ping"):
            raise bad("server_error", wrong)
        if kind == "message_start":
            return self.add_message(as_mapping(event.get("message")))
        place = as_count(event.get("index")) or 0
        if kind == "content_block_start":
            return self._add_block(as_mapping(event.get("content_block")), place, begun=True)
        if kind == "content_block_delta":
            return self._add_delta(as_mapping(event.get("delta")), place)
        if kind == "message_delta":
            self._add_end(as_mapping(event.get("delta")), as_mapping(event.get("usage")))
        self.whole = self.whole or kind == "message_stop"
        return False

    def add_message(self, message: Mapping[str, Any]) -> bool:
        """Take a message, or the start of one; return whether it brought output. Raises BadReplyError."""
        if wrong := failure(message, answers=True):
            raise bad("server_error", wrong)
        self._collector.add(piece(id=as_word(message.get("id")), model=as_word(message.get("model"))))
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else as_list(content)
        brought = [self._add_block(as_mapping(block), at) for at, block in enumerate(blocks)]
        self._add_end(message, as_mapping(message.get("usage")))
        return any(brought)

    def _add_block(self, block: Mapping[str, Any], place: int, *, begun: bool = False) -> bool:
        """Take a block of content; of one that has only `begun`, the input of a tool is to come."""
        kind = as_word(block.get("type")) or ""
        if kind.endswith("tool_use"):
            given = None if begun else block.get("input")
            arguments = "" if given is None else given if isinstance(given, str) else compact(given)
            named = as_word(block.get("name")) or ""
            return self._collector.add(
                piece(call(place, name=named, arguments=as_unicode(arguments), call_id=as_word(block.get("id"))))
            )
        if kind.endswith("thinking"):
            return self._add_thought(block.get("thinking") or block.get("data"))
        return kind == "text" and self.add_text(as_text(block.get("text")) or "")

    def _add_delta(self, delta: Mapping[str, Any], place: int) -> bool:
        kind = as_word(delta.get("type")) or ""
        if kind == "text_delta":
            return self.add_text(as_text(delta.get("text")) or "")
        if kind == "thinking_delta":
            return self._add_thought(delta.get("thinking"))
        if kind == "input_json_delta":
            return self._collector.add(piece(call(place, arguments=as_text(delta.get("partial_json")) or "")))
        return False

    def _add_thought(self, thought: Any) -> bool:
        return self._collector.add(piece(Message(reasoning=as_text(thought) or "")))

    def _add_end(self, said: Mapping[str, Any], usage: Mapping[str, Any]) -> None:
        """Take what is said of the end, and the counts so far."""
        for name in _COUNTS:
            if (count := as_count(usage.get(name))) is not None:
                self._counts[name] = max(count, self._counts.get(name, 0))
        reason = as_word(said.get("stop_reason"))
        self._collector.add(piece(finish_reason=_REASONS.get(reason or "", reason), usage=self._usage()))

    def _usage(self) -> Usage | None:
        if not self._counts:
            return None
        fresh, read, written, output = (self._counts.get(name) for name in _COUNTS)
        return counts((fresh or 0) + (read or 0) + (written or 0) or None, output, read)

    def reply(self, first_token_ns: int | None = None, *, streamed: bool = False) -> Reply:
        """Return what was gathered. Raises BadReplyError."""
        return self._collector.reply(first_token_ns, streamed=streamed)


class MessageDecoder(DocumentDecoder):
    """Reads a message that is one JSON document."""

    def _read(self, body: bytes) -> Reply:
        document = parse_leniently(body, "the reply")
        if wrong := failure(document, answers="content" in document):
            raise bad("server_error", wrong)
        if not isinstance(document.get("content"), list | str):
            raise bad("malformed", "the reply has no list `content`")
        gathered = _Gathered(self._endings, keep_output=self._keep_output)
        gathered.add_message(document)
        return gathered.reply()


class MessageStreamDecoder(EventStream):
    """Reads a streamed message. The first token is the first text, thought or call of a tool."""

    def __init__(self, endings: Endings, *, keep_output: bool = False) -> None:
        super().__init__(MessageDecoder(endings, keep_output=keep_output))
        self._gathered = _Gathered(endings, keep_output=keep_output)

    def _add_event(self, event: bytes) -> bool:
        delta = None if may_fail(event) else parse_strictly(_TEXT_DELTA, event)
        if delta is not None:
            return self._gathered.add_text(delta.delta.text)
        return self._gathered.add_event(parse_leniently(event, "an event of the stream"))

    def _finished(self) -> bool:
        return self._gathered.whole

    def _reply(self, first_token_ns: int | None) -> Reply:
        if not self._gathered.whole:
            raise bad("truncated", "the stream ended without the event message_stop")
        return self._gathered.reply(first_token_ns, streamed=True)
