"""Embeddings and reranking of the simulated endpoint."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from pytest_mlperf_audit.endpoints.simulated.formats.contract import BadRequestError
from tests.support.simulated_formats import ask_of, reply_to, sent

DOCUMENTS = ["a kite flies", "a boat sails", "a tree grows"]


def embedded(given: Any, **fields: Any) -> list[Any]:
    document = json.loads(reply_to("embeddings", {"model": "m", "input": given, **fields}).content)
    return [one["embedding"] for one in document["data"]]


def test_a_reply_with_an_embedding():
    document = json.loads(reply_to("embeddings", {"model": "m", "input": "a red kite"}).content)
    (data,) = document.pop("data")
    assert document == {
        "id": "embd-ID",
        "object": "list",
        "created": 5,
        "model": "m",
        "usage": {"prompt_tokens": 3, "total_tokens": 3, "completion_tokens": 0, "prompt_tokens_details": None},
    }
    assert (data["index"], data["object"], len(data["embedding"])) == (0, "embedding", 16)
    assert all(-1 <= number < 1 for number in data["embedding"])
    assert len(set(data["embedding"])) > 10


def test_an_embedding_is_that_of_its_text_wherever_it_stands():
    kite, boat = embedded(["a red kite", "a blue boat"])
    assert embedded(["a blue boat", "a red kite"]) == [boat, kite]
    assert embedded("a red kite") == [kite] != [boat]
    assert embedded("a red kite", dimensions=3) == [kite[:3]]


def test_no_character_makes_two_inputs_of_one():
    assert len(embedded("a \x1e b")) == 1
    assert embedded(["a \x1e b", "c"])[1:] == embedded("c")


def test_base64_holds_the_same_numbers_as_float32():
    texts = ["a red kite", "a blue boat"]
    for numbers, text in zip(embedded(texts), embedded(texts, encoding_format="base64"), strict=True):
        assert list(struct.unpack("<16f", base64.b64decode(text, validate=True))) == numbers


def test_token_ids_are_one_input_and_lists_of_them_several():
    assert embedded([1, 2, 3]) == embedded("1 2 3")
    assert embedded([[1, 2], [3]]) == embedded(["1 2", "3"])


@pytest.mark.parametrize("given", ["", " ", [], [""], ["a", " "], [[]], ["a", None], [["a"]], 5, {"text": "a"}, [True]])
def test_an_input_that_is_none_is_refused(given):
    with pytest.raises(BadRequestError):
        ask_of("embeddings", {"input": given})


@pytest.mark.parametrize("fields", [{"encoding_format": "int8"}, {"dimensions": 0}, {"dimensions": "x"}])
def test_settings_that_are_none_are_refused(fields):
    with pytest.raises(BadRequestError):
        ask_of("embeddings", {"input": "a", **fields})


def test_dishonest_embeddings():
    honest = reply_to("embeddings", {"input": ["a", "b"]})
    other = json.loads(reply_to("embeddings", {"input": ["a", "b"]}, dishonest="other_model").content)["data"]
    assert len(other) == 2
    assert all(one not in json.loads(honest.content)["data"] for one in other)
    skipped = json.loads(reply_to("embeddings", {"input": ["a", "b"]}, dishonest="skipped_empty").content)
    assert skipped["data"] == []


def test_a_semantic_cache_replays_the_results_of_the_request_it_has():
    texts = ["one two three four five six seven eight nine ten", "one two three four five six seven eight nine TEN"]
    bodies = [json.dumps({"input": text}).encode() for text in (*texts, "another")]
    (first, near, far), stats = sent(*(("POST", "/v1/embeddings", body) for body in bodies), cache="semantic")
    assert first.json()["data"] == near.json()["data"] != far.json()["data"]
    assert first.json()["id"] != near.json()["id"]
    assert stats["cache_hits"] == 1


def reranked(documents: Any = DOCUMENTS, **fields: Any) -> dict[str, Any]:
    asked = {"model": "m", "query": "what flies", "documents": documents, **fields}
    document: dict[str, Any] = json.loads(reply_to("rerank", asked).content)
    return document


def test_documents_come_with_the_most_relevant_first():
    document = reranked()
    results = document.pop("results")
    assert document == {"id": "score-ID", "model": "m", "usage": {"prompt_tokens": 11, "total_tokens": 11}}
    scores = [one["relevance_score"] for one in results]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score < 1 for score in scores)
    assert sorted(one["index"] for one in results) == [0, 1, 2]
    assert all(one["document"]["text"] == DOCUMENTS[one["index"]] for one in results)
    assert reranked(top_n=2)["results"] == results[:2]
    assert reranked([{"text": text} for text in DOCUMENTS])["results"] == results


def test_a_score_is_that_of_query_and_document_wherever_it_stands():
    def scores(document: dict[str, Any]) -> dict[str, float]:
        return {one["document"]["text"]: one["relevance_score"] for one in document["results"]}

    assert scores(reranked()) == scores(reranked(DOCUMENTS[::-1]))
    assert scores(reranked()) != scores(reranked(query="what sails"))


@pytest.mark.parametrize(
    "fields", [{"documents": []}, {"documents": "x"}, {"documents": [5]}, {"query": 5}, {"top_n": -1}]
)
def test_what_cannot_be_ranked_is_refused(fields):
    with pytest.raises(BadRequestError):
        ask_of("rerank", {"query": "q", "documents": DOCUMENTS, **fields})


def test_a_skipped_ranking_is_empty():
    assert (
        json.loads(reply_to("rerank", {"query": "q", "documents": ["a"]}, dishonest="skipped_empty").content)["results"]
        == []
    )


def test_the_three_paths_of_reranking():
    body = json.dumps({"query": "q", "documents": DOCUMENTS}).encode()
    got, stats = sent(*(("POST", path, body) for path in ("/v1/rerank", "/rerank", "/v2/rerank")), cache="exact")
    assert [one.json()["results"] for one in got] == [got[0].json()["results"]] * 3
    assert stats["computed"] == 3, "a URL is part of a proxy's key"
