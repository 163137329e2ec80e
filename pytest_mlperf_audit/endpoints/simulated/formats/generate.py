"""SGLang's /generate. Pure; a stream's events repeat what came before them."""

from __future__ import annotations

from typing import Any

import msgspec

from ....config.endpoint import SimulatedConfig
from ..exchange import Answer, Ask
from ..model import Output, id_of, output
from . import sse
from .contract import Body, Format, Request, json_body


class _GenerateRequest(msgspec.Struct):
    text: str | None = None
    input_ids: list[int] | None = None
    stream: bool | None = None


_REQUEST = msgspec.json.Decoder(_GenerateRequest)


def _read(request: Request) -> Ask:
    """Read a prompt of words, or of token ids, each of which is a word."""
    asked = _REQUEST.decode(request.body)
    prompt = " ".join(map(str, asked.input_ids or ())) if asked.text is None else asked.text
    return request.ask(prompt, stream=bool(asked.stream))


def _reply(config: SimulatedConfig, _ask: Ask, answer: Answer) -> Body:
    words = output(config, answer)
    return json_body(_document(answer, words, len(words.ids), finished=True))


def _events(config: SimulatedConfig, _ask: Ask, answer: Answer) -> list[bytes]:
    """Return the events of a streamed reply: nothing or a hasty word, each token, then the end as one piece."""
    words = output(config, answer)
    first = b""
    if words.hasty:
        hasty = Output((words.hasty,), (id_of(words.hasty),), 1)
        first = sse.event(_document(answer, hasty, 1, finished=False))
    tokens = [sse.event(_document(answer, words, count, finished=False)) for count in range(1, len(words.ids) + 1)]
    return [first, *tokens, sse.event(_document(answer, words, len(words.ids), finished=True)) + sse.DONE]


def _document(answer: Answer, words: Output, n_tokens: int, *, finished: bool) -> dict[str, Any]:
    """Return the document of the first `n_tokens`."""
    return {
        "text": "".join(words.pieces[:n_tokens]),
        "output_ids": words.ids[:n_tokens],
        "meta_info": {
            "id": answer.id,
            "finish_reason": {"type": "stop"} if finished else None,
            "prompt_tokens": answer.n_prompt_words,
            "completion_tokens": words.n_reported if finished else n_tokens,
            "cached_tokens": answer.cached_words,
        },
    }


FORMAT = Format(name="generate", paths=("/generate",), read=_read, reply=_reply, events=_events)
