"""`openai_rerank`: POST /v1/rerank, documents by their relevance to a query. Pure.

Fields: those of Jina's and Cohere's APIs that vLLM and llama.cpp take. The digest is that of the documents' numbers and
their scores, in the order of the reply.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import msgspec

from ...config.model_params import ModelParams
from ...runs.script import NO_EDIT, Edit
from ..base import EndpointAdapter, Reply, Row, n_words
from ..replies import Count, bad
from ..rows import misspelt_column, unsendable
from ..stream import Endings
from .vectors import AskedDecoder, document, numbers, reply_of

_ENCODER = msgspec.json.Encoder()


class _RerankRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The body of a request."""

    query: str
    documents: list[str | dict[str, Any]]
    model: str | None = None
    top_n: int | None = None
    return_documents: bool | None = None
    max_tokens_per_doc: int | None = None
    truncate_prompt_tokens: int | None = None


_FIELDS = _RerankRequest.__struct_fields__


class OpenAIRerankAdapter(EndpointAdapter):
    """Reranking. A row has `query`, a text, and `documents`, a list of texts or of objects with a `text`.

    An edit changes the query and leaves the documents: every score depends on both.
    """

    api_type: ClassVar[str] = "openai_rerank"
    path = "/v1/rerank"
    own_columns: ClassVar[Collection[str]] = ("query",)
    text_output: ClassVar[bool] = False
    own_costs: ClassVar[bool] = True

    def __init__(self, params: ModelParams, *, streaming: bool = False) -> None:
        super().__init__(params, streaming=streaming)
        self._endings = Endings()

    def problem(self, row: Row) -> str | None:
        """Return what keeps a row from being sent, or None."""
        if wrong := misspelt_column(row, _FIELDS):
            return wrong
        query, documents = row.get("query"), row.get("documents")
        if not isinstance(query, str) or not query.strip():
            return "no text in column 'query'"
        if not isinstance(documents, list) or not documents or not all(map(_is_document, documents)):
            return "column 'documents' is not a list of texts, or of objects with a text"
        return unsendable(lambda: self._request(row, NO_EDIT))

    def encode(self, row: Row, edit: Edit = NO_EDIT) -> bytes:
        """Return the request body."""
        return _ENCODER.encode(self._request(row, edit))

    def n_words(self, row: Row) -> int:
        """Return how many words the query has."""
        return n_words(row["query"])

    def decoder(self, *, keep_output: bool = False) -> RerankDecoder:
        """Return a decoder for one reply; no output is kept."""
        return RerankDecoder(self._endings, keep_output=keep_output)

    def _request(self, row: Row, edit: Edit) -> _RerankRequest:
        given = {name: row[name] for name in _FIELDS if row.get(name) is not None}
        fields = {"model": self.params.name or None, **given, "query": edit.apply(row["query"])}
        return msgspec.convert(fields, _RerankRequest, strict=False)  # CSV has every number as text


def _is_document(one: Any) -> bool:
    text = one.get("text") if isinstance(one, Mapping) else one
    return isinstance(text, str)


class _Result(msgspec.Struct, gc=False):
    index: Count
    relevance_score: float | None = None
    score: float | None = None


class _Results(msgspec.Struct, gc=False):
    results: list[_Result]
    id: Any = None
    model: Any = None
    usage: Any = None


class _AskedFor(msgspec.Struct, gc=False):
    documents: list[msgspec.Raw]
    top_n: int | None = None

    @property
    def n_results(self) -> int:
        """How many results are due: as many as `top_n` says, and no more than there are documents."""
        return min(self.top_n or len(self.documents), len(self.documents))


_DECODER = msgspec.json.Decoder(_Results)


class RerankDecoder(AskedDecoder):
    """Reads results: as many as were asked for, each of another document, each with a score."""

    asked_for = msgspec.json.Decoder(_AskedFor)

    def _read(self, body: bytes) -> Reply:
        reply: _Results = document(_DECODER, body, "results")
        if not reply.results:
            raise bad("empty", "the reply has no results")
        self._require_numbered([one.index for one in reply.results])
        hasher = hashlib.sha256()
        for one in reply.results:
            score = one.relevance_score if one.relevance_score is not None else one.score
            if score is None:
                raise bad("malformed", f"the result of document {one.index} has no relevance_score")
            hasher.update(struct.pack("<I", one.index) + numbers([score], "a relevance_score").tobytes())
        return reply_of(hasher.hexdigest()[:32], reply)

    def _require_numbered(self, indices: list[int]) -> None:
        """Raise BadReplyError for another count than was asked for, or for documents that were not sent."""
        asked: _AskedFor | None = self._asked()
        n_documents = len(asked.documents) if asked is not None else max(indices) + 1
        if asked is not None and len(indices) != asked.n_results:
            raise bad("malformed", f"{len(indices)} results in the reply, {asked.n_results} due")
        if len(set(indices)) != len(indices) or not all(0 <= index < n_documents for index in indices):
            raise bad("malformed", f"the results are not of {len(indices)} of the {n_documents} documents, each once")
