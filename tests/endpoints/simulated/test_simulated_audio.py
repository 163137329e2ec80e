"""Transcriptions of the simulated endpoint: what it says depends on the sound alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import Reply
from pytest_mlperf_audit.endpoints.media.audio import OpenAIAudioAdapter
from pytest_mlperf_audit.endpoints.simulated.wire import FORMATS
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit
from tests.support.simulated_formats import Got, sent

SOUNDS = Path(__file__).parents[3] / "conftest_examples" / "whisper_audio" / "sounds"
ROW = {"audio": str(SOUNDS / "00.wav")}
OTHER = {"audio": str(SOUNDS / "01.wav")}


def adapter(*, streaming: bool = False, **audio: Any) -> OpenAIAudioAdapter:
    return OpenAIAudioAdapter(ModelParams(name="m", audio=audio), streaming=streaming)


def answers(of: OpenAIAudioAdapter, *edited: tuple[dict[str, str], Edit], **config: Any) -> list[Got]:
    forms = [("POST", of.path, bytes(of.encode(row, edit))) for row, edit in edited]
    return sent(*forms, headers=of.headers, **{"output_tokens": 3, **config})[0]


def read(of: OpenAIAudioAdapter, got: Got) -> Reply:
    assert got.status == 200, got.body
    decoder = of.decoder(keep_output=True)
    decoder.on_head(got.headers)
    decoder.feed(got.body, 1)
    return decoder.finish()


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("form", ["json", "text", "verbose_json"])
def test_each_form_has_the_same_words(form, streaming):
    of = adapter(streaming=streaming, response_format=form)
    (got,) = answers(of, (ROW, NO_EDIT))
    reply, (plain,) = read(of, got), answers(adapter(), (ROW, NO_EDIT))
    assert reply.output == plain.json()["text"]
    assert len(str(reply.output).split()) == 3
    assert reply.tokens == (3 if streaming or form == "verbose_json" else None)
    assert (reply.first_token_ns == 1) is streaming


def test_every_sound_has_words_of_its_own():
    of = adapter()
    edits = [(ROW, NO_EDIT), (OTHER, NO_EDIT), (ROW, Edit(tail="twin")), (ROW, Edit(text="made up")), (ROW, NO_EDIT)]
    words = [read(of, got).output for got in answers(of, *edits, output_tokens=8)]
    assert words[0] == words[-1]
    assert len(set(words)) == 4


def test_caches_see_twins_and_repeats():
    def computed(cache: str, *edited: tuple[dict[str, str], Edit]) -> int:
        of = adapter()
        forms = [("POST", of.path, bytes(of.encode(row, edit))) for row, edit in edited]
        return int(sent(*forms, headers=of.headers, cache=cache)[1]["computed"])

    asked = (ROW, NO_EDIT), (ROW, NO_EDIT), (ROW, Edit(tail="twin")), (ROW, Edit(text="made up"))
    assert [computed(cache, *asked) for cache in ("none", "exact", "near_duplicate", "url")] == [4, 3, 2, 1]


SRT = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n'
    b'--b\r\nContent-Disposition: form-data; name="response_format"\r\n\r\nsrt\r\n--b--\r\n'
)


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (b"{}", {"Content-Type": "application/json"}, 422, "no multipart/form-data"),
        (b"", {"Content-Type": "multipart/form-data"}, 422, "no multipart/form-data"),
        (b"--b\r\n\r\n--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}, 422, "no file"),
        (SRT, {"Content-Type": 'multipart/form-data; boundary="b"'}, 400, "must be one of json, text, verbose_json"),
    ],
    ids=range(4),
)
def test_what_is_no_form_with_a_file(body, headers, status, words):
    ((got,), _) = sent(("POST", "/v1/audio/transcriptions", body), headers=headers)
    assert got.status == status
    assert words in got.json()["error"]["message"]


def test_a_model_that_skips_says_nothing():
    (got,) = answers(adapter(), (ROW, NO_EDIT), dishonest="skipped_empty")
    assert json.loads(got.body)["text"] == ""
    assert FORMATS["audio"].paths == (adapter().path,)
