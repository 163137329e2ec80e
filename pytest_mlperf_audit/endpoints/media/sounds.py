"""Sounds in files, and sounds made of them: WAV by its own bytes, FLAC by the library soundfile, an extra.

A sound is changed where its samples are, so that all else in a file stays as it is and costs a server the same. Samples
are looked at as 32 bits, the highest ones being the file's own. What is small is one step of 16 bits, whatever the
file's: a server that makes 16 bits of each sample would not see one of 24.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...runs.script import Edit
from ...text import printable

_Array = npt.NDArray[Any]

#: WAVE_FORMAT_PCM, _IEEE_FLOAT and _EXTENSIBLE: Microsoft, "Multiple Channel Audio Data and WAVE Files".
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_KINDS: Final = {(_PCM, bits): f"u{bits // 8}" for bits in (8, 16, 24, 32)} | {(_FLOAT, 32): "f4", (_FLOAT, 64): "f8"}
#: Format, channels, frames a second, bytes a second, bytes of a frame, bits of a sample.
_FORM: Final = struct.Struct("<HHIIHH")
_STEP_BITS: Final = 16
_CURE: Final = "make a WAV file of 16 bits of it, by ffmpeg, say"
_FLAC_CURE: Final = "FLAC needs the library soundfile; pip install 'pytest-mlperf-audit[audio]', or give WAV files"

#: A sound of fewer has no room for what makes twins differ: the 64 bits of a seed.
_FEWEST_FRAMES: Final = 256
#: So many samples of a twin differ, or half of what a sound has.
_N_CHANGED: Final = 1024
#: A made-up sound is the row's own in so many pieces or more, a fourth of a second each at most, in another order.
_FEWEST_PIECES: Final = 64
_PIECES_A_SECOND: Final = 4
#: Noise in place of what is no other sound in another order: silence, say.
_LOUDEST_STEPS: Final = 64


class SoundError(Exception):
    """A file that cannot be used; the text says why, and the cure, as the rest of a sentence about it."""


class File(NamedTuple):
    """A sound as it is sent: its bytes, the ending of its name, and its media type."""

    data: bytearray | bytes
    suffix: str
    media_type: str


class _Samples(NamedTuple):
    """Where samples stand in a file's bytes and what they are: `frame` bytes for all channels, `rate` frames a second.

    `kind` is u1 to u4 for 8 to 32 bits, f4 and f8 for floating-point numbers; `bits` are those of a step.
    """

    begin: int
    end: int
    kind: str
    frame: int
    rate: int
    bits: int

    @property
    def width(self) -> int:
        """Bytes of one sample."""
        return int(self.kind[1])


def problem(path: Path) -> str | None:
    """Return why a file cannot be sent, as the rest of a sentence about it, or None. Raises OSError."""
    try:
        with path.open("rb") as file:
            if file.read(4) == b"fLaC":
                _flac_info(path)
            else:
                file.seek(0)
                _samples(file, path.stat().st_size)
    except SoundError as error:
        return str(error)
    return None


def sound(path: Path, edit: Edit) -> File:
    """Return a file's sound as an edit has it: its own bytes, a twin of it, or one made up in its place.

    Raises SoundError and OSError.
    """
    changes = edit.made_up_seed is not None or edit.twin_seed is not None
    with path.open("rb") as file:
        is_flac = file.read(4) == b"fLaC"
        if is_flac and changes:
            return File(_flac(path, edit), "flac", "audio/flac")
        file.seek(0)
        data = bytearray(path.stat().st_size)
        del data[file.readinto(data) :]  # one buffer, which may be changed
        if changes:
            file.seek(0)
            samples = _samples(file, len(data))
            whole = np.frombuffer(data, dtype=np.uint8)[samples.begin : samples.end]
            _change(whole.reshape(-1, samples.frame), samples, edit)
    return File(data, *(("flac", "audio/flac") if is_flac else ("wav", "audio/wav")))


def _samples(file: io.BufferedReader, size: int) -> _Samples:
    """Return where the samples of a WAV file of `size` bytes stand. Raises SoundError."""
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise SoundError(f"is neither WAV nor FLAC; {_CURE}")
    form = b""
    while len(chunk := file.read(8)) == 8:
        name, length = chunk[:4], int.from_bytes(chunk[4:], "little")
        if name == b"data":
            return _checked(form, file.tell(), min(length, size - file.tell()))
        begin = file.tell()
        form = file.read(min(length, 64)) if name == b"fmt " else form
        file.seek(begin + length + length % 2)
    raise SoundError(f"is a WAV file without samples; {_CURE}")


def _checked(form: bytes, begin: int, length: int) -> _Samples:
    """Return the samples that a WAV file's format and length tell of. Raises SoundError."""
    tag, channels, rate, _, frame, bits = _FORM.unpack_from(form.ljust(_FORM.size, b"\0"))
    if tag == _EXTENSIBLE:
        tag = int.from_bytes(form[24:26], "little")
    kind = _KINDS.get((tag, bits))
    if kind is None or not channels or not rate or frame != channels * bits // 8:
        raise SoundError(f"has samples of a kind that is not known (WAV format {tag}, {bits} bits); {_CURE}")
    n_frames = length // frame
    _require_frames(n_frames)
    return _Samples(begin, begin + n_frames * frame, kind, frame, rate, min(bits, _STEP_BITS))


