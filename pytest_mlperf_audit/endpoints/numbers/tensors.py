"""Tensors as arrays: those of rows and files, and how an edit changes them. Pure but for the files that rows name.

Arrays are of the protocol's types, little-endian; BF16 is carried as its 16 bits. A file is mapped, never read whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ...config.tensors import TensorInput
from ...runs.script import Edit

Array = npt.NDArray[Any]

#: The protocol's types as numpy has them; BF16, which numpy has not, as the bits it consists of. BYTES are no array.
DTYPES: Final[Mapping[str, str]] = {
    "BOOL": "|b1",
    **{f"{sign}INT{bits}": f"<{kind}{bits // 8}" for bits in (8, 16, 32, 64) for sign, kind in (("", "i"), ("U", "u"))},
    "FP16": "<f2",
    "BF16": "<u2",
    "FP32": "<f4",
    "FP64": "<f8",
}
#: Bits of the fraction of floating-point types; those of the exponent are all set in what is no number.
_FRACTIONS: Final = {"FP16": 10, "BF16": 7, "FP32": 23, "FP64": 52}
#: A twin differs in so many elements, of whole numbers in more, since each has but one step.
_CHANGED: Final = 4
_CHANGED_WHOLE: Final = 16
#: Most steps of a floating-point number; a tensor of few has other twins by larger ones alone.
_MOST_STEPS: Final = 64
_MOST_STEPS_OF_FEW: Final = 4096
#: Kinds of numpy's types that are numbers: bool, int, uint, float.
_NUMBERS: Final = "biuf"
_IMAGES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


class TensorError(Exception):
    """A row's value is no tensor of the input; the message says why."""


def tensor(value: Any, given: TensorInput, find: Callable[[str], Path]) -> Array:
    """Return what a row gives for an input, in its shape; a file is mapped. Raises TensorError."""
    array = _of_file(value, given, find) if isinstance(value, str) else _of_numbers(value, given)
    if array.size != prod(given.shape) or _squeezed(array.shape) != _squeezed(given.shape):
        raise TensorError(f"has the shape {list(array.shape)}, not {list(given.shape)} of model_params.tensors")
    return array.reshape(given.shape)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size > 1)


def _of_numbers(value: Any, given: TensorInput) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:
        raise TensorError("is a list of lists of different lengths") from None
    if array.dtype.kind not in _NUMBERS:
        raise TensorError("is neither numbers nor the path of a file")
    if array.size == prod(given.shape):
        array = array.reshape(given.shape)
    return _converted(array, given)


def _of_file(path: str, given: TensorInput, find: Callable[[str], Path]) -> Array:
    try:
        found = find(path)
        if found.suffix.lower() == ".npy":
            return _converted(_of_npy(found), given)
        if found.suffix.lower() in _IMAGES:
            if given.preprocess == "none":
                raise TensorError(f"is an image, {path}; say what is made of it: preprocess: resnet50")
            from .pictures import resnet50  # noqa: PLC0415 - an optional extra

            return resnet50(found, channels_first=given.shape[0] == 3)
        size = found.stat().st_size
        if size != prod(given.shape) * np.dtype(DTYPES[given.datatype]).itemsize:
            raise TensorError(
                f"has {size} bytes, in {path}, which are not {given.datatype} of shape {list(given.shape)}"
            )
        return np.memmap(found, dtype=DTYPES[given.datatype], mode="r", shape=given.shape)
    except (OSError, ValueError, EOFError) as error:
        raise TensorError(f"cannot be read: {error}") from None


def _of_npy(found: Path) -> Array:
    """Return a .npy file, mapped. Raises ValueError and OSError; a file that names itself so may hold anything."""
    try:
        array: Array = np.lib.format.open_memmap(found, mode="r")
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - numpy lets what its parser of the header raises through
        held = "it holds Python objects" if "Python objects" in str(error) else "it is cut or no .npy file"
        raise ValueError(f"{held}, {found.name}; save the numbers again with numpy.save") from None
    if array.dtype.kind not in _NUMBERS:
        raise ValueError(f"its elements are no numbers but {array.dtype}")
    return array


def _converted(array: Array, given: TensorInput) -> Array:
    """Return an array as the input's type, where it holds every value of it; as it is where it has the type."""
    dtype = np.dtype(DTYPES[given.datatype])
    if given.datatype == "BF16":
        if array.dtype == np.dtype("<u2"):
            return array
        return _as_bfloat16(_converted(array, given.model_copy(update={"datatype": "FP32"})))
    if array.dtype == dtype and array.flags.c_contiguous:
        return array
    if array.dtype.kind == "f" and dtype.kind != "f":
        raise TensorError(f"has fractions, or their type, where {given.datatype} is asked for")
    with np.errstate(over="ignore", invalid="ignore"):
        converted = np.ascontiguousarray(array, dtype=dtype)
    if dtype.kind in "iu" and not np.array_equal(converted, array):
        raise TensorError(f"has numbers that {given.datatype} does not hold")
    if dtype.kind == "f" and not np.array_equal(np.isfinite(converted), np.isfinite(array)):
        raise TensorError(f"has numbers too large for {given.datatype}")
    return converted


