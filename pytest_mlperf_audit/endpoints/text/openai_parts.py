"""The members of OpenAI's replies that count, read strictly where that is fast and leniently where it must be. Pure.

A member that decides nothing never makes a whole reply unreadable: what cannot be understood is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from ...runs.message import ToolCall
from ..failures import failure, remark
from ..replies import (
    Count,
    as_count,
    as_counts,
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


class _Part(msgspec.Struct, gc=False):
    """Members by which a part of a reply says of a failure. The strict decoder takes them empty, or not at all."""

    error: None = None
    errors: None = None
    err: None = None
    error_message: None = None
    error_msg: None = None
    camel_error_message: None = msgspec.field(default=None, name="errorMessage")
    exception: None = None
    fault: None = None
    failure: None = None
    error_code: None = None
    camel_error_code: None = msgspec.field(default=None, name="errorCode")
    err_code: None = None
    errno: None = None
    type: None = None
    object: Literal["chat.completion", "chat.completion.chunk", "text_completion"] | None = None


class _PromptDetails(msgspec.Struct, gc=False):
    """Of the prompt's tokens, those from a cache."""

    cached_tokens: Count | None = None


class Usage(msgspec.Struct, gc=False):
    """What the server counted."""

    completion_tokens: Count | None = None
    prompt_tokens: Count | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Function(msgspec.Struct, gc=False):
    """A function's name and the text of its arguments."""

    name: str | None = None
    arguments: str | None = None

    def text(self) -> str:
        """Return the two as one."""
        return (self.name or "") + (self.arguments or "")


class _ToolCall(msgspec.Struct, gc=False):
    """One call of a tool, or a chunk's part of one, which `index` tells from others."""

    function: _Function | None = None
    index: Count | None = None
    id: str | None = None
    type: str | None = None


class Message(_Part, gc=False, kw_only=True):
    """A message, or a chunk's part of one. `function_call` is what a tool call was called before there were several."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None

    def plain(self) -> str | None:
        """Return the content where that is all there is, else None."""
        if self.reasoning_content or self.reasoning or self.refusal or self.tool_calls or self.function_call:
            return None
        return self.content or None

    def tools(self) -> str:
        """Return the text of all calls."""
        calls = [call.function for call in self.tool_calls or () if call.function is not None]
        if self.function_call is not None:
            calls.append(self.function_call)
        return "".join(function.text() for function in calls)

    def calls(self) -> Iterator[tuple[int, ToolCall]]:
        """Yield the parts of calls with the index of each: its own, or its place in the list."""
        for at, call in enumerate(self.tool_calls or ()):
            function = call.function or _Function()
            if call.function or call.id:
                part = ToolCall(function.name or "", function.arguments or "", call.id, call.type)
                yield at if call.index is None else call.index, part
        if self.function_call is not None:
            yield 0, ToolCall(self.function_call.name or "", self.function_call.arguments or "")


class _Choice(_Part, gc=False, kw_only=True):
    """One choice. `ids_unknown` is whether it had token ids that cannot be read."""

    index: int = 0
    message: Message | None = None
    delta: Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    token_ids: list[Count] | None = None
    ids_unknown: bool = False


class Completion(_Part, gc=False, kw_only=True):
    """A reply, or one chunk of a streamed one. `remark` is a message where an answer should be."""

    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    remark: str | None = None

    def lone_choice(self) -> _Choice | None:
        """Return the first choice where it is the only one, has no token ids, and there is no remark; else None."""
        choices = self.choices
        if not choices or len(choices) > 1 or self.remark:
            return None
        [choice] = choices
        return None if choice.index or choice.token_ids is not None or choice.ids_unknown else choice


def piece(message: Message | None = None, *, finish_reason: str | None = None, **said: Any) -> Completion:
    """Return what another API says of a reply as a part of one here; `said` are members of Completion."""
    return Completion(choices=[_Choice(delta=message, finish_reason=finish_reason)], **said)


def call(index: int, *, name: str = "", arguments: str = "", call_id: str | None = None) -> Message:
    """Return a part of a tool call that another API makes, the `index`-th."""
    return Message(tool_calls=[_ToolCall(_Function(name, arguments), index, call_id)])


def counts(prompt: int | None, completion: int | None, cached: int | None) -> Usage:
    """Return tokens that another API has counted; `prompt` are all, the cached ones among them."""
    return Usage(completion, prompt, None if cached is None else _PromptDetails(cached))


_DECODER = msgspec.json.Decoder(Completion)


def read_part(data: bytes | bytearray, what: str) -> Completion:
    """Return a document or chunk. Raises BadReplyError: `server_error` where it says that the server failed."""
    part = parse_strictly(_DECODER, data)
    if part is not None and part.choices:
        return part
    document = parse_leniently(data, what)
    if wrong := _failure(document):
        raise bad("server_error", wrong)
    part = part or _completion(document)
    part.remark = None if part.choices or part.usage else remark(document)
    return part


def _failure(document: Mapping[str, Any]) -> str | None:
    choices = _choices(document)
    if wrong := failure(document, answers=bool(choices)):
        return wrong
    parts = [part for choice in choices for part in (choice, choice.get("delta"), choice.get("message"))]
    return next((wrong for part in parts if (wrong := failure(as_mapping(part), answers=True))), None)


def _choices(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = document.get("choices")
    return [choice for choice in (as_list(choices) or [choices]) if isinstance(choice, Mapping) and choice]


def _completion(document: Mapping[str, Any]) -> Completion:
    usage = as_mapping(document.get("usage"))
    details = as_mapping(usage.get("prompt_tokens_details"))
    return Completion(
        id=as_word(document.get("id")),
        model=as_word(document.get("model")),
        choices=[_choice(choice) for choice in _choices(document)],
        usage=Usage(
            completion_tokens=as_count(usage.get("completion_tokens")),
            prompt_tokens=as_count(usage.get("prompt_tokens")),
            prompt_tokens_details=_PromptDetails(cached_tokens=as_count(details.get("cached_tokens"))),
        )
        if usage
        else None,
    )


def _choice(document: Mapping[str, Any]) -> _Choice:
    ids = as_counts(document.get("token_ids"))
    return _Choice(
        index=as_count(document.get("index")) or 0,
        message=_message(document["message"]) if document.get("message") else None,
        delta=_message(document["delta"]) if document.get("delta") else None,
        text=as_text(document.get("text")),
        finish_reason=as_word(document.get("finish_reason")),
        token_ids=ids,
        ids_unknown=ids is None and bool(document.get("token_ids")),
    )


def _message(document: Any) -> Message:
    if isinstance(document, str):
        return Message(content=as_unicode(document))
    member = as_mapping(document)
    content = member.get("content")
    return Message(
        content=as_text(content),
        reasoning_content=as_text(member.get("reasoning_content")) or as_text(content, thinking=True),
        reasoning=as_text(member.get("reasoning")),
        refusal=as_text(member.get("refusal")),
        tool_calls=[
            _tool_call(as_mapping(call)) for call in as_list(member.get("tool_calls")) or [member.get("tool_calls")]
        ],
        function_call=_function(member.get("function_call")),
    )


def _tool_call(call: Mapping[str, Any]) -> _ToolCall:
    return _ToolCall(
        function=_function(call.get("function")),
        index=as_count(call.get("index")),
        id=as_word(call.get("id")),
        type=as_word(call.get("type")),
    )


def _function(document: Any) -> _Function:
    member = as_mapping(document)
    arguments = member.get("arguments")
    return _Function(
        name=as_word(member.get("name")),
        arguments=as_text(arguments) if isinstance(arguments, str) or arguments is None else compact(arguments),
    )
