"""`kserve_v2`: the Open Inference Protocol's POST /v2/models/{model}/infer (Triton, MLServer, KServe).

The JSON of a binary request is filled with spaces to one length for the whole run, so that the header that tells it is
constant, and repeats are equal in every header.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec
import numpy as np

from ...config.model_params import ModelParams
from ...config.tensors import TensorInput, Tensors
from ...datasets.dataset import column_of
from ...runs.body import Body, Pieces
from ...runs.script import NO_EDIT, Edit
from ...text import printable
from ..base import EndpointAdapter, Row
from ..replies import as_list
from .kserve_reply import KServeDecoder
from .tensors import Array, TensorError, edited, tensor

_HEADER = "Inference-Header-Content-Length"
_BLOCK = 256
_ENCODER = msgspec.json.Encoder()
_TEXTS = "BYTES"
_NOT_FOUND = 404
_FAILED = 500
_REFUSED = frozenset({400, 422})
_OF_TENSORS = re.compile(r"input|output|shape|type|tensor", re.IGNORECASE)


class KServeAdapter(EndpointAdapter):
    """Tensors in, tensors out. What the model takes stands in model_params.tensors; a row has a column for each input.

    A twin differs from its row in a few elements of one input, each by the least steps of its type; where that input is
    a text (BYTES), in its words. Ids, parameters and headers never differ.
    """

    api_type: ClassVar[str] = "kserve_v2"
    path = "/v2/models/{model}/infer"
    twins = "a few elements changed by the least steps of their type"
    text_output: ClassVar[bool] = False
    max_batch: ClassVar[int] = 65_536
    max_reply_bytes: ClassVar[int] = 256 * 2**20

    def __init__(self, params: ModelParams, *, streaming: bool = False) -> None:
        super().__init__(params, streaming=streaming)
        version = f"/versions/{quote(params.version, safe='')}" if params.version else ""
        self._model_path = f"/v2/models/{quote(params.name, safe='')}{version}"
        self.path = f"{self._model_path}/infer"
        self._tensors = params.tensors
        self._wants: Mapping[str, Any] = {}
        if self._tensors is None:
            return
        if self._tensors.varied.datatype == _TEXTS:
            self.twins = ""
        binary = self._tensors.encoding == "binary"
        if self._tensors.outputs:
            asked = {"parameters": {"binary_data": True}} if binary else {}
            self._wants = {"outputs": [{"name": name, **asked} for name in self._tensors.outputs]}
        elif binary:
            self._wants = {"parameters": {"binary_data_output": True}}
        if binary:
            self._json_bytes = self._longest_json(self._tensors)
            self.headers = {
                "Content-Type": "application/octet-stream",
                "Accept": "*/*",
                _HEADER: str(self._json_bytes),
            }

    def _longest_json(self, tensors: Tensors) -> int:
        """Return the length to which the JSON of each request is filled."""
        described = [self._described(one, 10**12) for one in tensors.inputs]
        longest = len(_ENCODER.encode({"inputs": described, **self._wants}))
        return -(-longest // _BLOCK) * _BLOCK

    def problem(self, row: Row) -> str | None:
        """Return what keeps a row, or a batch of them, from being sent, or None."""
        if self._tensors is None:
            return "model_params.tensors does not say what the model takes; name its inputs there"
        if not self._tensors.batched and self.params.batch_size > 1:
            return "model_params.tensors.batched is false, so a query has one row; drop batch_size"
        rows = self.rows(row)
        for number, one in enumerate(rows, start=1):
            if wrong := self._row_problem(one, self._tensors):
                return f"row {number} of these {len(rows)}: {wrong}" if len(rows) > 1 else wrong
        return None

    def _row_problem(self, row: Row, tensors: Tensors) -> str | None:
        for given in tensors.inputs:
            column = _column(row, given)
            if row.get(column) is None:
                known = ", ".join(map(repr, row)) or "none"
                return f"no column {column!r} for input {given.name!r}; its columns are {known}: name one in column"
            try:
                if given.datatype == _TEXTS:
                    _texts(row[column], given)
                else:
                    _require_sendable(tensor(row[column], given, self.find), tensors)
            except TensorError as error:
                return f"column {column!r} {printable(str(error))}"
        return None

    def n_words(self, row: Row) -> int:
        """Return the words of the text that twins differ in; 0 where that is no text."""
        if self._tensors is None or (given := self._tensors.varied).datatype != _TEXTS:
            return 0
        first = self.rows(row)[0]
        return len(" ".join(_texts(first[_column(first, given)], given)).split())

    def encode(self, row: Row, edit: Edit = NO_EDIT) -> Body:
        """Return the request: its JSON, and in binary the elements behind it."""
        tensors = self._tensors
        assert tensors is not None, "a row without a problem has tensors"
        inputs, parts = [], []
        for given in tensors.inputs:
            own_edit = edit if given is tensors.varied else NO_EDIT
            values = list(self._values(self.rows(row), given, own_edit))
            if tensors.encoding == "json":
                inputs.append(
                    {**self._described(given, None), "data": [one for value in values for one in value.numbers()]}
                )
                continue
            pieces = [piece for value in values for piece in value.pieces()]
            inputs.append(self._described(given, sum(len(piece) for piece in pieces)))
            parts += pieces
        head = _ENCODER.encode({"inputs": inputs, **self._wants})
        if tensors.encoding == "json":
            return head
        return Pieces([head.ljust(self._json_bytes), *parts])

    def _described(self, given: TensorInput, n_bytes: int | None) -> dict[str, Any]:
        assert self._tensors is not None
        batch = [self.params.batch_size] if self._tensors.batched else []
        described: dict[str, Any] = {"name": given.name, "shape": [*batch, *given.shape], "datatype": given.datatype}
        return described if n_bytes is None else {**described, "parameters": {"binary_data_size": n_bytes}}

    def _values(self, rows: Sequence[Row], given: TensorInput, edit: Edit) -> Iterator[_Texts | _Changed]:
        for row in rows:
            value = row[_column(row, given)]
            if given.datatype == _TEXTS:
                yield _Texts([text if edit is NO_EDIT else edit.apply(text) for text in _texts(value, given)])
            else:
                yield _Changed(*edited(tensor(value, given, self.find), given, edit))

    def decoder(self, *, keep_output: bool = False) -> KServeDecoder:
        """Return a decoder for one reply; the output kept is the label."""
        tensors = self._tensors
        return KServeDecoder(
            label_output=tensors.label_output if tensors else None,
            label_offset=tensors.label_offset if tensors else 0,
            keep_output=keep_output,
        )

    def metadata_path(self) -> str:
        """Return the page of the model's metadata."""
        return self._model_path

    def metadata_problem(self, page: bytes) -> str | None:
        """Return what of model_params.tensors the model does not take, or None; KServe's own server may say nothing."""
        try:
            said = json.loads(page)
        except ValueError:
            return None
        if not isinstance(said, dict) or self._tensors is None:
            return None
        versions = [str(one) for one in as_list(said.get("versions"))]
        if versions and self.params.version and self.params.version not in versions:
            return f"has the versions {', '.join(versions)}; correct model_params.version"
        inputs = {one.get("name"): one for one in said.get("inputs") or () if isinstance(one, dict)}
        outputs = [one.get("name") for one in said.get("outputs") or () if isinstance(one, dict)]
        for given in self._tensors.inputs if inputs else ():
            if wrong := self._input_problem(given, inputs):
                return f"{wrong}; correct model_params.tensors"
        if outputs and (missing := [name for name in self._asked_for() if name not in outputs]):
            known = ", ".join(map(str, outputs))
            return f"has no output {missing[0]!r}; its outputs are {known}; correct model_params.tensors"
        return None

    def refusal_cure(self, status: int, words: str) -> str | None:
        """Return the cure for what Triton, MLServer and KServe refuse; a 404 without the model's name is the path's."""
        if status == _NOT_FOUND and re.search(rf"(?<!\w)(?:{re.escape(self.params.name)}|unknown model)(?!\w)", words):
            return f"correct model_params.name{' or version' if self.params.version else ''}"
        if status in _REFUSED and self.params.batch_size > 1 and "batch" in words.lower():
            return "lower model_params.batch_size"
        if status in _REFUSED and _OF_TENSORS.search(words):
            return "correct model_params.tensors"
        if status == _FAILED and self._tensors is not None and self._tensors.encoding == "binary":
            return "see the server's log, or set model_params.tensors.encoding: json (MLServer takes no other)"
        return None

    def _asked_for(self) -> Iterator[str]:
        assert self._tensors is not None
        yield from self._tensors.outputs
        if self._tensors.label_output is not None:
            yield self._tensors.label_output

    def _input_problem(self, given: TensorInput, inputs: Mapping[Any, Mapping[str, Any]]) -> str | None:
        said = inputs.get(given.name)
        if said is None:
            return f"has no input {given.name!r}; its inputs are {', '.join(map(str, inputs))}"
        if said.get("datatype") not in (given.datatype, None):
            return f"takes input {given.name!r} as {said['datatype']}, not {given.datatype}"
        shape, sent = said.get("shape"), self._described(given, None)["shape"]
        if not isinstance(shape, list) or not all(isinstance(size, int) for size in shape):
            return None
        fits = len(shape) == len(sent) and all(size in (-1, own) for size, own in zip(shape, sent, strict=True))
        return None if fits else f"takes input {given.name!r} of shape {shape}, and {sent} would be sent"


