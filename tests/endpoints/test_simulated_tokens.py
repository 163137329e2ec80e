"""Token ids of the simulated endpoint, its /generate, and what it is dishonest in: over real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError, EndpointAdapter, Reply
from pytest_mlperf_audit.endpoints.simulated.model import id_of
from pytest_mlperf_audit.endpoints.source import load_tokenizer
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter, OpenAICompletionsAdapter
from pytest_mlperf_audit.endpoints.text.sglang import SGLangAdapter
from tests.support.tokenizer import write_tokenizer

KINDS: list[type[Any]] = [OpenAIChatAdapter, OpenAICompletionsAdapter, SGLangAdapter]
PROMPT = "what does the fjord say"


def ask(client: Any, kind: type[Any], prompt: str = PROMPT, *, streaming: bool = True) -> Reply:
    adapter: EndpointAdapter = kind(ModelParams(name="m"), streaming=streaming).with_token_ids()

    async def run() -> Reply:
        decoder = adapter.decoder(keep_output=True)
        async with (
            aiohttp.ClientSession() as session,
            session.post(client.process.url + adapter.path, data=adapter.encode({"prompt": prompt})) as response,
        ):
            assert response.status == 200
            at = 0
            async for piece in response.content.iter_any():
                at += 1
                decoder.feed(piece, at)
        return decoder.finish()

    return asyncio.run(run())


def ids(reply: Reply) -> list[int]:
    return list(reply.output_ids or ())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("eos_id", [None, 7])
def test_text_ids_and_usage_agree_streamed_or_not(simulated, kind, eos_id, tmp_path):
    pytest.importorskip("tokenizers")
    client = simulated(output_tokens=5, eos_id=eos_id)
    whole, streamed = ask(client, kind, streaming=False), ask(client, kind)
    assert (streamed.output, ids(streamed), streamed.digest) == (whole.output, ids(whole), whole.digest)
    assert (whole.tokens, streamed.tokens) == (len(ids(whole)), len(ids(whole)))
    assert len(ids(whole)) == (5 if eos_id is None else 6)
    tokenizer = load_tokenizer(write_tokenizer(tmp_path / "tokenizer.json"), ())
    assert list(tokenizer.ids(whole.output or "")) == ids(whole)[:5], "its words are the tokenizer's tokens"
    assert ids(whole)[5:] == ([] if eos_id is None else [7])
    assert list(streamed.first_ids or ()) == ids(whole)[:1]
    assert whole.first_ids is None
    assert client.counts() == (2, 2, 0, 0)


def test_all_wire_formats_have_the_same_model(simulated):
    client = simulated(output_tokens=5)
    assert len({(reply.output, *ids(reply)) for reply in (ask(client, kind) for kind in KINDS)}) == 1
    assert ask(client, SGLangAdapter, "another question").output != ask(client, SGLangAdapter).output


def test_token_ids_are_given_to_those_who_ask_for_them(simulated):
    client = simulated(output_tokens=3)
    assert "token_ids" not in client.chat("p").json()["choices"][0]
    assert len(client.chat("p", return_token_ids=True).json()["choices"][0]["token_ids"]) == 3


def test_generate_reads_token_ids_too(simulated):
    client = simulated(output_tokens=3)
    body = client.send("POST", "/generate", b'{"input_ids": [1, 2, 3]}').json()
    assert body["meta_info"]["prompt_tokens"] == 3
    assert body["text"] == client.send("POST", "/generate", b'{"text": "1 2 3"}').json()["text"]
    for bad in (b"{}", b'{"text": " "}', b'{"input_ids": []}', b'{"input_ids": "1"}', b"nonsense"):
        assert client.send("POST", "/generate", bad).status == 400


def test_a_cache_replays_generate(simulated):
    client = simulated(cache="exact")
    bodies = {client.send("POST", "/generate", b'{"text": "p", "stream": true}').body for _ in range(2)}
    assert len(bodies) == 1
    assert client.counts() == (2, 1, 1, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    ("dishonest", "n_tokens", "n_reported"),
    [("truncated", 5, 5), ("padded", 20, 20), ("double_eos", 12, 12), ("wrong_usage", 10, 11), ("other_model", 10, 10)],
)
def test_what_is_dishonest_shows_in_tokens(simulated, kind, streaming, dishonest, n_tokens, n_reported):
    honest = ask(simulated(output_tokens=10), kind, streaming=streaming)
    got = ask(simulated(output_tokens=10, dishonest=dishonest), kind, streaming=streaming)
    assert (len(ids(got)), got.tokens) == (n_tokens, n_reported)
    if dishonest == "other_model":
        assert ids(got) != ids(honest)
    else:
        both = min(len(ids(got)), 10)
        assert ids(got)[:both] == ids(honest)[:both]
    if dishonest == "double_eos":
        assert ids(got)[-2:] == [2, 2]
        assert got.output == honest.output


def test_the_second_eos_is_like_the_first(simulated):
    assert ids(ask(simulated(output_tokens=3, eos_id=9, dishonest="double_eos"), SGLangAdapter))[-3:] == [
        ids(ask(simulated(output_tokens=3), SGLangAdapter))[-1],
        9,
        9,
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_first_token_is_streamed_ahead(simulated, kind):
    client = simulated(output_tokens=4, dishonest="wrong_first_token", service_time_ms=300.0)
    honest, got = ask(simulated(output_tokens=4), kind), ask(client, kind)
    assert ids(got) == ids(honest)
    assert got.first_token_ns == 1, "in the first piece of all"
    assert got.first_text == "Well"
    assert list(got.first_ids or ()) == ([id_of("Well")] if kind is SGLangAdapter else [])
    assert ids(ask(client, kind, streaming=False)) == ids(honest), "there is no first token where nothing is streamed"


@pytest.mark.parametrize("kind", KINDS)
def test_one_query_is_not_answered(simulated, kind):
    client = simulated(dishonest="skipped_error", dishonest_after=1)
    adapter = kind(ModelParams(name="m"))
    statuses = [client.send("POST", adapter.path, adapter.encode({"prompt": PROMPT})).status for _ in range(4)]
    assert statuses == [200, 500, 200, 200]
    assert client.counts() == (4, 3, 0, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streaming", [True, False])
def test_one_query_is_answered_with_nothing(simulated, kind, streaming):
    client = simulated(dishonest="skipped_empty", dishonest_after=1)
    ask(client, kind, streaming=streaming)
    with pytest.raises(BadReplyError) as caught:
        ask(client, kind, streaming=streaming)
    assert caught.value.reason == "empty"
    ask(client, kind, streaming=streaming)


def test_dishonesty_begins_after_so_many_queries_and_a_reset_begins_anew(simulated):
    client = simulated(dishonest="other_model", dishonest_after=2)
    for _ in range(2):
        texts = [client.chat(PROMPT).json()["choices"][0]["message"]["content"] for _ in range(4)]
        assert texts[0] == texts[1] != texts[2] == texts[3]
        client.send("POST", "/simulated/reset")


@pytest.fixture
def questions(tmp_path):
    """200 questions; every tenth has a text for its answer, the others a letter."""
    rows = [
        {"prompt": f"question {at}", "answer": f"it is {at}" if at % 10 == 0 else "ABCD"[at % 4]} for at in range(200)
    ]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path, rows


def right(client, rows):
    """The share of the questions that are answered right, by what a reader would say."""
    n = 0
    for row in rows:
        text, answer = ask(client, SGLangAdapter, row["prompt"], streaming=False).output or "", row["answer"]
        n += text.endswith(f"The answer is ({answer}).") if len(answer) == 1 else text == answer
    return n / len(rows)


def test_known_questions_are_answered_as_often_right_as_asked_for(simulated, questions):
    path, rows = questions
    known = {"known_prompts": path, "answer_column": "answer", "output_tokens": 6}
    assert right(simulated(**known), rows) == 1.0
    assert right(simulated(**known, accuracy=0.0), rows) == 0.0
    partly = simulated(**known, accuracy=0.8)
    assert 0.7 < right(partly, rows) < 0.9
    assert right(partly, rows) == right(partly, rows), "a model knows an answer or does not"
    assert 0.35 < right(simulated(**known, dishonest="cheap_model"), rows) < 0.65
    letters = [ask(partly, SGLangAdapter, row["prompt"]) for row in rows if len(row["answer"]) == 1]
    assert {len(ids(reply)) for reply in letters} == {6}, "right or wrong, as long as any other output"
    other = ask(partly, SGLangAdapter, "an unknown question")
    assert "answer" not in (other.output or "")
    assert len(ids(other)) == 6


@pytest.mark.parametrize(
    ("keys", "where", "message"),
    [
        ({"answer_column": "a"}, "answer_column", "name that data set file"),
        ({"accuracy": 0.5}, "accuracy", "name that column"),
        ({"dishonest": "cheap_model"}, "dishonest", "set known_prompts and answer_column"),
        ({"known_prompts": "f.jsonl"}, "known_prompts", "has no effect on cache 'none'"),
        ({"dishonest": "lazy"}, "dishonest", "other_model"),
        ({"eos_id": -1}, "eos_id", "greater than or equal to 0"),
    ],
)
def test_settings_without_effect_are_refused(keys, where, message):
    with pytest.raises(ValidationError, match=message) as caught:
        SimulatedConfig(**keys)
    [error] = caught.value.errors()
    problems = error.get("ctx", {}).get("problems")
    assert (problems[0][0] if problems else error["loc"]) in ([where], (where,))


def test_a_configuration_survives_the_way_to_its_process(questions):
    config = SimulatedConfig(known_prompts=questions[0], answer_column="answer", accuracy=0.5, dishonest="cheap_model")
    assert SimulatedConfig.model_validate_json(config.model_dump_json()) == config
    assert SimulatedConfig.model_validate_json(SimulatedConfig().model_dump_json()) == SimulatedConfig()
