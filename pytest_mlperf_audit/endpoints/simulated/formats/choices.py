"""What the two OpenAI APIs share whose replies have choices: chat and text completions. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from ....config.endpoint import SimulatedConfig
from ..exchange import Answer, Ask
from ..model import Output, output
from . import sse
from .contract import Body, json_body


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class ChoicesRequest(msgspec.Struct, kw_only=True):
    """What requests have in common."""

    model: str = ""
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    return_token_ids: bool | None = None


class _Wants(NamedTuple):
    """`usage` is wanted at the end of a stream, `token_ids` in each choice."""

    usage: bool
    token_ids: bool


class Style(NamedTuple):
    """What tells one API's replies from the other's.

    `id` is what ids begin with. `objects` are the names of a whole reply and of a chunk; `whole` and `piece` make the
    fields of a choice in which the text stands: of a whole reply, and of a chunk by its delta.
    """

    id: str
    objects: tuple[str, str]
    whole: Callable[[str], dict[str, Any]]
    piece: Callable[[dict[str, str]], dict[str, Any]]


def wants(request: ChoicesRequest) -> _Wants:
    """Return what only these formats need of a request."""
    options = request.stream_options
    return _Wants(options is not None and options.include_usage, bool(request.return_token_ids))


def reply(style: Style, config: SimulatedConfig, ask: Ask, answer: Answer) -> Body:
    """Return a whole reply."""
    words = output(config, answer)
    choice = {"index": 0, **style.whole(words.text), "finish_reason": "stop", **_token_ids(ask, words.ids)}
    return json_body({**_head(style, ask, answer), "choices": [choice], "usage": _usage(answer, words)})


def events(style: Style, config: SimulatedConfig, ask: Ask, answer: Answer) -> list[bytes]:
    """Return the events of a streamed reply: the role, each token, then finish, usage and [DONE] in one."""
    words = output(config, answer)
    at_once = _chunk(style, ask, answer, {"role": "assistant", "content": ""})
    if words.hasty:
        at_once += _chunk(style, ask, answer, {"content": words.hasty})
    tokens = [
        _chunk(style, ask, answer, {"content": piece}, **_token_ids(ask, [token]))
        for piece, token in zip(words.pieces, words.ids, strict=True)
    ]
    end = _chunk(style, ask, answer, {}, finish_reason="stop")
    if ask.wants.usage:
        end += sse.event({**_head(style, ask, answer, chunk=True), "choices": [], "usage": _usage(answer, words)})
    return [at_once, *tokens, end + sse.DONE]


def _head(style: Style, ask: Ask, answer: Answer, *, chunk: bool = False) -> dict[str, Any]:
    """Return what a reply and each of its chunks begin with."""
    return {
        "id": f"{style.id}-{answer.id}",
        "object": style.objects[chunk],
        "created": answer.created_s,
        "model": ask.model,
    }


def _chunk(
    style: Style, ask: Ask, answer: Answer, delta: dict[str, str], finish_reason: str | None = None, **fields: Any
) -> bytes:
    choice = {"index": 0, **style.piece(delta), "finish_reason": finish_reason, **fields}
    return sse.event({**_head(style, ask, answer, chunk=True), "choices": [choice]})


def _token_ids(ask: Ask, ids: Sequence[int]) -> dict[str, Any]:
    """Return the field of a choice in which vLLM gives its tokens to those who ask for them."""
    return {"token_ids": ids} if ask.wants.token_ids else {}


def _usage(answer: Answer, words: Output) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.n_prompt_words,
        "completion_tokens": words.n_reported,
        "total_tokens": answer.n_prompt_words + words.n_reported,
        "prompt_tokens_details": {"cached_tokens": answer.cached_words},
    }
