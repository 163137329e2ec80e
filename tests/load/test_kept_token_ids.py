"""Phases that keep token ids: from real servers, from a local tokenizer, and from none."""

from __future__ import annotations

import os
import struct

import pytest

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.simulated import process
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter, OpenAICompletionsAdapter
from pytest_mlperf_audit.endpoints.text.sglang import SGLangAdapter
from pytest_mlperf_audit.errors import PlanError
from pytest_mlperf_audit.runs.order import Scripted
from pytest_mlperf_audit.runs.script import Round, Step
from pytest_mlperf_audit.runs.spec import Concurrency, Keep, MaxThroughput, Poisson
from tests.support.tokenizer import write_tokenizer

KINDS = [OpenAIChatAdapter, OpenAICompletionsAdapter, SGLangAdapter]
IDS = Keep(outputs=False, token_ids=True)
LOADS = [Concurrency(target=1), Concurrency(target=4), MaxThroughput(), Poisson(target_qps=500.0, seed=1)]


@pytest.fixture(scope="module")
def simulated():
    """A simulated endpoint whose replies have 5 words and EOS."""
    config = SimulatedConfig(service_time_ms=1.0, output_tokens=5, eos_id=2)
    with process.start(config, watch_pid=os.getpid()) as running:
        yield running.url


@pytest.fixture
def chat(engine):
    """An engine that sends chat completions, streamed."""
    engine.adapter = OpenAIChatAdapter(ModelParams(name="m"), streaming=True)
    return engine


def unpacked(ids):
    data = bytes.fromhex(ids)
    return list(struct.unpack(f"<{len(data) // 4}i", data))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streaming", [True, False])
def test_token_ids_are_kept_beside_or_without_the_text(engine, simulated, kind, streaming):
    engine.adapter = kind(ModelParams(name="m"), streaming=streaming)
    both, alone = (engine.drive(simulated, keep=Keep(outputs=outputs, token_ids=True)) for outputs in (True, False))
    assert both.outcomes == alone.outcomes == {"completed"}
    for query in both.queries:
        ids = unpacked(query.output_ids)
        assert (len(ids), ids[-1], query.tokens) == (6, 2, 6)
        assert len(query.output.split()) == 5
        assert (None if query.first_ids is None else unpacked(query.first_ids)) == (ids[:1] if streaming else None)
        assert query.ids_from is None
    assert [query.output for query in alone.queries] == [None] * 16
    by_sample = {query.sample: query.output_ids for query in both.queries}
    assert {query.sample: query.output_ids for query in alone.queries} == by_sample


def test_nothing_is_asked_for_or_kept_unless_wanted(chat, start_sut, wire):
    sut = start_sut(service_ms=0)
    chat.adapter = OpenAIChatAdapter(ModelParams(name="m"))
    ended = chat.drive(sut.url, keep=Keep())
    assert not any(query.output_ids or query.first_ids or query.ids_from for query in ended.queries)
    assert not any(b"return_token_ids" in request.body for request in wire(sut))


def test_a_seeded_part_of_the_token_ids_is_kept(chat, simulated):
    kept = chat.drive(simulated, n_samples=40, keep=Keep(outputs=False, token_ids=True, target=7, seed=3)).queries
    numbers = {query.query for query in kept if query.output_ids}
    chosen = Keep(target=7, seed=3).chosen(40)
    assert chosen is not None
    assert numbers == set(chosen)


@pytest.mark.parametrize("load", LOADS)
def test_an_endpoint_without_token_ids_is_refused_at_its_first_reply(engine, start_sut, load):
    sut = start_sut(service_ms=5, lanes=1)
    engine.adapter = OpenAIChatAdapter(ModelParams(name="m"))
    ended = engine.drive(sut.url, n_samples=60, keep=IDS, load=load)
    assert ended.record.status == "refused"
    assert sut.counts()["computed"] < 60
    assert sut.url in ended.record.reason
    assert "gives no token ids to api_type openai, which this audit needs" in ended.record.reason
    for cure in ("vLLM 0.10.2", "SGLang", "`tokenizer`"):
        assert cure in ended.record.reason
    assert "completed" in ended.outcomes, "what was answered is in the log"
    assert ended.outcomes <= {"completed", "cancelled"}


