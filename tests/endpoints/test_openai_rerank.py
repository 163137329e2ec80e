"""Requests and replies of /v1/rerank."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply
from pytest_mlperf_audit.endpoints.numbers.openai_rerank import OpenAIRerankAdapter
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit

ADAPTER = OpenAIRerankAdapter(ModelParams(name="bge"))
ROW: dict[str, Any] = {"query": "who is it", "documents": ["a b", {"text": "c"}, "d"]}


def sent(row: dict[str, Any], edit: Edit = NO_EDIT) -> dict[str, Any]:
    assert ADAPTER.problem(row) is None
    body: dict[str, Any] = json.loads(ADAPTER.encode(row, edit))
    return body


def reply(*results: tuple[int, Any], **fields: Any) -> bytes:
    found = [{"index": at, "relevance_score": score, "document": {"text": "x"}} for at, score in results]
    return json.dumps({"id": "score-1", "model": "bge", "results": found, **fields}).encode()


def decode(body: bytes, request: dict[str, Any] | None = None) -> Reply:
    decoder = ADAPTER.decoder()
    if request is not None:
        decoder.on_request(json.dumps(request).encode())
    decoder.feed(body, 0)
    return decoder.finish()


def test_a_row():
    assert sent({**ROW, "top_n": "2", "label": 1}) == {**ROW, "model": "bge", "top_n": 2}


def test_an_edit_changes_the_query():
    assert sent(ROW, Edit(head="H", tail="T")) == {**ROW, "model": "bge", "query": "H who is it T"}
    assert sent(ROW, Edit(text="made up"))["query"] == "made up"
    assert ADAPTER.n_words(ROW) == 3


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"documents": ["a"]}, "no text in column 'query'"),
        ({"query": "a"}, "column 'documents' is not a list of texts, or of objects with a text"),
        ({"query": "a", "documents": []}, "column 'documents' is not a list"),
        ({"query": "a", "documents": ["a", {"title": "b"}]}, "column 'documents' is not a list"),
        ({**ROW, "documens": []}, "did you mean 'documents'?"),
        ({**ROW, "top_n": "few"}, "column 'top_n'"),
    ],
)
def test_rows_that_cannot_be_sent(row, says):
    assert says in (ADAPTER.problem(row) or "")


def test_a_reply():
    got = decode(reply((2, 0.5), (0, 0.25), (1, -1), usage={"prompt_tokens": 9, "total_tokens": 9}), ROW)
    assert (got.id, got.model, got.prompt_tokens, got.output) == ("score-1", "bge", 9, None)


def test_the_digest_is_of_documents_and_scores():
    same = [reply((1, 0.5), (0, 0.25)), reply((1, 0.5), (0, 0.25), id="other", usage={"total_tokens": 3})]
    same.append(reply((1, 0.5), (0, 0.25)).replace(b"relevance_score", b"score").replace(b"0.25", b"2.5e-1"))
    others = [reply((0, 0.5), (1, 0.25)), reply((1, 0.5), (0, 0.375)), reply((1, 0.5))]
    assert len({decode(body).digest for body in same}) == 1
    assert len({decode(body).digest for body in (*same, *others)}) == 4


@pytest.mark.parametrize(
    ("body", "request_", "reason", "says"),
    [
        (reply((0, 0.5)), ROW, "malformed", "1 results in the reply, 3 due"),
        (reply((0, 0.5), (1, 0.5)), {**ROW, "top_n": 1}, "malformed", "2 results in the reply, 1 due"),
        (reply((0, 0.5), (1, 0.5)), {**ROW, "top_n": 9}, "malformed", "2 results in the reply, 3 due"),
        (reply((0, 0.5), (0, 0.5)), {**ROW, "top_n": 2}, "malformed", "not of 2 of the 3 documents, each once"),
        (reply((3, 0.5)), {**ROW, "top_n": 1}, "malformed", "not of 1 of the 3 documents, each once"),
        (reply((-1, 0.5)), None, "malformed", "Expected `int` >= 0"),
        (reply((0, None)), None, "malformed", "the result of document 0 has no relevance_score"),
        (reply((0, 1e300)), None, "malformed", "no number (NaN or infinite)"),
        (reply(), ROW, "empty", "the reply has no results"),
        (b'{"id":"x"}', None, "malformed", "the reply has no `results`"),
        (b'{"error":{"message":"no reranker"}}', None, "server_error", "no reranker"),
    ],
)
def test_replies_that_are_no_answer(body, request_, reason, says):
    with pytest.raises(BadReplyError) as caught:
        decode(body, request_)
    assert caught.value.reason == reason
    assert says in caught.value.detail
