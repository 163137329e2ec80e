"""Documents by their relevance to a query, as vLLM gives them under the paths of Jina and Cohere. Pure."""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec

from ....config.endpoint import SimulatedConfig
from ..exchange import Answer, Ask
from . import parts
from .contract import BadRequestError, Body, Format, Request, json_body


class _Document(msgspec.Struct):
    text: str


class _RerankRequest(msgspec.Struct):
    query: str
    documents: list[str | _Document]
    model: str = ""
    top_n: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _Wants(msgspec.Struct, frozen=True, gc=False):
    """`top_n` is how many results are wanted at most, 0: all."""

    top_n: int


_REQUEST = msgspec.json.Decoder(_RerankRequest)


def _read(request: Request) -> Ask:
    asked = _REQUEST.decode(request.body)
    documents = [one if isinstance(one, str) else one.text for one in asked.documents]
    if not documents:
        raise BadRequestError("there are no documents")
    return request.ask(
        parts.joined([asked.query, *documents]),
        question=asked.query,
        model=asked.model,
        wants=_Wants(asked.top_n or 0),
    )


def _reply(_config: SimulatedConfig, ask: Ask, answer: Answer) -> Body:
    """Return the documents, the most relevant first."""
    query, *documents = parts.texts(answer) or [""]
    scores = [_score(parts.source(answer, parts.joined([query, document]))) for document in documents]
    best_first = sorted(range(len(documents)), key=lambda at: -scores[at])
    results = [
        {"index": at, "document": {"text": documents[at], "multi_modal": None}, "relevance_score": scores[at]}
        for at in best_first[: ask.wants.top_n or None]
    ]
    n_words = answer.n_prompt_words
    return json_body(
        {
            "id": f"score-{answer.id}",
            "model": ask.model,
            "usage": {"prompt_tokens": n_words, "total_tokens": n_words},
            "results": results,
        }
    )


def _score(source: bytes) -> float:
    """Return a score from 0 to 1."""
    return int.from_bytes(hashlib.blake2b(source, digest_size=4).digest(), "big") / 2**32


FORMAT = Format(name="rerank", paths=("/v1/rerank", "/rerank", "/v2/rerank"), read=_read, reply=_reply)