def _require_frames(n_frames: int) -> None:
    if n_frames < _FEWEST_FRAMES:
        raise SoundError(f"has {n_frames} samples, too few to have twins ({_FEWEST_FRAMES}); take the row out")


def _soundfile() -> Any:
    try:
        import soundfile  # noqa: PLC0415 - an optional extra
    except (ImportError, OSError):  # OSError: its own library is not there
        raise SoundError(f"is FLAC; {_FLAC_CURE}") from None
    return soundfile


def _flac_info(path: Path) -> Any:
    library = _soundfile()
    try:
        info = library.info(str(path))
    except library.LibsndfileError as error:
        raise SoundError(f"cannot be read as FLAC: {printable(str(error))}") from None
    _require_frames(info.frames)
    return info


def _flac(path: Path, edit: Edit) -> bytes:
    """Return a FLAC file's sound, changed, as another FLAC file: to decode a WAV file would cost a server less."""
    library = _soundfile()
    try:
        subtype = library.info(str(path)).subtype
        decoded, rate = library.read(str(path), dtype="int32", always_2d=True)
        n_frames, channels = decoded.shape
        frames = np.ascontiguousarray(decoded, dtype="<i4").view(np.uint8).reshape(n_frames, 4 * channels)
        bits = 8 if subtype == "PCM_S8" else _STEP_BITS
        _change(frames, _Samples(0, frames.size, "u4", 4 * channels, rate, bits), edit)
        made = io.BytesIO()
        library.write(made, frames.view("<i4"), rate, format="FLAC", subtype=subtype)
    except library.LibsndfileError as error:
        raise SoundError(f"cannot be read as FLAC: {printable(str(error))}") from None
    return made.getvalue()


def _change(frames: _Array, samples: _Samples, edit: Edit) -> None:
    """Change a sound's bytes, an array of frames, as an edit has it."""
    if (made_up := edit.made_up_seed) is not None:
        _make_up(frames, samples, np.random.default_rng(made_up))
    if (twin := edit.twin_seed) is not None:
        flat = frames.reshape(-1, samples.width)
        rng = np.random.default_rng(twin)
        places = np.unique(rng.integers(0, len(flat), min(_N_CHANGED, len(flat) // 2)))
        flat[places] = _moved(flat[places], samples, rng.choice((-1, 1), len(places)))


def _make_up(frames: _Array, samples: _Samples, rng: np.random.Generator) -> None:
    """Put pieces of a sound into another order: another sound, as long and as loud, with about as much said in it."""
    pieces = np.array_split(frames, max(_FEWEST_PIECES, len(frames) * _PIECES_A_SECOND // samples.rate))
    made = np.concatenate([pieces[at] for at in rng.permutation(len(pieces))])
    if np.array_equal(made, frames):
        flat = frames.reshape(-1, samples.width)
        loudest = _LOUDEST_STEPS if samples.bits == _STEP_BITS else 1
        steps = rng.integers(1, loudest + 1, len(flat)) * rng.choice((-1, 1), len(flat))
        made = _moved(flat, samples, steps).reshape(frames.shape)
    frames[:] = made


def _moved(flat: _Array, samples: _Samples, steps: _Array) -> _Array:
    """Return samples, a row of bytes each, that many steps away; where that is out of range, the other way."""
    width = samples.width
    if samples.kind.startswith("f"):
        return _moved_float(flat, samples.kind, steps)
    whole = np.zeros((len(flat), 4), dtype=np.uint8)
    whole[:, 4 - width :] = flat
    if width == 1:  # the one kind of sample without a sign
        whole ^= np.array([0, 0, 0, 0x80], dtype=np.uint8)
    number = whole.view("<i4").reshape(-1).astype(np.int64)
    change = steps.astype(np.int64) << (32 - samples.bits)
    inside = np.abs(number + change) < 2**31
    moved = np.where(inside, number + change, number - change).astype("<i4").view(np.uint8).reshape(-1, 4)
    if width == 1:
        moved = moved ^ np.array([0, 0, 0, 0x80], dtype=np.uint8)
    made: _Array = moved[:, 4 - width :]
    return made


def _moved_float(flat: _Array, kind: str, steps: _Array) -> _Array:
    """Return samples of floating-point numbers, whose range is from -1 to 1."""
    number = np.ascontiguousarray(flat).view(f"<{kind}").reshape(-1)
    change = steps * 2.0 ** (1 - _STEP_BITS)
    moved = np.where(np.abs(number + change) <= 1, number + change, number - change).astype(f"<{kind}")
    made: _Array = moved.view(np.uint8).reshape(flat.shape)
    return made