def _require_sendable(array: Array, tensors: Tensors) -> None:
    """Raise TensorError where JSON has no number for an element."""
    if tensors.encoding == "json" and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise TensorError("has elements that are no finite numbers, for which JSON has none; set encoding: binary")


def _column(row: Row, given: TensorInput) -> str:
    return column_of(row, given.column or given.name)


class _Texts:
    """The texts of one row."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts

    def numbers(self) -> list[Any]:
        """Return the elements as JSON has them."""
        return self._texts

    def pieces(self) -> list[bytes]:
        """Return the elements as bytes: each behind its length in 4 bytes."""
        coded = [text.encode() for text in self._texts]
        return [b"".join(len(one).to_bytes(4, "little") + one for one in coded)]


class _Changed:
    """A row's tensor, some bytes of which are others."""

    def __init__(self, array: Array, changes: list[tuple[int, bytes]]) -> None:
        self._array = array
        self._changes = changes

    def numbers(self) -> list[Any]:
        """Return the elements as JSON has them."""
        data = bytearray(self._array.tobytes())
        for at, changed in self._changes:
            data[at : at + len(changed)] = changed
        elements: list[Any] = np.frombuffer(data, dtype=self._array.dtype).tolist()
        return elements

    def pieces(self) -> list[memoryview | bytes]:
        """Return the elements as bytes: views of the array, and what has changed between them."""
        view = self._array.reshape(-1).view("|u1").data
        pieces: list[memoryview | bytes] = []
        begin = 0
        for at, changed in self._changes:
            pieces += [view[begin:at], changed]
            begin = at + len(changed)
        return [*pieces, view[begin:]]


def _texts(value: Any, given: TensorInput) -> list[str]:
    """Return a row's texts, as many as its shape asks for. Raises TensorError."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise TensorError("is neither a text nor a list of texts")
    n = 1
    for size in given.shape:
        n *= size
    if len(texts) != n:
        raise TensorError(f"has {len(texts)} texts where the shape {list(given.shape)} asks for {n}")
    return texts
