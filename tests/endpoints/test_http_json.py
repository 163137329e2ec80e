"""`http_json`: a template filled from rows, and replies of any form read by paths."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pytest_mlperf_audit.config.http_json import HttpJson
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError, lacking_in
from pytest_mlperf_audit.endpoints.http_json import HttpJsonAdapter
from pytest_mlperf_audit.runs.script import Edit

TWIN = Edit(lead="ocean lamp", in_place=True)
BASE = {"path": "/predict", "body": {"q": "{question}"}, "twin": "question", "output": "out[0].text"}


def adapter(*, max_new_tokens=64, temperature=None, **http):
    params = ModelParams(name="m", max_new_tokens=max_new_tokens, temperature=temperature, http={**BASE, **http})
    return HttpJsonAdapter(params)


def decode(document, **http):
    decoder = adapter(**http).decoder(keep_output=True)
    decoder.feed(document if isinstance(document, bytes) else json.dumps(document).encode(), 0)
    return decoder.finish()


def refusal(document, **http):
    with pytest.raises(BadReplyError) as caught:
        decode(document, **http)
    return caught.value


def test_places_are_filled_by_the_row_and_by_model_params():
    of = adapter(
        body={
            "model": "{model}",
            "text": "Q: {question}? {{kept}}",
            "options": {"n": "{n}", "limit": "{max_new_tokens}", "tags": ["{tag}", "x"], "on": True},
        }
    )
    row = {"question": "why", "n": 3, "tag": ["a", "b"], "answer": "never sent"}
    assert of.problem(row) is None
    assert json.loads(of.encode(row)) == {
        "model": "m",
        "text": "Q: why? {kept}",
        "options": {"n": 3, "limit": 64, "tags": [["a", "b"], "x"], "on": True},
    }
    assert of.path == "/predict"


def test_a_row_overrides_model_params_and_an_absent_value_does_not():
    of = adapter(body={"q": "{question}", "t": "{temperature}"}, temperature=0.5)
    assert json.loads(of.encode({"question": "why", "temperature": 0.9}))["t"] == 0.9
    assert json.loads(of.encode({"question": "why", "temperature": None}))["t"] == 0.5


def test_a_column_has_the_name_that_its_file_gives_it():
    """A data set's `question` is read as `prompt`."""
    assert adapter().problem({"prompt": "why"}) is None
    assert json.loads(adapter().encode({"prompt": "why is the sky so very blue"}, TWIN))["q"].startswith("ocean lamp")


def test_a_twin_differs_in_its_column_alone():
    of = adapter(body={"q": "{question}", "context": "{context}"})
    row = {"question": "why is the sky so very blue", "context": "the sky"}
    twin = json.loads(of.encode(row, TWIN))
    assert twin["q"].startswith("ocean lamp")
    assert twin["context"] == "the sky"
    assert of.encode(row, TWIN) == of.encode(row, TWIN) != of.encode(row)
    assert of.n_words(row) == 7


def test_numbers_are_changed_by_their_least_steps():
    of = adapter(body={"x": "{features}"}, twin="features", twin_kind="numbers")
    assert of.twins
    row = {"features": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]}
    assert of.problem(row) is None
    twin = json.loads(of.encode(row, TWIN))["x"]
    assert twin != row["features"]
    flat = [
        (new, old)
        for news, olds in zip(twin, row["features"], strict=True)
        for new, old in zip(news, olds, strict=True)
    ]
    assert sum(new != old for new, old in flat) == 4
    assert all(new == pytest.approx(old, rel=1e-9) for new, old in flat)
    made = json.loads(of.encode(row, Edit(text="river")))["x"]
    assert all(1 <= number <= 6 for numbers in made for number in numbers)


