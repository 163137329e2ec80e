"""The `audio:` block of model_params."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pytest_mlperf_audit.config.audio import Audio
from pytest_mlperf_audit.config.model_params import ModelParams


def test_defaults():
    assert ModelParams(name="m").audio is None
    assert Audio() == Audio(language=None, prompt=None, response_format="json", fields={})


def test_fields_keep_their_types():
    fields = {"vad": True, "beam_size": 5, "hotwords": "5", "threshold": 0.5}
    assert list(map(repr, Audio(fields=fields).fields.values())) == ["True", "5", "'5'", "0.5"]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"fields": {"stream": "true"}}, "stream is set by model_params.streaming; take it out"),
        ({"fields": {"language": "en"}}, "language is set by model_params.audio.language; take it out"),
        ({"fields": {"file": "a.wav"}}, "file is set by the data set; take it out"),
        ({"fields": {'a"b': "c"}}, "is no name of a field; use letters, digits, _ and -"),
        ({"response_format": "srt"}, "'json', 'text' or 'verbose_json'"),
        ({"language": ""}, "at least 1 character"),
    ],
    ids=range(6),
)
def test_what_is_refused(keys, words):
    with pytest.raises(ValidationError, match="1 validation error") as caught:
        Audio(**keys)
    assert words in str(caught.value)
