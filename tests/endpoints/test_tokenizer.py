"""Local tokenizers: found, refused before anything is sent, and what ids they make of replies."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.datasets import load_dataset
from pytest_mlperf_audit.endpoints.base import Reply
from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
from pytest_mlperf_audit.endpoints.source import RequestSource, load_tokenizer
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.errors import PlanError
from pytest_mlperf_audit.runs.spec import Keep
from tests.support.tokenizer import write_tokenizer

pytest.importorskip("tokenizers")
NAME = Path("tokenizer.json")


@pytest.fixture
def tokenizer_file(tmp_path):
    return write_tokenizer(tmp_path / NAME)


@pytest.fixture
def source(tmp_path):
    def make(adapter=OpenAIChatAdapter):
        rows = tmp_path / "rows.jsonl"
        rows.write_text('{"prompt": "p"}\n')
        dataset = load_dataset(DatasetConfig(path=rows), [])
        return RequestSource(dataset, adapter(ModelParams(name="m")), search=[tmp_path / "elsewhere", tmp_path])

    return make


def test_any_text_can_be_encoded(tokenizer_file):
    tokenizer = load_tokenizer(tokenizer_file, ())
    assert tokenizer.name.startswith("tokenizer.json sha256:")
    for text in ("amber birch", "unknown words, é 漢 \n\n  spaced", ""):
        assert tokenizer.text(tokenizer.ids(text)) == text
    assert len(tokenizer.ids("amber birch amber")) == 3


def test_a_relative_path_is_looked_for_in_turn(tokenizer_file, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    found = load_tokenizer(NAME, (tmp_path / "elsewhere", tmp_path))
    assert found.name == load_tokenizer(tokenizer_file, ()).name
    assert load_tokenizer(NAME, (tmp_path / "elsewhere", tmp_path)) is found, "loaded once"
    monkeypatch.chdir(tmp_path)
    assert load_tokenizer(NAME, ()).name == found.name


def changed(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def uncased(document):
    document["normalizer"] = {"type": "Lowercase"}


def without_letters(document):
    document["model"]["vocab"] = {"a": 0}
    document["added_tokens"] = []


def padded(document):
    document["truncation"] = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}


def test_a_tokenizer_that_lowers_case_will_do(tokenizer_file):
    changed(tokenizer_file, uncased)
    load_tokenizer(tokenizer_file, ())


def test_truncation_in_the_file_changes_no_count(tokenizer_file):
    changed(tokenizer_file, padded)
    assert len(load_tokenizer(tokenizer_file, ()).ids("amber birch amber")) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "tokenizer.json: cannot be read .No such file or directory.; name the model's tokenizer.json"),
        (b"nonsense", "is not a tokenizer.json of the tokenizers library .*name the file of that name"),
        (b"\xff\xfe", "is not a tokenizer.json of the tokenizers library"),
        (b"{}", "is not a tokenizer.json of the tokenizers library"),
        (without_letters, "does not give the text 'The answer is .B.*' back.*of the model that is served"),
    ],
)
def test_what_cannot_count_is_refused(tokenizer_file, source, content, message):
    if content is None:
        tokenizer_file.unlink()
    elif callable(content):
        changed(tokenizer_file, content)
    else:
        tokenizer_file.write_bytes(content)
    with pytest.raises(PlanError, match=message):
        source().keeping(Keep(token_ids=True, tokenizer="tokenizer.json"))


def test_without_the_library_the_extra_is_named(tokenizer_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(PlanError, match=r"pip install 'pytest-mlperf-audit\[tokenizer\]'"):
        load_tokenizer(tokenizer_file, (Path("without the library"),))


def test_videos_have_no_token_ids(source, tokenizer_file):
    assert tokenizer_file.exists()
    with pytest.raises(PlanError, match=r"api_type videogen has no token ids in its replies.*leave this audit out"):
        source(VideoGenAdapter).keeping(Keep(token_ids=True))
    with pytest.raises(PlanError, match=r"the output of api_type videogen is no text; leave this audit out"):
        source(VideoGenAdapter).keeping(Keep(token_ids=True, tokenizer="tokenizer.json"))


def test_a_source_asks_only_where_the_endpoint_is_to_say(source, tokenizer_file):
    assert tokenizer_file.exists()
    plain = source()
    assert plain.keeping(None) is plain.keeping(Keep()) is plain
    assert b"return_token_ids" in plain.keeping(Keep(token_ids=True)).body(0)
    assert plain.keeping(Keep(token_ids=True, tokenizer="tokenizer.json")).body(0) == plain.body(0)


@pytest.mark.parametrize(
    ("reply", "n_output", "first"),
    [
        ({"output": "amber birch"}, 2, None),
        ({"output": "amber birch", "first_text": "amb"}, 2, "begins"),
        ({"output": "amber birch", "first_text": "cedar"}, 2, "differs"),
        ({"output": "birch", "text": "amber cedar birch", "first_text": "amber"}, 3, "begins"),
        ({"output": ""}, 0, None),
        ({}, None, None),
    ],
)
def test_the_ids_of_a_reply(source, tokenizer_file, reply, n_output, first):
    assert tokenizer_file.exists()
    found = source().keeping(Keep(token_ids=True, tokenizer="tokenizer.json")).ids(Reply(digest="", **reply))
    assert found.made_by.startswith("tokenizer.json sha256:")
    assert (None if found.output is None else len(found.output)) == n_output
    if first is None:
        assert found.first is None
    else:
        assert (list(found.first) == list(found.output)[: len(found.first)]) == (first == "begins")
