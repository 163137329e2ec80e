"""The `tensors:` block of model_params: what a model of the KServe v2 protocol takes, and what it gives."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from .block import Block, reject

#: Types of elements as the protocol names them (Open Inference Protocol v2, "Tensor Data Types").
Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "BF16", "FP32", "FP64",
    "BYTES",
]  # fmt: skip
_Size = Annotated[int, Field(ge=1, lt=2**31)]
_MOST_ELEMENTS = 2**31


class TensorInput(Block):
    """One input of the model, as each row gives it."""

    name: str = Field(min_length=1, description="Name of the input, as the model's metadata has it")
    datatype: Datatype = Field(default="FP32", description="Type of its elements; BYTES are texts")
    shape: tuple[_Size, ...] = Field(
        description="Shape of one row's tensor, without the batch: [224, 224, 3]; of texts [1]"
    )
    column: str | None = Field(
        default=None,
        description="Column of the data set that has it: the numbers, or a path to a .npy file, a file of the bare "
        "elements (little-endian, .bin or .raw), or with preprocess an image; null: the input's own name",
    )
    preprocess: Literal["none", "resnet50"] = Field(
        default="none",
        description="What is made of an image; resnet50: MLPerf's for ResNet-50, the shorter side to 256, the centre "
        "224 x 224, means 123.68, 116.78, 103.94 taken off, NHWC or NCHW as the shape says",
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if prod(self.shape) >= _MOST_ELEMENTS:
            reject(f"has {prod(self.shape)} elements, more than {_MOST_ELEMENTS - 1}", at=["shape"])
        if self.preprocess == "resnet50" and (self.datatype, self.shape) not in _RESNET:
            shapes = " or ".join(str(list(shape)) for _, shape in _RESNET)
            reject(f"makes FP32 of shape {shapes}; correct datatype and shape, or drop it", at=["preprocess"])
        return self


_RESNET = (("FP32", (224, 224, 3)), ("FP32", (3, 224, 224)))


class Tensors(Block):
    """What a model takes and gives."""

    inputs: tuple[TensorInput, ...] = Field(min_length=1, description="Inputs of the model, in the order to send them")
    outputs: tuple[str, ...] = Field(default=(), description="Outputs to ask for; empty: all that the model has")
    encoding: Literal["binary", "json"] = Field(
        default="binary",
        description="binary: tensors as bytes behind the JSON (the binary tensor data extension: Triton, KServe), "
        "json: as numbers in it (MLServer has nothing else)",
    )
    batched: bool = Field(
        default=True, description="Whether shapes on the wire begin with the number of rows; false: with the row's own"
    )
    label_output: str | None = Field(
        default=None,
        description="Output that is a label, or of which the greatest element is, for accuracy; null: the first",
    )
    label_offset: int = Field(
        default=0,
        ge=-(2**15),
        le=2**15,
        description="Added to the label: -1 for models with a class of background, as MLPerf's TensorFlow ResNet-50",
    )
    vary: str | None = Field(
        default=None, description="Name of the input in which twins differ from their row; null: the first"
    )

    @model_validator(mode="after")
    def _json_has_the_types(self) -> Self:
        if self.encoding == "json" and any(one.datatype == "BF16" for one in self.inputs):
            reject("has no number of type BF16; set encoding: binary", at=["encoding"])
        return self

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        names = [one.name for one in self.inputs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            reject(f"name {twice!r} twice; each input once", at=["inputs"])
        if self.vary is not None and self.vary not in names:
            reject(f"names no input; the inputs are {', '.join(names)}", at=["vary"])
        if self.label_output is not None and self.outputs and self.label_output not in self.outputs:
            reject(f"is not among the outputs that are asked for: {', '.join(self.outputs)}", at=["label_output"])
        return self

    @property
    def varied(self) -> TensorInput:
        """The input in which twins differ from their row."""
        return next((one for one in self.inputs if one.name == self.vary), self.inputs[0])
