"""Replies of the Open Inference Protocol v2: tensors as numbers in JSON, or as bytes behind it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from ..base import BadReplyError, Reply
from ..failures import failure
from ..replies import as_count, as_list, as_mapping, as_unicode, bad, parse_leniently, short_id
from .tensors import DTYPES, Array

_HEADER = "inference-header-content-length"
_BINARY = b'"binary_data_size"'


class KServeDecoder:
    """Reads one reply. `digest` is of every output's name, type, shape and elements, however these were sent.

    The output kept is the label, offset added, of each row on a line of its own: the label output's element, or the
    place of the greatest of each row.
    """

    def __init__(self, *, label_output: str | None, label_offset: int, keep_output: bool) -> None:
        self._label_output = label_output
        self._label_offset = label_offset
        self._keep_output = keep_output
        self._json_bytes: int | None = None
        self._body = bytearray()

    def on_head(self, headers: Mapping[str, str]) -> None:
        """Note where the JSON ends."""
        if _HEADER in headers:
            self._json_bytes = as_count(headers[_HEADER].strip())

    def feed(self, data: bytes, at_ns: int) -> None:  # noqa: ARG002 - a reply has no tokens
        """Take the next piece of the body."""
        self._body += data

    def finish(self) -> Reply:
        """Return the reply. Raises BadReplyError."""
        if not self._body:
            raise bad("empty", "the reply has no body")
        end = len(self._body) if self._json_bytes is None else self._json_bytes
        if end > len(self._body):
            raise bad("truncated", f"the reply has {len(self._body)} bytes, fewer than the {end} of its JSON")
        document = self._document(bytes(self._body[:end]))
        if wrong := failure(document, answers="outputs" in document):
            raise bad("server_error", wrong)
        outputs = self._outputs(document, memoryview(self._body)[end:])
        hasher = hashlib.sha256()
        for name, (datatype, shape, elements) in outputs.items():
            hasher.update(as_unicode(f"{name} {datatype} {list(shape)} ").encode())
            hasher.update(elements)
        return Reply(
            digest=hasher.hexdigest()[:32],
            id=_word(document.get("id")),
            model=_word(document.get("model_name")),
            output=self._label(outputs) if self._keep_output else None,
        )

    def _document(self, data: bytes) -> Mapping[str, Any]:
        try:
            return parse_leniently(data, "the reply")
        except BadReplyError:
            if self._json_bytes is not None or _BINARY not in data:
                raise
            raise bad(
                "malformed",
                f"bytes stand behind the reply's JSON, and no header {_HEADER} tells where it ends; have the proxy "
                "before the server pass it on, or set model_params.tensors.encoding: json",
            ) from None

    def _outputs(
        self, document: Mapping[str, Any], behind: memoryview
    ) -> dict[str, tuple[str, tuple[int, ...], bytes | memoryview]]:
        found: dict[str, tuple[str, tuple[int, ...], bytes | memoryview]] = {}
        at = 0
        for one in map(as_mapping, as_list(document.get("outputs"))):
            name, datatype = one.get("name"), one.get("datatype")
            sizes = [as_count(size) for size in as_list(one.get("shape"))]
            shape = tuple(size for size in sizes if size is not None)
            if not isinstance(name, str) or not isinstance(datatype, str) or len(shape) < len(sizes) or not shape:
                raise bad("malformed", "an output lacks its name, its datatype or its shape")
            n_bytes = as_count(as_mapping(one.get("parameters")).get("binary_data_size"))
            if n_bytes is None:
                elements: bytes | memoryview = _of_numbers(name, datatype, shape, one.get("data"))
            else:
                elements = behind[at : at + n_bytes]
                at += n_bytes
                _require_bytes(name, datatype, shape, elements, n_bytes)
            found[name] = (datatype, shape, elements)
        if not found:
            raise bad("empty" if "outputs" in document else "malformed", "the reply has no outputs")
        if at < len(behind):
            raise bad("malformed", f"{len(behind) - at} bytes stand behind the outputs")
        if any(0 in shape for _, shape, _ in found.values()):
            raise bad("empty", "an output has no elements")
        return found

    def _label(self, outputs: Mapping[str, tuple[str, tuple[int, ...], bytes | memoryview]]) -> str | None:
        """Return the label of each row, a line each; None where the output is neither numbers nor there."""
        name = self._label_output or next(iter(outputs))
        datatype, shape, elements = outputs.get(name, ("", (), b""))
        if datatype not in DTYPES or datatype == "BF16":
            return None
        array: Array = np.frombuffer(elements, dtype=DTYPES[datatype]).reshape(shape[0], -1)
        labels = array[:, 0] if array.shape[1] == 1 else array.argmax(axis=1)
        return "\n".join(str(int(label) + self._label_offset) for label in labels)


def _word(value: Any) -> str | None:
    return short_id(as_unicode(value)) if isinstance(value, str) else None


def _require_bytes(
    name: str, datatype: str, shape: tuple[int, ...], elements: bytes | memoryview, n_bytes: int
) -> None:
    if len(elements) < n_bytes:
        raise bad("truncated", f"output {name!r} has {len(elements)} bytes of {n_bytes}")
    if datatype in DTYPES and n_bytes != prod(shape) * np.dtype(DTYPES[datatype]).itemsize:
        raise bad("malformed", f"output {name!r} has {n_bytes} bytes, which are not {datatype} of shape {list(shape)}")


def _of_numbers(name: str, datatype: str, shape: tuple[int, ...], data: Any) -> bytes:
    """Return an output's elements as bytes, as the binary extension has them. Raises BadReplyError."""
    if not isinstance(data, list):
        raise bad("malformed", f"output {name!r} has no data")
    flat = _flat(data)
    if len(flat) != prod(shape):
        raise bad("malformed", f"output {name!r} has {len(flat)} elements where its shape {list(shape)} asks otherwise")
    if datatype not in DTYPES or datatype == "BF16":
        return "\0".join(map(str, flat)).encode(errors="backslashreplace")
    if not all(isinstance(one, bool) if datatype == "BOOL" else type(one) in (int, float) for one in flat):
        raise bad("malformed", f"output {name!r} has data that is no {datatype}")
    try:
        with np.errstate(over="ignore"):
            return np.array(flat, dtype=DTYPES[datatype]).tobytes()
    except (TypeError, ValueError, OverflowError):
        raise bad("malformed", f"output {name!r} has data that is no {datatype}") from None


def _flat(data: list[Any]) -> list[Any]:
    """Return the elements of lists in lists, in their order."""
    while data and any(isinstance(one, list) for one in data):
        data = [element for one in data for element in (one if isinstance(one, list) else [one])]
    return data