def test_the_limit_on_tokens_is_lowered_where_the_body_has_it():
    of = adapter(body={"q": "{question}", "n": "{max_new_tokens}"})
    assert of.token_limit({"question": "why"}) == 64
    assert json.loads(of.encode({"question": "why"}, Edit(text="river", max_tokens=8)))["n"] == 8
    assert adapter().token_limit({"question": "why"}) is None


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"text": "why"}, "no column 'question', which model_params.http.body names; the row's are 'text'"),
        ({"question": " "}, "no text in column 'question'"),
        ({"question": 7}, "no text in column 'question'"),
    ],
)
def test_rows_that_cannot_be_sent(row, problem):
    assert adapter().problem(row) == problem


@pytest.mark.parametrize("value", ["1 2", [], [1, "a"], [[1], [2, 3]], [float("nan")]])
def test_what_is_no_list_of_numbers(value):
    of = adapter(body={"x": "{features}"}, twin="features", twin_kind="numbers")
    assert of.problem({"features": value}) == "no list of numbers in column 'features'"


def test_without_the_block_the_message_says_what_to_write():
    assert "write its path, body, twin and output" in str(HttpJsonAdapter(ModelParams(name="m")).problem({"a": 1}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"twin": "other"}, r"whose places are: question; write \{other\} there"),
        ({"body": {}}, "is empty"),
        ({"body": {"q": "{{question}}"}}, "whose places are: none"),
        ({"path": "predict"}, "is no path of a URL; write it with / first"),
        ({"path": "/a b"}, "is no path of a URL"),
    ],
)
def test_blocks_that_make_no_sense(changes, message):
    with pytest.raises(ValidationError, match=message):
        HttpJson(**{**BASE, **changes})


def test_what_a_reply_tells():
    reply = decode(
        {"out": [{"text": "blue"}], "meta": {"rid": 7, "by": "m2", "n": 3, "in": "5", "hit": 2}},
        id="meta.rid",
        model="meta.by",
        tokens="meta.n",
        prompt_tokens="meta.in",
        cached_tokens="meta.hit",
    )
    assert (reply.output, reply.id, reply.model) == ("blue", "7", "m2")
    assert (reply.tokens, reply.prompt_tokens, reply.cached_tokens) == (3, 5, 2)


def test_outputs_are_any_value_and_the_order_of_keys_is_no_part_of_it():
    one, other = (decode(f'{{"out": {out}}}'.encode(), output="out") for out in ('{"a": 1, "b": 2}', '{"b":2,"a":1}'))
    assert one.digest == other.digest
    assert decode({"out": 0}, output="out").output == "0"
    assert decode({"out": False}, output="out").output == "false"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "empty"),
        (b"<html>", "malformed"),
        (b"[1, 2]", "malformed"),
        ({"other": 1}, "malformed"),
        ({"out": []}, "malformed"),
        ({"out": [{"text": ""}]}, "empty"),
        ({"out": [{"text": None}]}, "empty"),
        ({"error": "no such model"}, "server_error"),
        ({"error": {"message": "busy"}, "out": []}, "server_error"),
        ({"detail": [{"msg": "field required"}]}, "server_error"),
    ],
)
def test_what_is_no_answer_is_a_failed_query(document, reason):
    assert refusal(document).reason == reason


def test_an_error_in_a_place_of_its_own():
    good = {"out": [{"text": "blue"}], "problem": None}
    assert decode(good, error="problem").output == "blue"
    assert refusal({**good, "problem": "overloaded"}, error="problem").detail == "overloaded"


@given(
    st.binary(max_size=100)
    | st.recursive(st.none() | st.text(), st.lists, max_leaves=5).map(lambda v: json.dumps(v).encode())
)
def test_no_bytes_make_the_decoder_raise_anything_else(body):
    with suppress(BadReplyError):
        decode(body, id="a", tokens="b[0]", error="c")


