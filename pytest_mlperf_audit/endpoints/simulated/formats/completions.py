"""OpenAI's text completions. Pure."""

from __future__ import annotations

from functools import partial

import msgspec

from ..exchange import Ask
from . import choices
from .contract import Format, Request


class _TextRequest(choices.ChoicesRequest, kw_only=True):
    prompt: str | list[int]


_REQUEST = msgspec.json.Decoder(_TextRequest)


def _read(request: Request) -> Ask:
    """Read a prompt of words, or of token ids, each of which is a word."""
    text = _REQUEST.decode(request.body)
    prompt = text.prompt if isinstance(text.prompt, str) else " ".join(map(str, text.prompt))
    return request.ask(prompt, model=text.model, stream=bool(text.stream), wants=choices.wants(text))


_STYLE = choices.Style(
    id="cmpl",
    objects=("text_completion", "text_completion"),
    whole=lambda text: {"text": text},
    piece=lambda delta: {"text": delta.get("content", "")},
)

FORMAT = Format(
    name="completions",
    paths=("/v1/completions",),
    read=_read,
    reply=partial(choices.reply, _STYLE),
    events=partial(choices.events, _STYLE),
)
