"""`openai_embeddings`: POST /v1/embeddings. Pure.

Fields: OpenAI's API reference, "Create embeddings", and the extensions of vLLM. The digest is that of the vectors'
float32 values, which are the same however a server writes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from ...config.model_params import ModelParams
from ...runs.script import NO_EDIT, Edit
from ..base import EndpointAdapter, Reply, Row, n_words
from ..replies import Count, bad
from ..rows import edited, ids_problem, misspelt_column, prompt_column, unsendable
from ..stream import Endings
from .vectors import AskedDecoder, document, in_order, numbers, reply_of

_ENCODER = msgspec.json.Encoder()
#: Columns of a row's input, in the order in which they are looked for.
_INPUT_COLUMNS = ("input", "input_tokens", "token_ids")

Input = str | list[int]


class _EmbeddingsRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The body of a request."""

    input: str | list[Any]
    model: str | None = None
    encoding_format: str | None = None
    dimensions: int | None = None
    user: str | None = None
    input_type: str | None = None
    truncate_prompt_tokens: int | None = None
    add_special_tokens: bool | None = None


_FIELDS = _EmbeddingsRequest.__struct_fields__


class OpenAIEmbeddingsAdapter(EndpointAdapter):
    """Embeddings of texts.

    A row has `input`: a text, token ids, or a list of either, each of which has a vector; or `input_tokens` or
    `token_ids`; or else `prompt`, a text. Of a batch, the inputs of all rows are sent together, with the settings of
    the first. An edit changes every input, since caches may know each by itself; an input that is made up in a row's
    place has its words in another order for each further one.
    """

    api_type: ClassVar[str] = "openai_embeddings"
    path = "/v1/embeddings"
    own_columns: ClassVar[Collection[str]] = ("input",)
    text_output: ClassVar[bool] = False
    own_costs: ClassVar[bool] = True
    max_batch: ClassVar[int] = 2048
    max_reply_bytes: ClassVar[int] = 256 * 2**20

    def __init__(self, params: ModelParams, *, streaming: bool = False) -> None:
        super().__init__(params, streaming=streaming)
        self._endings = Endings()

    def problem(self, row: Row) -> str | None:
        """Return what keeps a row from being sent, or None."""
        for one in self.rows(row):
            if wrong := misspelt_column(one, {*_FIELDS, *_INPUT_COLUMNS, "prompt"}) or _input_problem(one):
                return wrong
        return unsendable(lambda: self._request(row, NO_EDIT))

    def encode(self, row: Row, edit: Edit = NO_EDIT) -> bytes:
        """Return the request body."""
        return _ENCODER.encode(self._request(row, edit))

    def n_words(self, row: Row) -> int:
        """Return how many words, or token ids, the shortest of a row's inputs has."""
        return min(map(n_words, (one for each in self.rows(row) for one in _inputs(each))))

    def decoder(self, *, keep_output: bool = False) -> EmbeddingsDecoder:
        """Return a decoder for one reply; no output is kept."""
        return EmbeddingsDecoder(self._endings, keep_output=keep_output)

    def _request(self, row: Row, edit: Edit) -> _EmbeddingsRequest:
        rows = self.rows(row)
        given = {name: rows[0][name] for name in _FIELDS if rows[0].get(name) is not None}
        inputs = list(_changed([one for each in rows for one in _inputs(each)], edit))
        is_list = len(rows) > 1 or _is_list(rows[0])
        fields = {"model": self.params.name or None, **given, "input": inputs if is_list else inputs[0]}
        return msgspec.convert(fields, _EmbeddingsRequest, strict=False)  # CSV has every number as text


def _input_of(row: Row) -> Any:
    return row[prompt_column(row, _INPUT_COLUMNS)]


def _is_list(row: Row) -> bool:
    """Whether a row has several inputs, or a list of one."""
    given = _input_of(row)
    return isinstance(given, list) and not all(type(one) is int for one in given)


def _inputs(row: Row) -> Sequence[Input]:
    inputs: Sequence[Input] = _input_of(row) if _is_list(row) else [_input_of(row)]
    return inputs


def _changed(inputs: Sequence[Input], edit: Edit) -> Iterable[Input]:
    for at, one in enumerate(inputs):
        own = edit if edit.text is None or not at else replace(edit, text=_turned(edit.text, at))
        yield own.apply(one) if isinstance(one, str) else edited(one, own)


def _turned(text: str, by: int) -> str:
    words = text.split()
    by %= max(1, len(words))
    return " ".join([*words[by:], *words[:by]])


def _input_problem(row: Row) -> str | None:
    column = prompt_column(row, _INPUT_COLUMNS)
    if (given := row.get(column)) is None:
        return "no text in column 'input', and none in 'prompt'"
    inputs = given if isinstance(given, list) and not all(type(one) is int for one in given) else [given]
    for one in inputs:
        if isinstance(one, list) and (wrong := ids_problem(column, one)):
            return wrong
        if not isinstance(one, list) and (not isinstance(one, str) or not one.strip()):
            return f"no text and no token ids in column {column!r}"
    return None


class _Embedding(msgspec.Struct, gc=False):
    embedding: list[float] | str
    index: Count | None = None


class _Embeddings(msgspec.Struct, gc=False):
    data: list[_Embedding]
    id: Any = None
    model: Any = None
    usage: Any = None


class _AskedFor(msgspec.Struct, gc=False):
    input: str | list[msgspec.Raw]
    dimensions: int | None = None

    @property
    def n_inputs(self) -> int:
        """How many vectors are due: one for a text and for a list of token ids."""
        one = isinstance(self.input, str) or bytes(self.input[0])[:1].isdigit()
        return 1 if one else len(self.input)


_DECODER = msgspec.json.Decoder(_Embeddings)


class EmbeddingsDecoder(AskedDecoder):
    """Reads vectors: as many as there were inputs, of one length, which is that of `dimensions` if these were sent."""

    asked_for = msgspec.json.Decoder(_AskedFor)

    def _read(self, body: bytes) -> Reply:
        reply: _Embeddings = document(_DECODER, body, "data")
        asked: _AskedFor | None = self._asked()
        n_inputs = None if asked is None else asked.n_inputs
        order = in_order([one.index for one in reply.data], n_inputs, "vectors")
        vectors = [numbers(reply.data[at].embedding, f"vector {n}") for n, at in enumerate(order)]
        _require_length({len(vector) for vector in vectors}, None if asked is None else asked.dimensions)
        hasher = hashlib.sha256()
        for vector in vectors:
            hasher.update(vector.tobytes())
        return reply_of(hasher.hexdigest()[:32], reply)


def _require_length(lengths: set[int], dimensions: int | None) -> None:
    """Raise BadReplyError for vectors of several lengths, or of another than was asked for."""
    if len(lengths) > 1:
        raise bad("malformed", f"the vectors have from {min(lengths)} to {max(lengths)} numbers")
    if dimensions is not None and lengths != {dimensions}:
        raise bad(
            "malformed", f"the vectors have {max(lengths)} numbers, where `dimensions` asked for {dimensions}; drop it"
        )
