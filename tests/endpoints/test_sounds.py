"""Sounds as they are sent: a file's own bytes, a twin of them, or another sound in their place."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_mlperf_audit.endpoints.media import sounds
from pytest_mlperf_audit.endpoints.media.sounds import SoundError, problem, sound
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit

RATE, N_FRAMES = 8000, 4000
TWIN, OTHER_TWIN = Edit(tail="one"), Edit(tail="other")
MADE_UP, OTHER_MADE_UP = Edit(text="one"), Edit(text="other")
#: By WAV format and bits: how a sample from -1 to 1 is written.
KINDS: dict[str, tuple[int, int, Any]] = {
    "8": (1, 8, lambda x: struct.pack("<B", int(x * 127) + 128)),
    "16": (1, 16, lambda x: struct.pack("<h", int(x * 32767))),
    "24": (1, 24, lambda x: struct.pack("<i", int(x * (2**23 - 1)))[:3]),
    "32": (1, 32, lambda x: struct.pack("<i", int(x * (2**31 - 1)))),
    "float": (3, 32, lambda x: struct.pack("<f", x)),
    "double": (3, 64, lambda x: struct.pack("<d", x)),
}


def wav(
    kind: str = "16", *, channels: int = 1, level: float = 0.5, extensible: bool = False, n: int = N_FRAMES
) -> bytes:
    tag, bits, packed = KINDS[kind]
    rng = np.random.default_rng(7)
    samples = level * rng.uniform(-1, 1, n * channels) * np.repeat(np.linspace(0.1, 1, n), channels)
    data = b"".join(packed(float(x)) for x in samples)
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", 0xFFFE if extensible else tag, channels, RATE, RATE * frame, frame, bits)
    if extensible:
        form += struct.pack("<HHIH", 22, bits, 0, tag) + b"\0" * 14
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"data" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) + b"tail\x02\0\0\0zz"
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def flac(*, level: float = 0.5, channels: int = 1, subtype: str = "PCM_16") -> bytes:
    soundfile = pytest.importorskip("soundfile")
    made = io.BytesIO()
    samples = level * np.random.default_rng(7).uniform(-1, 1, (N_FRAMES, channels))
    soundfile.write(made, samples, RATE, format="FLAC", subtype=subtype)
    return made.getvalue()


def saved(tmp_path: Path, data: bytes, name: str = "a.wav") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def heard(data: bytes | bytearray) -> Any:
    """Return samples from -1 to 1, frames by channels, as a library of others reads them."""
    soundfile = pytest.importorskip("soundfile")
    return soundfile.read(io.BytesIO(bytes(data)), always_2d=True, dtype="float64")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_as_it_is_is_the_files_own_bytes(tmp_path, kind):
    path = saved(tmp_path, wav(kind))
    assert problem(path) is None
    assert sound(path, NO_EDIT) == (wav(kind), "wav", "audio/wav")
    assert sound(path, Edit(max_tokens=3)).data == wav(kind), "a limit on tokens changes no sound"


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_twin_differs_by_one_step_of_16_bits_in_some_samples(tmp_path, kind, channels):
    path = saved(tmp_path, wav(kind, channels=channels))
    own, twin = heard(wav(kind, channels=channels)), heard(sound(path, TWIN).data)
    steps = (twin - own) * (128 if kind == "8" else 2**15)
    assert set(np.round(steps, 6).reshape(-1)) == {-1.0, 0.0, 1.0}
    assert 800 <= np.count_nonzero(steps) <= 1024


@pytest.mark.parametrize("kind", KINDS)
def test_all_but_the_samples_stays(tmp_path, kind):
    own, twin = wav(kind, extensible=True), sound(saved(tmp_path, wav(kind, extensible=True)), TWIN).data
    begin, end = own.index(b"data") + 8, own.index(b"tail")
    assert (len(twin), twin[:begin], twin[end:]) == (len(own), own[:begin], own[end:])
    assert twin != own


@pytest.mark.parametrize("made", [wav, flac], ids=["wav", "flac"])
def test_repeats_are_equal_and_others_are_not(tmp_path, made):
    path = saved(tmp_path, made())
    edits = [NO_EDIT, TWIN, OTHER_TWIN, MADE_UP, OTHER_MADE_UP, Edit(text="one", tail="one")]
    first, again = ([bytes(sound(path, edit).data) for edit in edits] for _ in range(2))
    assert first == again
    assert len(set(first)) == len(edits)


@pytest.mark.parametrize("level", [1.0, 0.0], ids=["loudest", "silent"])
@pytest.mark.parametrize("kind", KINDS)
def test_samples_at_the_limit_stay_within_it(tmp_path, kind, level):
    path = saved(tmp_path, wav(kind, level=level))
    for edit in (TWIN, MADE_UP):
        made = heard(sound(path, edit).data)
        assert made.min() >= -1
        assert made.max() <= 1
    assert np.abs(heard(sound(path, TWIN).data) - heard(wav(kind, level=level))).max() <= 2**-7


@pytest.mark.parametrize("channels", [1, 2])
def test_a_made_up_sound_is_the_rows_own_in_another_order(tmp_path, channels):
    path = saved(tmp_path, wav(channels=channels))
    own, made = heard(path.read_bytes()), heard(sound(path, MADE_UP).data)
    assert made.shape == own.shape
    assert sorted(map(tuple, made)) == sorted(map(tuple, own)), "as long, as loud, each channel its own"
    assert np.abs(made - own).max() > 0.1, "and no sound that is nearly equal"


def test_made_up_sounds_of_one_seed_are_near_each_other(tmp_path):
    path = saved(tmp_path, wav())
    one, other = (heard(sound(path, Edit(text="one", tail=end)).data) for end in ("a", "b"))
    assert 0 < np.abs(one - other).max() <= 2 * 2**-15


def test_silence_has_other_sounds_too(tmp_path):
    path = saved(tmp_path, wav(level=0))
    assert sound(path, MADE_UP).data != sound(path, OTHER_MADE_UP).data != path.read_bytes()
    assert np.abs(heard(sound(path, MADE_UP).data)).max() <= 64 * 2**-15


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2])
def test_flac_stays_flac(tmp_path, subtype, channels):
    path = saved(tmp_path, flac(subtype=subtype, channels=channels), "a.flac")
    assert problem(path) is None
    assert sound(path, NO_EDIT) == (path.read_bytes(), "flac", "audio/flac")
    twin = sound(path, TWIN)
    assert (twin.suffix, twin.media_type, twin.data[:4]) == ("flac", "audio/flac", b"fLaC")
    steps = (heard(twin.data) - heard(path.read_bytes())) * (128 if subtype == "PCM_S8" else 2**15)
    assert set(np.round(steps, 6).reshape(-1)) == {-1.0, 0.0, 1.0}
    made = heard(sound(path, MADE_UP).data)
    assert sorted(map(tuple, made)) == sorted(map(tuple, heard(path.read_bytes())))


def test_flac_without_the_library(tmp_path, monkeypatch):
    path = saved(tmp_path, b"fLaC" + bytes(100), "a.flac")
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    assert "pip install 'pytest-mlperf-audit[audio]', or give WAV files" in (problem(path) or "")
    with pytest.raises(SoundError, match="needs the library soundfile"):
        sound(path, TWIN)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is neither WAV nor FLAC"),
        (b"ID3\x04" + bytes(500), "is neither WAV nor FLAC; make a WAV file of 16 bits of it, by ffmpeg, say"),
        (b"RF64" + wav()[4:], "is neither WAV nor FLAC"),
        (wav()[:40], "is a WAV file without samples"),
        (wav(n=255), "has 255 samples, too few to have twins (256); take the row out"),
        (wav(n=0), "has 0 samples, too few"),
        (wav().replace(b"\x01\0\x01\0\x40\x1f", b"\x07\0\x01\0\x40\x1f", 1), "not known (WAV format 7, 16 bits)"),
        (wav().replace(b"\x01\0\x01\0\x40\x1f", b"\x01\0\0\0\x40\x1f", 1), "of a kind that is not known"),
        (b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\x01\0data\xff\xff\xff\xff" + bytes(999), "not known (WAV format 1, 0 bits)"),
    ],
    ids=range(9),
)
def test_a_file_that_cannot_be_sent(tmp_path, data, words):
    assert words in (problem(saved(tmp_path, data)) or "")


def test_flac_that_is_none(tmp_path):
    pytest.importorskip("soundfile")
    path = saved(tmp_path, b"fLaC" + bytes(100), "a.flac")
    assert (problem(path) or "").startswith("cannot be read as FLAC: ")
    with pytest.raises(SoundError, match="cannot be read as FLAC"):
        sound(path, TWIN)


def test_a_recording_that_was_never_closed_is_read_to_its_end(tmp_path):
    data = wav().replace(b"data" + struct.pack("<I", 2 * N_FRAMES), b"data\xff\xff\xff\xff")
    assert problem(saved(tmp_path, data)) is None
    assert len(sound(saved(tmp_path, data), TWIN).data) == len(data)


def test_what_the_standard_library_writes_is_read(tmp_path):
    path = tmp_path / "own.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(4000))
    assert problem(path) is None
    with wave.open(io.BytesIO(sound(path, TWIN).data)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 16000, 1000)
        assert any(file.readframes(1000))


def test_one_copy_of_a_large_file_is_held(tmp_path):
    import tracemalloc

    path = saved(tmp_path, wav()[:-10])
    with path.open("ab") as file:  # a chunk of 20 MB behind the samples
        file.write(b"junk" + struct.pack("<I", 20 * 2**20) + bytes(20 * 2**20))
    tracemalloc.start()
    for edit in (NO_EDIT, TWIN):
        tracemalloc.reset_peak()
        sound(path, edit)
        assert tracemalloc.get_traced_memory()[1] < 25 * 2**20
    tracemalloc.stop()


def test_nothing_heavy_is_imported_for_wav(tmp_path, monkeypatch):
    monkeypatch.setattr(sounds, "_soundfile", lambda: pytest.fail("FLAC alone needs it"))
    path = saved(tmp_path, wav())
    assert problem(path) is None
    assert sound(path, TWIN).suffix == "wav"
