"""Requests and replies of /v1/embeddings."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply, digest
from pytest_mlperf_audit.endpoints.numbers.openai_embeddings import OpenAIEmbeddingsAdapter
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit

ADAPTER = OpenAIEmbeddingsAdapter(ModelParams(name="bert"))
FIRST, SECOND = [0.5, -0.25, 1.0], [0.1, 0.2, 0.3]


def sent(row: dict[str, Any], edit: Edit = NO_EDIT, adapter: OpenAIEmbeddingsAdapter = ADAPTER) -> dict[str, Any]:
    assert adapter.problem(row) is None
    body: dict[str, Any] = json.loads(adapter.encode(row, edit))
    return body


def raw(*vectors: list[float]) -> bytes:
    return b"".join(struct.pack(f"<{len(vector)}f", *vector) for vector in vectors)


def coded(vector: list[float]) -> str:
    return base64.b64encode(raw(vector)).decode()


def reply(*vectors: Any, indices: tuple[int, ...] | None = None, **fields: Any) -> bytes:
    places = indices or range(len(vectors))
    data = [{"object": "embedding", "index": at, "embedding": one} for at, one in zip(places, vectors, strict=True)]
    return json.dumps({"object": "list", "data": data, "model": "bert", **fields}).encode()


def decode(body: bytes, request: dict[str, Any] | None = None) -> Reply:
    decoder = ADAPTER.decoder(keep_output=True)
    if request is not None:
        decoder.on_request(json.dumps(request).encode())
    for start in range(0, len(body), 50):
        decoder.feed(body[start : start + 50], 0)
    return decoder.finish()


def refusal(body: bytes, request: dict[str, Any] | None = None) -> tuple[str, str]:
    with pytest.raises(BadReplyError) as caught:
        decode(body, request)
    return caught.value.reason, caught.value.detail


def test_a_text_is_sent_as_it_is():
    assert sent({"prompt": "hi"}) == {"input": "hi", "model": "bert"}
    row = {"input": ["a", "b"], "dimensions": "8", "encoding_format": "base64", "model": "e5", "label": 3}
    assert sent(row) == {"input": ["a", "b"], "dimensions": 8, "encoding_format": "base64", "model": "e5"}


@pytest.mark.parametrize("row", [{"input": [5, 6]}, {"input_tokens": [5, 6]}, {"token_ids": [5, 6], "prompt": "x"}])
def test_token_ids_are_one_input(row):
    assert sent(row)["input"] == [5, 6]


def test_an_edit_changes_each_input():
    edit = Edit(lead="L", tail="T")
    assert sent({"input": "hi"}, edit)["input"] == "L hi T"
    assert sent({"input": ["a", "b"]}, edit)["input"] == ["L a T", "L b T"]
    first, second = sent({"input": [[5, 6], [7]]}, edit)["input"]
    assert (first[1:-1], second[1:-1]) == ([5, 6], [7])


def test_made_up_inputs_differ_within_a_query():
    texts = sent({"input": ["a", "b", "c"]}, Edit(text="one two three", tail="T"))["input"]
    assert texts == ["one two three T", "two three one T", "three one two T"]


def test_a_batch_is_one_list():
    adapter = OpenAIEmbeddingsAdapter(ModelParams(name="bert", batch_size=2))
    rows = {"rows": [{"input": "a", "dimensions": 4}, {"input": ["b", "c d"]}]}
    body = sent(rows, Edit(tail="T"), adapter)
    assert (body["input"], body["dimensions"]) == (["a T", "b T", "c d T"], 4)
    assert adapter.n_words(rows) == 1
    assert adapter.problem({"rows": [{"input": "a"}, {"input": ""}]}) == "no text and no token ids in column 'input'"


def test_words_are_those_of_the_shortest_input():
    assert [ADAPTER.n_words({"input": given}) for given in ("a b", ["a b", "c"], [5, 6, 7])] == [2, 1, 3]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({}, "no text in column 'input', and none in 'prompt'"),
        ({"input": " "}, "no text and no token ids in column 'input'"),
        ({"input": []}, "no token ids in column 'input'"),
        ({"input": ["a", 3]}, "no text and no token ids in column 'input'"),
        ({"input": [[5], [-1]]}, "column 'input' is not a list of token ids; a token id is a whole number from 0"),
        ({"input": "a", "dimension": 4}, "did you mean 'dimensions'?"),
        ({"input": "a", "dimensions": "many"}, "column 'dimensions'"),
    ],
)
def test_rows_that_cannot_be_sent(row, says):
    assert says in (ADAPTER.problem(row) or "")


def test_a_reply():
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    assert decode(reply(FIRST, id="embd-1", usage=usage), {"input": "hi"}) == Reply(
        digest=digest(raw(FIRST)), id="embd-1", model="bert", prompt_tokens=4
    )
    assert decode(reply(FIRST, usage={"total_tokens": 4})).prompt_tokens == 4


def test_the_digest_is_of_the_numbers_and_not_of_how_they_are_written():
    written = [
        reply(FIRST, SECOND),
        reply(SECOND, FIRST, indices=(1, 0)),
        reply(coded(FIRST), coded(SECOND)),
        reply(FIRST, [struct.unpack("<f", struct.pack("<f", one))[0] for one in SECOND]),
        reply(FIRST, SECOND).replace(b'"index": 0, ', b"").replace(b'"index": 1, ', b""),
        reply(FIRST, SECOND).replace(b"0.25", b"2.5e-1"),
    ]
    assert {decode(body).digest for body in written} == {digest(raw(FIRST, SECOND))}
    assert decode(reply(SECOND, FIRST)).digest != digest(raw(FIRST, SECOND))


@pytest.mark.parametrize(
    ("body", "request_", "reason", "says"),
    [
        (reply(FIRST), {"input": ["a", "b"]}, "malformed", "1 vectors in the reply, 2 due"),
        (reply(FIRST, SECOND), {"input": [5, 6]}, "malformed", "2 vectors in the reply, 1 due"),
        (reply(FIRST), {"input": [[5], [6]]}, "malformed", "1 vectors in the reply, 2 due"),
        (reply(), {"input": "a"}, "empty", "0 vectors in the reply, 1 due"),
        (reply(FIRST, indices=(1,)), None, "malformed", "not numbered from 0 to 0"),
        (reply(FIRST, SECOND, indices=(0, 0)), None, "malformed", "not numbered from 0 to 1"),
        (reply([]), None, "empty", "vector 0 has no numbers"),
        (reply(""), None, "empty", "vector 0 has no numbers"),
        (reply("AAA"), None, "malformed", "vector 0 is not base64"),
        (reply("AAAA"), None, "malformed", "vector 0 has 3 bytes, which are no float32 numbers"),
        (reply(coded([1.0, float("nan")])), None, "malformed", "no number (NaN or infinite)"),
        (reply([1e300]), None, "malformed", "no number (NaN or infinite)"),
        (reply([1.0, None]), None, "malformed", "Expected `float`, got `null`"),
        (reply([[1.0], [2.0]]), None, "malformed", "Expected `float`, got `array`"),
        (reply(FIRST, [1.0]), None, "malformed", "the vectors have from 1 to 3 numbers"),
        (reply(FIRST), {"input": "a", "dimensions": 2}, "malformed", "3 numbers, where `dimensions` asked for 2"),
        (b"", None, "empty", "the reply has no body"),
        (b'{"object":"list"}', None, "malformed", "the reply has no `data`"),
        (b'{"error":"Unauthorized"}', None, "server_error", "Unauthorized"),
        (b'{"error":{"message":"too long"},"data":[]}', None, "server_error", "too long"),
        (b'{"detail":"Not Found"}', None, "server_error", "Not Found"),
    ],
)
def test_replies_that_are_no_answer(body, request_, reason, says):
    got = refusal(body, request_)
    assert got[0] == reason
    assert says in got[1]


def test_members_of_other_types_hurt_nobody():
    odd = decode(reply(FIRST, id=7, usage={"prompt_tokens": "4"}))
    assert (odd.id, odd.prompt_tokens) == ("7", 4)
    assert decode(reply(FIRST, usage=None)).prompt_tokens is None
