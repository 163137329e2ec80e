"""The YAML to begin with: what comes from outside is text in it, whatever it is; built-in rows differ."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.audits import registry
from pytest_mlperf_audit.config.load import load_config
from pytest_mlperf_audit.config.starter.rows import built_in
from pytest_mlperf_audit.config.starter.written import KINDS, Starter, yaml_text
from pytest_mlperf_audit.config.yaml_source import interpolate
from pytest_mlperf_audit.load.discover import split


def _is_a_name(text: str) -> bool:
    return text.isprintable() and text == text.strip()  # the configuration takes spaces at the ends for slips


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60).filter(_is_a_name))
def test_a_name_is_read_as_it_was_written(tmp_path_factory, name):
    path = tmp_path_factory.getbasetemp() / "starter.yaml"
    path.write_text(yaml_text(Starter("n", "openai", name, "prompts.jsonl", endpoint="http://h:1", path="")))
    benchmark = load_config(path, registry.models(registry.shipped()), environ={"HOME": "/root"}).benchmark
    assert benchmark.model_params.name == name
    assert [block.test for block in benchmark.audit] == ["cache_probe"]


@pytest.mark.parametrize("kind", KINDS)
def test_built_in_rows_differ(kind):
    rows = built_in(kind).splitlines()
    assert len(set(rows)) == len(rows) >= 64
    assert all(isinstance(json.loads(row), dict) for row in rows)


def test_the_key_is_a_variable_that_may_be_unset():
    text = yaml_text(Starter("n", "openai", "m", "p.jsonl", endpoint="http://h:1"))
    assert "api_key: ${MLPERF_API_KEY:-}" in text
    assert "api_key: KEY" in interpolate(text, {"MLPERF_API_KEY": "KEY"})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:1", ("http://h:1", None, "")),
        ("http://h:1/", ("http://h:1", None, "")),
        ("http://h:1/v1", ("http://h:1/v1", None, "")),
        ("http://h:1/v1/models", ("http://h:1", None, "")),
        ("http://h:1/a/v1/chat/completions", ("http://h:1/a", None, "openai")),
        ("http://h:1/v1/completions/", ("http://h:1", None, "openai_completions")),
        ("http://h:1/v1/rerank?k=1", ("http://h:1?k=1", None, "openai_rerank")),
        ("http://h:1/generate", ("http://h:1", None, "sglang")),
    ],
)
def test_a_whole_path_names_the_api(url, expected):
    assert split(url) == expected


def test_an_unusual_path_is_sent_as_it_stands():
    assert split("http://h:1/api/v3/chat/completions") == ("http://h:1/api/v3", "/chat/completions", "openai")