def test_numbers_that_a_twin_does_not_change_stay_as_they_were_written():
    """A server that reads JSON takes as long as the text is: `1` as `1.0` would make twins of an honest one slow."""
    of = adapter(twin_kind="numbers")
    row = [1, 0, 7, 9] * 32
    for edit in (TWIN, Edit(text="a made-up one"), Edit(text="a made-up one", lead="ocean lamp", in_place=True)):
        sent = json.loads(of.encode({"question": row}, edit))["q"]
        assert sent != row
        assert {type(number) for number in sent} == {int}
        assert len(str(sent)) == pytest.approx(len(str(row)), rel=0.02)
    mixed = [[1, 0.5], [3, 0.25]] * 16
    sent = json.loads(of.encode({"question": mixed}, TWIN))["q"]
    same = [
        one == other and type(one) is type(other)
        for a, b in zip(sent, mixed, strict=True)
        for one, other in zip(a, b, strict=True)
    ]
    assert same.count(False) == 4
    made_up = json.loads(of.encode({"question": mixed}, Edit(text="a made-up one")))["q"]
    assert {number for pair in made_up for number in pair} <= {1, 0.5, 3, 0.25}


def test_few_whole_numbers_have_twins_that_are_not_whole():
    sent = {of_two for seed in range(50) if (of_two := _sent_of_two(seed))}
    assert len(sent) == 50


def _sent_of_two(seed):
    edit = Edit(lead=f"word {seed}", in_place=True)
    return bytes(adapter(twin_kind="numbers").encode({"question": [3, 5]}, edit))


@pytest.mark.parametrize("value", [["1", "2"], [10**400, 1], [True], [None, 1.0], [[1], [2, 3]], [1e999], 5, []])
def test_what_is_no_list_of_numbers_is_refused(value):
    problem = adapter(twin_kind="numbers").problem({"question": value})
    assert problem is not None
    assert "no list of numbers" in problem or "JSON" in problem


def test_what_json_cannot_hold_is_refused_before_it_is_sent():
    of = adapter(body={"q": "{question}", "n": "{n}"})
    assert "surrogate" in str(of.problem({"question": "a \udc00 b", "n": 1}))
    assert "cannot be sent as JSON" in str(of.problem({"question": "a", "n": float("nan")}))


def test_a_limit_on_tokens_that_is_no_count_is_sent_as_it_is():
    of = adapter(body={"q": "{question}", "n": "{max_new_tokens}"})
    edit = Edit(lead="ocean lamp", in_place=True, max_tokens=3)
    assert json.loads(of.encode({"question": "why", "max_new_tokens": "many"}, edit))["n"] == "many"
    assert json.loads(of.encode({"question": "why"}, edit))["n"] == 3


def test_what_is_no_text_stands_in_a_text_as_json():
    of = adapter(body={"q": "{question} {n} {on}"})
    assert json.loads(of.encode({"question": "why", "n": ["a"], "on": True}))["q"] == 'why ["a"] true'


@pytest.mark.parametrize("text", ["{a.b}", "{}", "{ question }", "{question", "first-name: {first-name}", "}"])
def test_a_brace_that_is_no_place_is_refused(text):
    """Sent as it stands, each row would have one and the same text there."""
    with pytest.raises(ValidationError, match="is no place"):
        adapter(body={"q": "{question}", "more": [text]})


@pytest.mark.parametrize("path", ["out[0].²", "out.²", "out[0][²]", "out." + "9" * 5000])
def test_a_digit_that_is_no_number_names_nothing(path):
    assert refusal({"out": [1, 2]}, output=path).reason == "malformed"


def test_a_path_at_which_a_reply_has_nothing_is_named():
    decoder = adapter(id="ident", tokens="usage.n", model="m").decoder()
    decoder.feed(json.dumps({"out": [{"text": "because"}], "id": "1", "usage": {"n": 0}, "m": None}).encode(), 0)
    decoder.finish()
    (said,) = lacking_in(decoder)
    assert said.startswith("the first reply has nothing at ident (model_params.http.id), m (model_params.http.model);")
    whole = adapter(id="id").decoder()
    whole.feed(json.dumps({"out": [{"text": "because"}], "id": "1"}).encode(), 0)
    whole.finish()
    assert lacking_in(whole) == ()
