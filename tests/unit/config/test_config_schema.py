"""The shipped JSON Schema and the configuration reference are current, and the schema accepts what we accept."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

import pytest_mlperf_audit
from pytest_mlperf_audit.config.schema import json_schema

ROOT = Path(__file__).resolve().parents[3]
CURE = "out of date; run: python docs/generate.py"


@pytest.fixture(scope="module")
def generate() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "generate.py"))


def test_the_shipped_schema_is_current(generate: dict[str, Any]):
    shipped = Path(pytest_mlperf_audit.__file__).parent / "config" / "schema.json"
    assert shipped.read_text(encoding="utf-8") == generate["schema_text"](), CURE


def test_the_reference_is_current(generate: dict[str, Any]):
    reference = ROOT / "docs" / "configuration.md"
    assert reference.read_text(encoding="utf-8") == generate["configuration"](), CURE


def test_the_page_of_options_is_current(generate: dict[str, Any]):
    assert (ROOT / "docs" / "options.md").read_text(encoding="utf-8") == generate["option_reference"](), CURE


def test_the_site_has_every_page_and_every_public_name():
    docs = ROOT / "docs"
    index = set(docs.joinpath("index.md").read_text(encoding="utf-8").split())
    assert {page.stem for page in docs.glob("*.md")} - {"index"} <= index
    names = set(re.findall(r"auto\w+:: (\w+)", docs.joinpath("api.md").read_text(encoding="utf-8")))
    assert names == set(pytest_mlperf_audit.__all__) - {"__version__"}


def test_the_schema_is_one(audits):
    schema = json_schema(audits)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == "urn:pytest-mlperf-audit:config:1"
    assert schema["title"]


def test_every_key_is_described(audits):
    schema = json_schema(audits)
    own = {name: block for name, block in schema["$defs"].items() if name not in {"Caching", "Judged"}}
    for name, block in {"": schema, **own}.items():
        for key, value in block["properties"].items():
            assert value.get("description"), f"{name}.{key}"


ACCEPTED = [
    "",
    "audit:\n",
    "audit: {test: test04, samples: 4}\n",
    "audit: [{test: output_caching_test, samples: 4, sample_index: [1]}, {test: judged}]\n",
    "    samples: ${ROWS}\n",
    "settings: {runtime: {min_duration_ms: 10m, max_duration_ms: 900000}, client: {num_workers: 3}}\n",
    "timeout: 3\nsettings: {profiling: {engine: vllm}}\n",
    "    generate_params: {a: b}\n",
    "endpoint_config: {endpoints: ['http://h'], api_key: null}\n",
    "endpoint_config: {headers: {X: y}, simulated: {cache: exact}}\n",
]
REFUSED = [
    "audt: 1\n",
    "audit: {test: test05}\n",
    "audit: [{test: test04, samples: 4}, {test: TEST04, samples: 4}]\n",
    "audit: {test: test04}\n",
    "    samples: many\n",
    "    type: perf\n",
    "settings: {runtime: {min_duration_ms: 10 minutes}}\n",
    "endpoint_config: {simulated: {lanes: 0}}\n",
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_it_accepts_what_loads(load, audits, minimal: str, text: str):
    load(minimal + text, {"ROWS": "5"})
    Draft202012Validator(json_schema(audits)).validate(yaml.safe_load(minimal + text))


@pytest.mark.parametrize("text", REFUSED)
def test_it_refuses_what_does_not_load(fault, audits, minimal: str, text: str):
    fault(minimal + text)
    assert not Draft202012Validator(json_schema(audits)).is_valid(yaml.safe_load(minimal + text))


def test_the_shipped_schema_names_every_shipped_audit():
    from pytest_mlperf_audit.audits.registry import models, shipped

    text = (Path(pytest_mlperf_audit.__file__).parent / "config" / "schema.json").read_text(encoding="utf-8")
    definitions = json.loads(text)["$defs"]
    assert {model.__name__ for model in models(shipped()).values()} <= set(definitions)


SLIPS = [  # a slip in a YAML, where it stands, and a word of what an editor says
    ("audit: {test: test04, samples: 4, treshold: 0.1}\n", ["audit"], "treshold"),
    ("audit: {test: output_caching_test, samples: 4, treshold: 0.1}\n", ["audit"], "treshold"),
    ("audit: [{test: test06}, {test: cache_probe, forbidd: [response]}]\n", ["audit", 1], "forbidd"),
    ("audit: [{test: test04, samples: few}]\n", ["audit", 0, "samples"], "few"),
    ("audit: {test: test04}\n", ["audit"], "samples"),
    ("audit: {samples: 4}\n", ["audit"], "test"),
    ("audit: {test: test4, samples: 4}\n", ["audit", "test"], "test4"),
    ("audit: [{test: cache_probe}, test04]\n", ["audit", 1], "object"),
    ("settings: {runtim: {}}\n", ["settings"], "runtim"),
    ("endpoint_config: {endpoint: ['http://h']}\n", ["endpoint_config"], "endpoint"),
]


@pytest.mark.parametrize(("text", "at", "word"), SLIPS)
def test_an_editor_names_the_key_that_is_wrong(
    generate: dict[str, Any], minimal: str, text: str, at: list[Any], word: str
):
    errors = Draft202012Validator(json.loads(generate["schema_text"]())).iter_errors(yaml.safe_load(minimal + text))
    best = best_match(errors)
    assert list(best.absolute_path) == at, best.message
    assert word in best.message


@pytest.mark.parametrize("file", sorted(ROOT.glob("conftest_examples/*/*.yaml")), ids=lambda file: str(file.stem))
def test_an_editor_accepts_every_example(generate: dict[str, Any], file: Path):
    Draft202012Validator(json.loads(generate["schema_text"]())).validate(yaml.safe_load(file.read_text("utf-8")))
