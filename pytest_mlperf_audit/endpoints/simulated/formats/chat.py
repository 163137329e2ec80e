"""OpenAI's chat completions. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

from ..exchange import Ask
from . import choices
from .contract import BadRequestError, Format, Request


class _ChatRequest(choices.ChoicesRequest, kw_only=True):
    messages: list[dict[str, Any]]


_REQUEST = msgspec.json.Decoder(_ChatRequest)


def _read(request: Request) -> Ask:
    chat = _REQUEST.decode(request.body)
    texts = [(message.get("role"), " ".join(texts_of(message.get("content")))) for message in chat.messages]
    prompt = " ".join(text for _role, text in texts if text)
    if not prompt.strip():
        raise BadRequestError("no message has a text")
    question = next((text for role, text in reversed(texts) if role == "user"), "")
    return request.ask(prompt, question=question, model=chat.model, stream=bool(chat.stream), wants=choices.wants(chat))


def texts_of(content: Any) -> Iterator[str]:
    """Yield the texts of a message's content, which is a text or a list of parts."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))


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
