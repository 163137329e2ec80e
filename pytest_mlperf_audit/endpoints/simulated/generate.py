"""SGLang's /generate from the server's side. Pure; a stream's events repeat what came before them."""

from __future__ import annotations

from typing import Any

import msgspec

from .exchange import Answer, Ask
from .model import Output, id_of


class _Request(msgspec.Struct):
    text: str | None = None
    input_ids: list[int] | None = None
    stream: bool | None = None


_REQUEST = msgspec.json.Decoder(_Request)


def read(key: bytes, body: bytes) -> Ask:
    """Read a prompt of words, or of token ids, each of which is a word. Raises ValueError."""
    request = _REQUEST.decode(body)
    prompt = " ".join(map(str, request.input_ids or ())) if request.text is None else request.text
    if not prompt.strip():
        raise ValueError("the prompt is empty")
    return Ask(kind="generate", key=key, prompt=prompt, question=prompt, stream=bool(request.stream))


def reply(answer: Answer, words: Output) -> bytes:
    """Return a whole reply."""
    return msgspec.json.encode(_document(answer, words, len(words.ids), finished=True))


def events(answer: Answer, words: Output) -> list[bytes]:
    """Return the events of a streamed reply: nothing or a hasty word, each token, then the end as one piece."""
    first = b""
    if words.hasty:
        hasty = Output((words.hasty,), (id_of(words.hasty),), 1)
        first = _event(_document(answer, hasty, 1, finished=False))
    tokens = [_event(_document(answer, words, count, finished=False)) for count in range(1, len(words.ids) + 1)]
    return [first, *tokens, _event(_document(answer, words, len(words.ids), finished=True)) + b"data: [DONE]\n\n"]


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


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(document) + b"\n\n"
