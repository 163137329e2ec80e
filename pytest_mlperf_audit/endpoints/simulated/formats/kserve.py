"""The Open Inference Protocol v2, as Triton speaks it: a classifier of 1,001 classes. Pure.

Any inputs will do. There are two outputs: `probabilities`, FP32 of shape [rows, 1001], and `label`, INT64 of shape
[rows], as numbers or as bytes behind the JSON.
"""

from __future__ import annotations

import hashlib
import itertools
from array import array
from typing import Any, Final

import msgspec

from ....config.endpoint import SimulatedConfig
from ..exchange import Answer, Ask
from .binary import text_of
from .contract import BadRequestError, Body, Format, Page, Request, json_body

_CLASSES: Final = 1001
_HEADER: Final = "Inference-Header-Content-Length"
_OUTPUTS: Final = ("probabilities", "label")


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int] = []
    datatype: str = ""
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class _Infer(msgspec.Struct):
    inputs: list[_Tensor]
    outputs: list[_Tensor] = []
    parameters: dict[str, Any] = {}
    id: str | None = None


class _Wants(msgspec.Struct, frozen=True, gc=False):
    outputs: tuple[str, ...]
    binary: bool
    n_rows: int
    id: str | None
    version: str


_INFER = msgspec.json.Decoder(_Infer)


def _read(request: Request) -> Ask:
    """Read tensors; what the model reads of them is a text made of their elements."""
    end = int(request.headers.get(_HEADER, len(request.body)))
    infer = _INFER.decode(request.body[:end])
    behind = sum(int(one.parameters.get("binary_data_size", 0)) for one in infer.inputs)
    if behind != len(request.body) - end:
        raise BadRequestError(f"{len(request.body) - end} bytes stand behind the JSON where {behind} were told")
    if unknown := next((one.name for one in infer.outputs if one.name not in _OUTPUTS), None):
        raise BadRequestError(f"unexpected inference output '{unknown}' for model '{request.parameters['model']}'")
    elements = request.body[end:] + msgspec.json.encode([one.data for one in infer.inputs if one.data is not None])
    binary = bool(infer.parameters.get("binary_data_output"))
    wants = _Wants(
        outputs=tuple(one.name for one in infer.outputs) or _OUTPUTS,
        binary=binary or any(one.parameters.get("binary_data") for one in infer.outputs),
        n_rows=infer.inputs[0].shape[0] if infer.inputs and infer.inputs[0].shape else 1,
        id=infer.id,
        version=request.parameters.get("version", "1"),
    )
    return request.ask(text_of(elements), model=request.parameters["model"], wants=wants)


def _reply(_config: SimulatedConfig, ask: Ask, answer: Answer) -> Body:
    wants: _Wants = ask.wants
    rows = [_scores(answer.source, row) for row in range(wants.n_rows)]
    outputs, pieces = [], []
    for name in wants.outputs:
        numbers = array("f", itertools.chain(*rows)) if name == "probabilities" else array("q", map(_greatest, rows))
        datatype, shape = ("FP32", [len(rows), _CLASSES]) if name == "probabilities" else ("INT64", [len(rows)])
        output: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
        if wants.binary:
            output["parameters"] = {"binary_data_size": len(numbers) * numbers.itemsize}
            pieces.append(numbers.tobytes())
        else:
            output["data"] = numbers.tolist()
        outputs.append(output)
    document = {"model_name": ask.model, "model_version": wants.version, "outputs": outputs}
    document |= {} if wants.id is None else {"id": wants.id}
    if not wants.binary:
        return json_body(document)
    head = msgspec.json.encode(document)
    return Body(b"".join([head, *pieces]), "application/octet-stream", {_HEADER: str(len(head))})


def _scores(source: bytes, row: int) -> list[float]:
    """Return a row's probabilities, which sum to 1."""
    noise = memoryview(hashlib.shake_128(source + b"%d" % row).digest(2 * _CLASSES)).cast("H").tolist()
    total = sum(noise) or 1
    return [number / total for number in noise]


def _greatest(scores: list[float]) -> int:
    return scores.index(max(scores))


def _metadata(_config: SimulatedConfig, request: Request) -> Body:
    """Return what there is to know of any model: its outputs; it takes all inputs."""
    outputs = [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, _CLASSES]},
        {"name": "label", "datatype": "INT64", "shape": [-1]},
    ]
    document = {"name": request.parameters["model"], "versions": ["1"], "platform": "simulated", "inputs": []}
    return json_body({**document, "outputs": outputs})


def _error(message: str, _kind: str) -> bytes:
    return msgspec.json.encode({"error": message})


FORMAT = Format(
    name="kserve",
    paths=("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"),
    read=_read,
    reply=_reply,
    pages=(Page("/v2/models/{model}", _metadata), Page("/v2/models/{model}/versions/{version}", _metadata)),
    error=_error,
)
