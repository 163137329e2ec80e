"""`openai_audio`: rows to forms."""

from __future__ import annotations

import email.parser
import email.policy
import hashlib
import re
import wave
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.failures import oddities, request_fields
from pytest_mlperf_audit.endpoints.form import form_fields
from pytest_mlperf_audit.endpoints.media.audio import OpenAIAudioAdapter
from pytest_mlperf_audit.runs.body import Pieces
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit

EDITS = [NO_EDIT, Edit(lead="a"), Edit(tail="b"), Edit(text="c"), Edit(text="c", head="d"), Edit(moved="e", nth=1)]


@pytest.fixture
def sound_file(tmp_path: Path) -> Path:
    path = tmp_path / "hello.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(range(256)) * 16)
    return path


def adapter(*, streaming: bool = False, **params: Any) -> OpenAIAudioAdapter:
    return OpenAIAudioAdapter(ModelParams(**{"name": "whisper", **params}), streaming=streaming)


def parts(body: Pieces, of: OpenAIAudioAdapter) -> dict[str, Any]:
    """Return a form's parts by name, as the standard library reads them: texts, and (name, type, bytes) of a file."""
    head = f"Content-Type: {of.headers['Content-Type']}\r\n\r\n".encode()
    read = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + bytes(body))
    assert not read.defects
    found: dict[str, Any] = {}
    for part in read.iter_parts():
        name, data = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        file = part.get_filename()
        found[str(name)] = (file, part.get_content_type(), data) if file else data.decode()  # type: ignore[union-attr]
    return found


def test_a_row_is_a_form_with_the_files_own_bytes(sound_file):
    body = adapter().encode({"audio": str(sound_file)})
    data = sound_file.read_bytes()
    file = (f"{hashlib.sha256(data).hexdigest()[:16]}.wav", "audio/wav", data)
    assert parts(body, adapter()) == {"model": "whisper", "response_format": "json", "file": file}


def test_fields_come_from_model_params(sound_file):
    audio: dict[str, Any] = {"language": "en", "prompt": "Hello Mr. Quilter", "response_format": "text"}
    audio["fields"] = {"max_completion_tokens": 24, "timestamp_granularities[]": "word", "vad": True, "beam": 0.5}
    asked = adapter(streaming=True, temperature=0.0, audio=audio)
    fields = parts(asked.encode({"audio": str(sound_file)}), asked)
    assert fields.pop("file")[1] == "audio/wav"
    assert fields == {
        "model": "whisper",
        "language": "en",
        "prompt": "Hello Mr. Quilter",
        "response_format": "text",
        "temperature": "0.0",
        "max_completion_tokens": "24",
        "timestamp_granularities[]": "word",
        "vad": "true",
        "beam": "0.5",
        "stream": "true",
    }


def test_columns_come_first_and_absent_values_do_not(sound_file):
    row = {
        "audio": str(sound_file),
        "model": "other",
        "language": None,
        "prompt": "Grüße",
        "temperature": "0.5",
        "id": 7,
    }
    fields = parts(adapter(audio={"language": "en"}).encode(row), adapter())
    del fields["file"]
    expected = {"model": "other", "language": "en", "prompt": "Grüße", "temperature": "0.5", "response_format": "json"}
    assert fields == expected


@pytest.mark.parametrize("edit", EDITS, ids=range(len(EDITS)))
def test_repeats_are_equal_in_bytes_name_and_headers(sound_file, edit):
    row = {"audio": str(sound_file)}
    one, other = adapter(), adapter()
    assert bytes(one.encode(row, edit)) == bytes(other.encode(row, edit))
    assert one.headers == other.headers
    assert re.fullmatch(r"multipart/form-data; boundary=[0-9a-z-]{16,}", one.headers["Content-Type"])


def test_every_other_sound_has_another_name(sound_file):
    forms = [parts(adapter().encode({"audio": str(sound_file)}, edit), adapter())["file"] for edit in EDITS]
    assert len({name for name, *_ in forms}) == len({data for *_, data in forms}) == len(EDITS)
    assert all(name == f"{hashlib.sha256(data).hexdigest()[:16]}.wav" for name, _, data in forms)
    assert not any("hello" in name for name, *_ in forms), "two files of one name and other bytes are two"


def test_files_are_found_beside_the_yaml(sound_file):
    found = adapter()
    found.directories = (sound_file.parent,)
    assert found.problem({"audio": "hello.wav"}) is None
    assert len(found.encode({"audio": "hello.wav"})) == len(found.encode({"audio": str(sound_file)}))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, "no path in column 'audio'; its columns are none: name one by parser: {audio: ...}"),
        ({"path": "a.wav", "text": "x"}, "its columns are 'path', 'text'"),
        ({"audio": {"bytes": ""}}, "no path in column 'audio'"),
        ({"audio": " "}, "no path in column 'audio'"),
        ({"audio": "nowhere.wav"}, "column 'audio': no such file: nowhere.wav; looked in "),
        ({"audio": "a\0b"}, "column 'audio': "),
        ({"audio": __file__}, "is neither WAV nor FLAC; make a WAV file"),
        ({"audio": "hello.wav", "langage": "en"}, "did you mean 'language'?"),
        ({"audio": "hello.wav", "temperature": "warm"}, "column 'temperature': expected float"),
        ({"audio": "hello.wav", "response_format": "srt"}, "column 'response_format': "),
        ({"audio": "hello.wav", "prompt": "\ud800"}, "half of a surrogate pair"),
    ],
    ids=range(11),
)
def test_a_row_that_cannot_be_sent(sound_file, monkeypatch, row, words):
    monkeypatch.chdir(sound_file.parent)
    assert words in (adapter().problem(row) or "")


def test_a_sound_has_no_words_to_change(sound_file):
    assert adapter().n_words({"audio": str(sound_file), "prompt": "many words of a prompt, none of which changes"}) == 0
    assert adapter().twins
    assert adapter().text_output


def test_messages_read_the_form(sound_file):
    body = adapter(streaming=True).encode({"audio": str(sound_file), "prompt": 'a "quoted"\r\nline'})
    assert form_fields(body) == request_fields(body)
    assert request_fields(body) == {
        "model": "whisper",
        "prompt": 'a "quoted"\r\nline',
        "response_format": "json",
        "stream": "true",
    }
    assert request_fields(Pieces([b"\0\1\2"])) == {}
    assert request_fields(Pieces([])) == {}


def test_what_is_odd_about_a_first_answer_is_said(sound_file):
    asked = adapter(streaming=True)
    body = asked.encode({"audio": str(sound_file)})
    decoder = asked.decoder()
    decoder.feed(b'{"text": "", "model": "tiny"}', 0)
    said = " ".join(oddities(body, {}, decoder.finish()))
    assert "replies come from model 'tiny', not 'whisper'" in said
    assert "not streamed, though that was asked for" in said
    assert "the transcript has no word, which counts as an answer" in said
