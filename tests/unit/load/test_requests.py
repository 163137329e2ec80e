"""What a phase sends at each position, and how long requests are kept."""

from __future__ import annotations

import json

import pytest

from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.datasets import load_dataset
from pytest_mlperf_audit.endpoints.source import RequestSource
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.load import requests as requests_module
from pytest_mlperf_audit.load.requests import Requests
from pytest_mlperf_audit.runs.order import in_turn, with_replacement, without_replacement
from pytest_mlperf_audit.runs.script import NO_EDIT, Step
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
TEXT = {"type": "text", "text": "why?"}


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"row {number}"}) + "\n" for number in range(8)))
    rows = load_dataset(DatasetConfig(name="rows", path=path), [tmp_path])
    return RequestSource(rows, OpenAIChatAdapter(ModelParams(name="m")))


def spec(order, **changed) -> RunSpec:
    return RunSpec(label="phase", n_samples=20, order=order, load=Concurrency(target=1), **changed)


@pytest.mark.parametrize("order", [without_replacement(3, wrap=True), with_replacement(3), in_turn([6, 2])])
@pytest.mark.parametrize("nonce", ["none", "prefix", "suffix", "twin", "salt"])
def test_a_position_has_one_request_whoever_sends_those_before_it(source, order, nonce):
    planned = spec(order, nonce=nonce, nonce_seed=5)
    alone = [Requests(planned, source).step(0)]
    every = Requests(planned, source)
    steps = [every.step(position) for position in range(20)]
    assert steps[0] == alone[0]
    for worker in range(3):
        some = Requests(planned, source)
        assert [some.step(position) for position in range(worker, 20, 3)] == steps[worker::3]
    assert len({step.edit for step in steps}) == (1 if nonce == "none" else 20)


@pytest.mark.parametrize(
    "row",
    [
        {"system": "Be brief.", "prompt": "why?"},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "why?"}]},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [IMAGE, TEXT]}]},
    ],
    ids=["prompt", "messages", "parts"],
)
def test_a_salt_stands_between_system_prompt_and_user_text(tmp_path, row):
    """MLPerf Endpoints, endpoints_rules.md 2.9.5.1: 64 bits at least, seeded, the system prompt a shared prefix."""
    path = tmp_path / "rows.jsonl"
    path.write_text((json.dumps(row) + "\n") * 4)
    rows = load_dataset(DatasetConfig(name="rows", path=path), [tmp_path])
    source = RequestSource(rows, OpenAIChatAdapter(ModelParams(name="m")))
    planned = Requests(spec(in_turn(range(4)), nonce="salt", nonce_seed=7), source)
    salts = set()
    for position in range(20):
        system, user = json.loads(bytes(planned.request(planned.step(position)).body))["messages"]
        assert system == {"role": "system", "content": "Be brief."}
        content = user["content"] if isinstance(user["content"], str) else user["content"][1]["text"]
        salt, text = content.split(maxsplit=1)
        assert (len(bytes.fromhex(salt)) * 8, text) == (64, "why?")
        salts.add(salt)
    assert len(salts) == 20, "of rows that are alike, too"


def test_a_request_is_encoded_once_and_is_the_source_s_own(source, monkeypatch):
    encoded = []
    body = source.body

    def encode(*given):
        encoded.append(given)
        return body(*given)

    monkeypatch.setattr(source, "body", encode)
    requests = Requests(spec(without_replacement(1)), source)
    first, again = (requests.request(Step(tag=tag, row=2)) for tag in ("a", "b"))
    assert first is again
    assert len(encoded) == 1
    assert first.body == body(2)
    assert first.digest == source.digest(body(2))
    assert requests.request(Step(tag="", row=2, query="n=1")).digest == source.digest(body(2), "n=1") != first.digest
    changed = Step(tag="", row=2, edit=type(NO_EDIT)(tail="x"))
    assert requests.request(changed).body == body(2, changed.edit) != first.body


def test_only_so_many_bytes_are_kept(source, monkeypatch):
    monkeypatch.setattr(requests_module, "_MOST_KEPT_BYTES", 3 * len(source.body(0)))
    requests = Requests(spec(without_replacement(1)), source)
    first = requests.request(Step(tag="", row=0))
    for row in range(1, 8):
        requests.request(Step(tag="", row=row))
    assert requests.request(Step(tag="", row=7)) is requests.request(Step(tag="", row=7))
    assert requests.request(Step(tag="", row=0)) is not first


def test_twins_of_rows_in_turn(source):
    every = Requests(spec(in_turn([6, 2]), nonce="twin", nonce_seed=5), source)
    steps = [every.step(position) for position in range(20)]
    assert [step.row for step in steps] == [6, 2] * 10
    sent = [json.loads(bytes(every.request(step).body))["messages"][0]["content"].split() for step in steps]
    assert [prompt[-1] for prompt in sent] == ["6", "2"] * 10, "the row's own middle word stays"
    assert len({every.request(step).digest for step in steps}) == 20