def test_what_follows_a_refused_phase_is_not_sent(engine, start_sut):
    engine.adapter = OpenAIChatAdapter(ModelParams(name="m"))
    sut = start_sut(service_ms=0)
    specs = [engine.spec("first", keep=IDS, load=Concurrency(target=1)), engine.spec("second")]
    [first] = engine.drive_all(sut.url, specs)
    assert (first.record.status, sut.received) == ("refused", 1)


def test_a_server_that_does_not_know_the_field_is_refused(engine, start_sut):
    engine.adapter = OpenAIChatAdapter(ModelParams(name="m"))
    sut = start_sut(service_ms=0, refuse_field="return_token_ids")
    ended = engine.drive(sut.url, keep=IDS, load=Concurrency(target=1))
    assert (ended.record.status, sut.received) == ("refused", 1)
    assert "gives no token ids" in ended.record.reason
    assert engine.drive(sut.url, keep=Keep()).record.status == "complete"


def test_errors_say_nothing_of_token_ids(engine, start_sut):
    engine.adapter = OpenAIChatAdapter(ModelParams(name="m"))
    ended = engine.drive(start_sut(service_ms=0, fault="500").url, keep=IDS)
    assert (ended.record.status, ended.outcomes - {"cancelled"}) == ("refused", {"http_500"})
    assert "http_500" in ended.record.reason
    assert "token" not in ended.record.reason


def test_a_scripted_phase_is_refused_as_well(engine, start_sut):
    engine.adapter = OpenAIChatAdapter(ModelParams(name="m"))

    def script():
        for row in range(8):
            yield Round(steps=(Step(tag=f"{row}", row=row),))

    sut = start_sut(service_ms=0)
    ended = engine.drive_script(sut.url, script, order=Scripted(), keep=IDS)
    assert (ended.record.status, sut.received) == ("refused", 1)


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("outputs", [True, False])
def test_a_local_tokenizer_takes_the_place_of_the_endpoint(engine, simulated, tmp_path, streaming, outputs):
    pytest.importorskip("tokenizers")
    path = write_tokenizer(tmp_path / "tokenizer.json")
    engine.adapter = OpenAIChatAdapter(ModelParams(name="m"), streaming=streaming)
    theirs = engine.drive(simulated, keep=IDS)
    ours = engine.drive(simulated, keep=Keep(outputs=outputs, token_ids=True, tokenizer=str(path)))
    assert ours.outcomes == {"completed"}
    by_sample = {query.sample: unpacked(query.output_ids) for query in theirs.queries}
    for query in ours.queries:
        ids = unpacked(query.output_ids)
        assert [*ids, 2] == by_sample[query.sample], "the text has no EOS in it"
        assert (None if query.first_ids is None else unpacked(query.first_ids)) == (ids[:1] if streaming else None)
        assert query.ids_from.startswith("tokenizer.json sha256:")
        assert (query.output is not None) == outputs


def test_with_a_local_tokenizer_no_endpoint_is_refused(engine, start_sut, tmp_path):
    pytest.importorskip("tokenizers")
    engine.adapter = OpenAIChatAdapter(ModelParams(name="m"))
    keep = Keep(token_ids=True, tokenizer=str(write_tokenizer(tmp_path / "tokenizer.json")))
    sut = start_sut(service_ms=0, refuse_field="return_token_ids")
    ended = engine.drive(sut.url, keep=keep)
    assert ended.record.status == "complete"
    assert all(query.output_ids and query.ids_from for query in ended.queries)


def test_a_tokenizer_that_cannot_be_used_sends_nothing(engine, start_sut):
    engine.adapter = OpenAIChatAdapter(ModelParams(name="m"))
    sut = start_sut()
    with pytest.raises(PlanError, match=r"nowhere/tokenizer.json: cannot be read"):
        engine.drive(sut.url, keep=Keep(token_ids=True, tokenizer="/nowhere/tokenizer.json"))
    assert sut.received == 0
