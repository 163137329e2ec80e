"""Replies of /v1/chat/completions and /v1/completions: one JSON document, or a stream of server-sent events. Pure.

What counts as output is content, which completions call text, reasoning, a refusal or a tool call. A reply without any
is `empty`, unless it has a finish reason and reports at least one completion token: such a model answered with
end-of-sequence or with tokens that have no text, which is work done and a completed query.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import Annotated, Any

import msgspec

from .base import Reply, digest
from .replies import bad, error_text, parse, short_id
from .stream import EventStream

_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
_TokenId = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: _Count | None = None


class _Usage(msgspec.Struct, gc=False):
    completion_tokens: _Count | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    message: _Message | None = None
    delta: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    token_ids: list[_TokenId] | None = None


class _Completion(msgspec.Struct, gc=False):
    """A reply, or one chunk of a streamed one."""

    id: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None
    object: str | None = None
    message: Any = None


_DECODER = msgspec.json.Decoder(_Completion)

#: Finish reasons by which a server says, under status 200, that it gave the request up.
_GAVE_UP = frozenset({"error", "abort", "aborted", "cancelled", "canceled"})

_SAID_IN_ORDER = ("reasoning", "content", "refusal", "tools")


class _Collector:
    """Gathers output, usage and finish reason, from one document or from many chunks.

    Of several choices (`n` above 1) the first is the output; its digest is the same however the reply was cut.
    """

    def __init__(self, *, keep_output: bool) -> None:
        self._keep_output = keep_output
        self._hashes: dict[str, hashlib._Hash] = {}
        self._texts: dict[str, list[str]] = {}
        self._tokens: int | None = None
        self._cached_tokens: int | None = None
        self._id: str | None = None
        self._ids: array[int] | None = None
        self._first_ids: list[int] | None = None
        self.finish_reason: str | None = None

    def take(self, part: _Completion) -> bool:
        """Add a document or chunk; return whether it brought output. Raises BadReplyError for an error object."""
        if part.error or part.object == "error":
            raise bad("server_error", error_text(part.error or part.message))
        self._id = self._id or part.id
        if part.usage is not None:
            self._take_usage(part.usage)
        choice = next((choice for choice in part.choices or () if choice.index == 0), None)
        if choice is None:
            return False
        self.finish_reason = choice.finish_reason or self.finish_reason
        brought_output = self._take_message(choice.delta or choice.message or _Message(content=choice.text))
        if choice.token_ids or (brought_output and self._first_ids is None):
            self._take_ids(choice.token_ids or [])
        return brought_output

    def _take_usage(self, usage: _Usage) -> None:
        self._tokens = usage.completion_tokens
        if usage.prompt_tokens_details is not None:
            self._cached_tokens = usage.prompt_tokens_details.cached_tokens

    def _take_ids(self, ids: list[int]) -> None:
        """Add a piece's tokens; none, where the first piece of output is a text that no token stands for."""
        if self._first_ids is None:
            self._first_ids = ids
        if ids:
            self._ids = self._ids or array("i")
            self._ids.extend(ids)

    def _take_message(self, message: _Message) -> bool:
        if message.content:
            self._add("content", message.content)
        # vLLM says `reasoning`, others `reasoning_content`, some both with the same text.
        if reasoning := message.reasoning_content or message.reasoning:
            self._add("reasoning", reasoning)
        if message.refusal:
            self._add("refusal", message.refusal)
        tools = "".join(_tool_text(call) for call in message.tool_calls or ())
        if tools:
            self._add("tools", tools)
        return bool(message.content or reasoning or message.refusal or tools)

    def _add(self, kind: str, text: str) -> None:
        if (so_far := self._hashes.get(kind)) is None:
            so_far = self._hashes[kind] = hashlib.sha256()
        so_far.update(text.encode())
        if self._keep_output:
            self._texts.setdefault(kind, []).append(text)

    def reply(self, first_token_ns: int | None = None, *, streamed: bool = False) -> Reply:
        """Return what was gathered. Raises BadReplyError("empty"), or ("server_error") when the server gave up."""
        if self.finish_reason in _GAVE_UP:
            raise bad("server_error", f"finish_reason: {self.finish_reason}")
        if not self._hashes and not (self.finish_reason and self._tokens):
            raise bad("empty", f"the reply has no output (finish_reason: {self.finish_reason or 'none'})")
        output, text = self._output(), self._text()
        return Reply(
            digest=self._digest(),
            id=short_id(self._id),
            output=output if self._keep_output else None,
            tokens=self._tokens,
            cached_tokens=self._cached_tokens,
            finish_reason=short_id(self.finish_reason),
            first_token_ns=first_token_ns,
            output_ids=self._ids,
            first_ids=self._first_ids if streamed and self._ids else None,
            text=text if self._keep_output and text != output else None,
            first_text=self._first_text() if streamed else None,
        )

    def _digest(self) -> str:
        if self._hashes.keys() == {"content"}:
            return self._hashes["content"].hexdigest()[:32]
        return digest(" ".join(f"{kind}:{self._hashes[kind].hexdigest()}" for kind in sorted(self._hashes)).encode())

    def _output(self) -> str:
        """Return the content or, where there is none, what there is in its place."""
        kept = (
            "".join(self._texts[kind]) for kind in ("content", "refusal", "tools", "reasoning") if kind in self._texts
        )
        return next(kept, "")

    def _text(self) -> str:
        """Return everything that is text, in the order in which models say it."""
        return "".join("".join(self._texts[kind]) for kind in _SAID_IN_ORDER if kind in self._texts)

    def _first_text(self) -> str | None:
        return next((self._texts[kind][0] for kind in _SAID_IN_ORDER if kind in self._texts), None)


def _tool_text(call: _ToolCall) -> str:
    function = call.function
    return "" if function is None else (function.name or "") + (function.arguments or "")


class CompletionDecoder:
    """Reads a reply that is one JSON document."""

    def __init__(self, *, keep_output: bool = False) -> None:
        self._keep_output = keep_output
        self._pieces: list[bytes] = []

    def feed(self, data: bytes, at_ns: int) -> None:  # noqa: ARG002 - the load engine times a whole reply itself
        """Take the next piece of the body."""
        self._pieces.append(data)

    def finish(self) -> Reply:
        """Return the reply. Raises BadReplyError."""
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        if not body.strip():
            raise bad("empty", "the reply has no body")
        document = parse(_DECODER, body, "the reply")
        collector = _Collector(keep_output=self._keep_output)
        collector.take(document)
        if not document.choices:
            raise bad("malformed", "the reply has no choices")
        return collector.reply()


class StreamDecoder(EventStream):
    """Reads a streamed reply. The first token is the first chunk with output; the chunk with the role has none."""

    def __init__(self, *, keep_output: bool = False) -> None:
        super().__init__(CompletionDecoder(keep_output=keep_output))
        self._collector = _Collector(keep_output=keep_output)

    def _take(self, event: bytes) -> bool:
        return self._collector.take(parse(_DECODER, event, "an event of the stream"))

    def _finished(self) -> bool:
        return self._collector.finish_reason is not None

    def _reply(self, first_token_ns: int | None) -> Reply:
        return self._collector.reply(first_token_ns, streamed=True)
