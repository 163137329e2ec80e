"""Lists of numbers as JSON has them, and how an edit changes them. Pure.

A server that reads JSON takes as long as the text is, so that what an edit leaves alone stays as it was written: `1`
never becomes `1.0`, and 0.5 no number of 17 digits.
"""

from __future__ import annotations

from math import log2
from typing import Any, Final

import numpy as np

from ...config.tensors import Datatype, TensorInput
from ...runs.script import Edit
from .tensors import Array, changes, noise

_TYPES: Final[dict[str, Datatype]] = {"i": "INT64", "u": "UINT64", "f": "FP64"}
#: Of fewer whole numbers there are too few twins by steps of one; those are changed as fractions are.
_FEWEST_WHOLE: Final = 64
#: An input that is made up of a row's own numbers is one of so many, by their logarithm, or else noise.
_FEWEST_BITS: Final = 64


def as_array(value: Any) -> Array | None:
    """Return a list of numbers, or lists of them in lists, as an array; None for what is none."""
    if not isinstance(value, list):
        return None
    try:
        array: Array = np.asarray(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return array if array.size and array.dtype.kind in _TYPES and np.isfinite(array).all() else None


def changed(value: list[Any], edit: Edit) -> list[Any]:
    """Return such a list as an edit has it: made up in its place, a twin of it, or both."""
    array = np.asarray(value)
    if array.dtype.kind != "f" and array.size < _FEWEST_WHOLE:
        array = array.astype("<f8")
    given = TensorInput(name="numbers", shape=array.shape, datatype=_TYPES[array.dtype.kind])
    written = np.asarray(value, dtype=object)
    if (made_up := edit.made_up_seed) is not None:
        rng = np.random.default_rng(made_up)
        if array.size * log2(len(np.unique(array))) >= _FEWEST_BITS:
            drawn = rng.choice(array.size, array.shape)
            array, written = array.reshape(-1)[drawn], written.reshape(-1)[drawn]
        else:
            array = noise(array, given, rng)
            written = array.astype(object)
    if (seed := edit.twin_seed) is not None:
        for at, element in changes(array, given, seed):
            written.reshape(-1)[at // array.itemsize] = np.frombuffer(element, array.dtype)[0].item()
    made: list[Any] = written.tolist()
    return made
