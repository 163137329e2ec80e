"""OpenAI's chat completions. Pure."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from ..exchange import Ask
from . import choices, conversation
from .contract import Format, Request


class _ChatRequest(choices.ChoicesRequest, kw_only=True):
    messages: list[dict[str, Any]]


_REQUEST = msgspec.json.Decoder(_ChatRequest)


def _read(request: Request) -> Ask:
    chat = _REQUEST.decode(request.body)
    prompt, question = conversation.read(chat.messages)
    return request.ask(prompt, question=question, model=chat.model, stream=bool(chat.stream), wants=choices.wants(chat))


_STYLE = choices.Style(
    id="chatcmpl",
    objects=("chat.completion", "chat.completion.chunk"),
    whole=lambda text: {"message": {"role": "assistant", "content": text}},
    piece=lambda delta: {"delta": delta},
)

FORMAT = Format(
    name="chat",
    paths=("/v1/chat/completions",),
    read=_read,
    reply=partial(choices.reply, _STYLE),
    events=partial(choices.events, _STYLE),
)
