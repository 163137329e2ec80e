"""Replies of /v1/chat/completions and /v1/completions: one JSON document, or a stream of server-sent events. Pure.

What counts as output is content, which completions call text, reasoning, a refusal or a tool call. A reply without any
is `empty`, unless it has a finish reason and reports at least one completion token: such a model answered with
end-of-sequence or with tokens that have no text, which is work done and a completed query. A usage of no tokens beside
output, as LiteLLM puts into each chunk of a streamed completion, is no count.
"""

from __future__ import annotations

import hashlib
from array import array

from ...runs.message import AssistantMessage, ToolCall
from ..base import Reply, digest
from ..failures import GAVE_UP
from ..replies import bad, short_id
from ..stream import DocumentDecoder, Endings, EventStream
from .openai_parts import Completion, Message, Usage, read_part

#: Most replies have one of these, which need no search.
_GOOD_REASONS = frozenset({"stop", "length", "tool_calls"})
_IN_ORDER = ("reasoning", "content", "refusal", "tools")


def _gave_up(finish_reason: str) -> bool:
    """Whether a finish reason says that the server gave the request up."""
    return finish_reason not in _GOOD_REASONS and GAVE_UP.search(finish_reason) is not None


class Collector:
    """Gathers output, usage and finish reason, from one document or from many chunks.

    Of several choices (`n` above 1) the first is the output; its digest is the same however the reply was cut.
    """

    def __init__(self, endings: Endings, *, keep_output: bool) -> None:
        self._endings = endings
        self._keep_output = keep_output
        self._remark: str | None = None
        self._counted = False
        self._ids_unknown = False
        self._hashes: dict[str, hashlib._Hash] = {}
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[int, list[ToolCall]] = {}
        self._tokens: int | None = None
        self._prompt_tokens: int | None = None
        self._cached_tokens: int | None = None
        self._id: str | None = None
        self._model: str | None = None
        self._ids: array[int] | None = None
        self._first_ids: list[int] | None = None
        self.finish_reason: str | None = None

    def add(self, part: Completion) -> bool:
        """Add a document or chunk; return whether it brought output. Raises BadReplyError where one was given up."""
        self._id = self._id or part.id
        self._model = self._model or part.model
        self._remark = self._remark or part.remark
        for other in part.choices or ():
            if other.finish_reason and _gave_up(other.finish_reason):
                raise bad("server_error", f"finish_reason: {other.finish_reason}")
        choice = next((choice for choice in part.choices or () if choice.index == 0), None)
        brought_output = False
        if choice is not None:
            self.finish_reason = choice.finish_reason or self.finish_reason
            brought_output = self._add_message(choice.delta or choice.message or Message(content=choice.text))
            self._ids_unknown = self._ids_unknown or choice.ids_unknown
            if choice.token_ids or (brought_output and self._first_ids is None):
                self._add_ids(choice.token_ids or [])
        if part.usage is not None:
            self._add_usage(part.usage)
            self._counted = not brought_output and bool(self._hashes) and self._tokens != 0
        return brought_output

    def add_plain(self, part: Completion) -> bool:
        """Add a chunk of one choice with more content and nothing else, as most are; return whether it was such a one.

        Only behind another one with content, which had what the first chunks say.
        """
        choice = part.lone_choice()
        if choice is None or choice.finish_reason or part.usage is not None or "content" not in self._hashes:
            return False
        if (part.id and not self._id) or (part.model and not self._model):
            return False
        if choice.delta is None or (content := choice.delta.plain()) is None:
            return False
        self._hashes["content"].update(content.encode())
        if self._keep_output:
            self._texts["content"].append(content)
        return True

    def _add_usage(self, usage: Usage) -> None:
        self._tokens = usage.completion_tokens
        self._prompt_tokens = usage.prompt_tokens
        if usage.prompt_tokens_details is not None:
            self._cached_tokens = usage.prompt_tokens_details.cached_tokens

    def _add_ids(self, ids: list[int]) -> None:
        """Add a piece's tokens; none, where the first piece of output is a text that no token stands for."""
        if self._first_ids is None:
            self._first_ids = ids
        if ids:
            self._ids = self._ids or array("i")
            self._ids.extend(ids)

    def _add_message(self, message: Message) -> bool:
        if message.content:
            self._add_text("content", message.content)
        # vLLM says `reasoning`, others `reasoning_content`, some both with the same text.
        if reasoning := message.reasoning_content or message.reasoning:
            self._add_text("reasoning", reasoning)
        if message.refusal:
            self._add_text("refusal", message.refusal)
        tools = message.tools() if message.tool_calls or message.function_call else ""
        if tools:
            self._add_text("tools", tools)
        if self._keep_output and (message.tool_calls or message.function_call):
            for index, part in message.calls():
                self._calls.setdefault(index, []).append(part)
        return bool(message.content or reasoning or message.refusal or tools)

    def _add_text(self, kind: str, text: str) -> None:
        if (so_far := self._hashes.get(kind)) is None:
            so_far = self._hashes[kind] = hashlib.sha256()
        so_far.update(text.encode())
        if self._keep_output:
            self._texts.setdefault(kind, []).append(text)

    def reply(self, first_token_ns: int | None = None, *, streamed: bool = False) -> Reply:
        """Return what was gathered. Raises BadReplyError("empty"), or ("server_error") when the server gave up."""
        if self._remark and not self.finish_reason:
            raise bad("server_error", self._remark)
        if not self._hashes and not (self.finish_reason and self._tokens):
            raise bad("empty", f"the reply has no output (finish_reason: {self.finish_reason or 'none'})")
        if self._tokens == 0:
            self._tokens = None
        self._endings.check(
            finish_reason=self.finish_reason, counted=self._counted or (not streamed and self._tokens is not None)
        )
        output, text = self._output(), self._text()
        ids = None if self._ids_unknown else self._ids
        return Reply(
            digest=self._digest(),
            id=short_id(self._id),
            model=short_id(self._model),
            output=output if self._keep_output else None,
            tokens=self._tokens,
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            finish_reason=short_id(self.finish_reason),
            first_token_ns=first_token_ns,
            output_ids=ids,
            first_ids=self._first_ids if streamed and ids else None,
            text=text if self._keep_output and text != output else None,
            first_text=self._first_text() if streamed else None,
            message=self._message(streamed=streamed) if self._keep_output else None,
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
        return "".join("".join(self._texts[kind]) for kind in _IN_ORDER if kind in self._texts)

    def _message(self, *, streamed: bool) -> AssistantMessage | None:
        """Return the reply as one message, None of content alone; a refusal is said to the user as content is."""
        if self._texts.keys() <= {"content"}:
            return None
        joined = {kind: "".join(texts) for kind, texts in self._texts.items()}
        first = next(iter(self._texts), "content")
        in_content = first in ("content", "refusal")
        return AssistantMessage(
            content=joined.get("content", "") + joined.get("refusal", ""),
            reasoning=joined.get("reasoning", ""),
            tool_calls=tuple(_joined(self._calls[index]) for index in sorted(self._calls)),
            first_in="content" if in_content else "reasoning" if first == "reasoning" else "tools",
            n_first=len(self._texts[first][0]) if streamed and first in self._texts else 0,
        )

    def _first_text(self) -> str | None:
        return next((self._texts[kind][0] for kind in _IN_ORDER if kind in self._texts), None)


def _joined(parts: list[ToolCall]) -> ToolCall:
    """Return the parts of one call, in the order of arrival, as one."""
    return ToolCall(
        name="".join(part.name for part in parts),
        arguments="".join(part.arguments for part in parts),
        id=next((part.id for part in parts if part.id), None),
        type=next((part.type for part in parts if part.type), None),
    )


class CompletionDecoder(DocumentDecoder):
    """Reads a reply that is one JSON document."""

    def _read(self, body: bytes) -> Reply:
        document = read_part(body, "the reply")
        if (plain := self._plain(document)) is not None:
            return plain
        collector = Collector(self._endings, keep_output=self._keep_output)
        collector.add(document)
        if not document.choices:
            raise bad("server_error" if document.remark else "malformed", document.remark or "the reply has no choices")
        return collector.reply()

    def _plain(self, document: Completion) -> Reply | None:
        """Return a reply of one choice with content and nothing else, as most are, as the collector would; or None."""
        choice = document.lone_choice()
        if choice is None or choice.delta is not None or choice.message is None:
            return None
        content, reason, usage = choice.message.plain(), choice.finish_reason, document.usage
        if content is None or not reason or _gave_up(reason):
            return None
        self._endings.check(finish_reason=reason, counted=True)
        details = None if usage is None else usage.prompt_tokens_details
        return Reply(
            digest=digest(content.encode()),
            id=short_id(document.id),
            model=short_id(document.model),
            output=content if self._keep_output else None,
            tokens=None if usage is None else usage.completion_tokens or None,
            prompt_tokens=None if usage is None else usage.prompt_tokens,
            cached_tokens=None if details is None else details.cached_tokens,
            finish_reason=short_id(reason),
        )


class StreamDecoder(EventStream):
    """Reads a streamed reply. The first token is the first chunk with output; the chunk with the role has none."""

    def __init__(self, endings: Endings, *, keep_output: bool = False) -> None:
        super().__init__(CompletionDecoder(endings, keep_output=keep_output))
        self._collector = Collector(endings, keep_output=keep_output)

    def _add_event(self, event: bytes) -> bool:
        part = read_part(event, "an event of the stream")
        return self._collector.add_plain(part) or self._collector.add(part)

    def _finished(self) -> bool:
        return self._collector.finish_reason is not None

    def _reply(self, first_token_ns: int | None) -> Reply:
        return self._collector.reply(first_token_ns, streamed=True)