def _as_bfloat16(array: Array) -> Array:
    """Return the nearest BF16 of each FP32, as its bits; ties to even, what is no number is none either.

    Raises TensorError for a number that only infinity is near to.
    """
    bits = array.view("<u4")
    rounded: Array = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    if ((rounded & 0x7F80 == 0x7F80) & np.isfinite(array)).any():
        raise TensorError("has numbers too large for BF16")
    made: Array = np.where(np.isnan(array), (bits >> 16) | 0x40, rounded).astype("<u2")
    return made


def edited(array: Array, given: TensorInput, edit: Edit) -> tuple[Array, list[tuple[int, bytes]]]:
    """Return an input's array as an edit has it, and the bytes in it that differ: (where they begin, what they are).

    So a twin of a mapped file is the file with a few bytes in place of its own. Where an input is made up, the array
    is another: noise between the least and the greatest of the row's elements.
    """
    if (made_up := edit.made_up_seed) is not None:
        array = noise(array, given, np.random.default_rng(made_up))
    seed = edit.twin_seed
    return array, [] if seed is None else changes(array, given, seed)


def changes(array: Array, given: TensorInput, seed: int) -> list[tuple[int, bytes]]:
    """Return the bytes of a twin that differ from an array's, in order: (where they begin, what they are)."""
    return sorted(_changes(array, given, np.random.default_rng(seed)))


def _changes(array: Array, given: TensorInput, rng: np.random.Generator) -> Iterator[tuple[int, bytes]]:
    """Yield the changed elements of a twin: each is near its own number, and never what is no number."""
    flat = array.reshape(-1)
    size = flat.dtype.itemsize
    fraction = _FRACTIONS.get(given.datatype)
    count = min(flat.size, _CHANGED if fraction else _CHANGED_WHOLE)
    if not fraction and flat.size <= count:
        count = (flat.size + 1) // 2  # all of them would be one twin
    for at in rng.choice(flat.size, size=count, replace=False):
        bits = int.from_bytes(flat[at].tobytes(), "little")
        if fraction:
            most = min(_MOST_STEPS if flat.size >= _MOST_STEPS else _MOST_STEPS_OF_FEW, 1 << max(fraction - 3, 2))
            bits = _stepped(bits, fraction, 8 * size, int(rng.integers(1, most + 1)))
        else:
            bits = _lowered(bits, given.datatype, 8 * size)
        yield int(at) * size, bits.to_bytes(size, "little")


def _stepped(bits: int, fraction: int, width: int, steps: int) -> int:
    """Return the bits of a floating-point number some steps away; of infinity or NaN those of another NaN."""
    magnitude = bits & ((1 << (width - 1)) - 1)
    infinity = ((1 << (width - 1 - fraction)) - 1) << fraction
    if magnitude >= infinity:
        return (bits ^ steps) | infinity | (1 << (fraction - 1))
    return bits + steps if magnitude + steps < infinity else bits - steps


def _lowered(bits: int, datatype: str, width: int) -> int:
    """Return the bits of a whole number one below it, of 0 those of 1: it may be an id, and the next not exist."""
    if datatype == "BOOL" or bits == 0:
        return 1 - bits
    lowest = 0 if datatype.startswith("U") else 1 << (width - 1)
    return bits + 1 if bits == lowest else bits - 1


def noise(array: Array, given: TensorInput, rng: np.random.Generator) -> Array:
    """Return noise of an array's shape, within its range."""
    if given.datatype == "BOOL":
        return rng.integers(0, 2, array.shape, dtype=np.uint8).astype("|b1")
    if given.datatype == "BF16":
        floats = (array.astype("<u4") << 16).view("<f4")
        return _as_bfloat16(noise(floats, given.model_copy(update={"datatype": "FP32"}), rng))
    low, high = array.min(), array.max()
    if array.dtype.kind == "f":
        finite = np.isfinite(low) and np.isfinite(high)
        low, high = (float(low), float(high)) if finite else (-1.0, 1.0)
        if low == high:
            low, high = low - 1.0, high + 1.0
        made: Array = (low + (high - low) * rng.random(array.shape, dtype=np.float32)).astype(array.dtype)
        return made
    return rng.integers(int(low), max(int(high), int(low) + 1), array.shape, dtype=array.dtype, endpoint=True)
