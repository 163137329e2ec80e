"""Text completions: rows with a text or token ids, replies in one piece and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply, digest
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter, OpenAICompletionsAdapter
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit

PARAMS = ModelParams(name="llama", max_new_tokens=8)
ADAPTER = OpenAICompletionsAdapter(PARAMS)
STREAMING = OpenAICompletionsAdapter(PARAMS, streaming=True)


def sent(row: dict[str, Any], edit: Edit = NO_EDIT) -> dict[str, Any]:
    assert ADAPTER.problem(row) is None
    body: dict[str, Any] = json.loads(ADAPTER.encode(row, edit))
    return body


def decode(adapter: OpenAICompletionsAdapter, *pieces: bytes, keep_output: bool = True) -> Reply:
    """Feed pieces, the first at 10 ns, the next at 20 ns, and so on."""
    decoder = adapter.decoder(keep_output=keep_output)
    for at, piece in enumerate(pieces):
        decoder.feed(piece, 10 * (at + 1))
    return decoder.finish()


def chunk(text: str | None = None, finish: str | None = None, **fields: Any) -> bytes:
    choices = [] if text is None else [{"index": 0, "text": text, "finish_reason": finish}]
    return b"data: " + json.dumps({"id": "c1", "choices": choices, **fields}).encode() + b"\n\n"


def test_what_model_params_send():
    everything = {"temperature": 0.0, "seed": 3, "top_p": 0.9, "top_k": 5, "repetition_penalty": 1.1}
    everything |= {"presence_penalty": 0.1, "frequency_penalty": 0.2}
    assert sent({"prompt": "hi"}) == {"model": "llama", "prompt": "hi", "max_tokens": 8}, (
        "nothing that nobody asked for"
    )
    params = ModelParams(name="m", min_new_tokens=2, skip_special_tokens=False, **everything)
    body = json.loads(OpenAICompletionsAdapter(params, streaming=True).encode({"prompt": "hi"}))
    lengths = {"max_tokens": 1024, "min_tokens": 2, "skip_special_tokens": False}
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    assert body == {"model": "m", "prompt": "hi", **everything, **lengths, **stream}
    bare = ModelParams(name="m", max_new_tokens=None, stream_usage=False)
    body = json.loads(OpenAICompletionsAdapter(bare, streaming=True).encode({"prompt": "hi"}))
    assert body == {"model": "m", "prompt": "hi", "stream": True}, "every optional field can be left out"


@pytest.mark.parametrize("adapter", [OpenAICompletionsAdapter, OpenAIChatAdapter])
@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_name_of_the_limit_can_be_chosen(adapter, field):
    chosen = adapter(ModelParams(name="m", max_new_tokens=8, length_field=field))

    def limits(row: dict[str, Any], edit: Edit = NO_EDIT) -> dict[str, Any]:
        body = json.loads(chosen.encode({"prompt": "p", **row}, edit))
        return {name: value for name, value in body.items() if name.startswith("max_")}

    assert limits({}) == {field: 8}
    assert limits({}, Edit(max_tokens=2)) == {field: 2}
    for other in ("max_tokens", "max_completion_tokens"):
        assert limits({other: 5}) == {other: 5}, "the two are one setting"
        assert (chosen.token_limit({other: "5"}), chosen.token_limit({other: None})) == (5, 8)


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"prompt": " as it is\n"}, " as it is\n"),
        ({"prompt": [1, 2, 3]}, [1, 2, 3]),
        ({"input_tokens": [128000, 5], "token_ids": [1], "prompt": "p"}, [128000, 5]),
        ({"token_ids": [7], "prompt": "p"}, [7]),
        ({"input_tokens": None, "token_ids": None, "prompt": "p"}, "p"),
    ],
)
def test_where_the_prompt_comes_from(row, prompt):
    body = sent(row)
    assert body["prompt"] == prompt
    assert not {"input_tokens", "token_ids"} & body.keys()


def test_columns_of_the_api_pass_through_and_others_do_not():
    row = {"prompt": "p", "max_tokens": "5", "min_tokens": 2, "stop": ["x"], "logprobs": 2, "n": 1, "suffix": "s"}
    row |= {"answer": "42", "top_p": None, "skip_special_tokens": False}
    body = sent(row)
    for column in ("min_tokens", "stop", "logprobs", "n", "suffix", "skip_special_tokens"):
        assert body[column] == row[column]
    assert body["max_tokens"] == 5
    assert not {"answer", "top_p"} & body.keys()
    assert ADAPTER.encode(row) == ADAPTER.encode(dict(reversed(row.items()))) == ADAPTER.encode(row)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({}, "no text and no token ids in column 'prompt'"),
        ({"prompt": " "}, "no text and no token ids in column 'prompt'"),
        ({"prompt": []}, "no token ids in column 'prompt'"),
        ({"prompt": 5}, "column 'prompt' is neither a text nor a list of token ids"),
        ({"prompt": ["two", "texts"]}, "column 'prompt' is neither a text nor a list of token ids"),
        ({"prompt": [[1], [2]]}, "column 'prompt' is neither a text nor a list of token ids"),
        ({"prompt": [1, True]}, "column 'prompt' is neither a text nor a list of token ids"),
        ({"prompt": "p", "input_tokens": []}, "no token ids in column 'input_tokens'"),
        ({"prompt": "p", "input_tokens": "1 2"}, "column 'input_tokens' is not a list of token ids; a token id is"),
        ({"input_tokens": [1, -1]}, "column 'input_tokens' is not a list of token ids"),
        ({"input_tokens": [1, 2**31]}, "column 'input_tokens' is not a list of token ids"),
        ({"token_ids": [1.5]}, "column 'token_ids' is not a list of token ids"),
        ({"prompt": "p", "input_token": [1]}, "unknown column 'input_token'; did you mean 'input_tokens'?"),
        ({"prompt": "p", "stream": True}, "column 'stream' cannot be set by a row"),
        ({"prompt": "p", "logprobs": "many"}, "column 'logprobs': expected int | null, got str"),
        ({"prompt": "half \ud800"}, "half of a surrogate pair"),
    ],
)
def test_a_row_that_cannot_be_sent_is_named(row, problem):
    assert problem in (ADAPTER.problem(row) or "")


def test_an_edit_of_a_text():
    row = {"prompt": "a b c"}
    assert sent(row, Edit(lead="l", head="h", tail="t")) == {**sent(row), "prompt": "l h a b c t"}
    assert sent(row, Edit(head="h", tail="t", in_place=True))["prompt"] == "h b t"
    assert sent(row, Edit(text="x y"))["prompt"] == "x y"


def test_an_edit_lowers_both_limits():
    row = {"prompt": "p", "min_tokens": 4}
    assert sent(row, Edit(max_tokens=2)) == {**sent(row), "max_tokens": 2, "min_tokens": 2}
    assert sent(row, Edit(max_tokens=99)) == sent(row)


IDS = [1, 2, 128_000, 4, 5, 6, 7, 8, 9]
NONCE = "0123456789abcdef"


def test_words_become_ids_that_stay_the_same_from_run_to_run():
    row = {"input_tokens": IDS}
    body = sent(row, Edit(lead=NONCE, head="once more", tail="more"))
    assert {**body, "prompt": IDS} == sent(row)
    *first, once, more = body["prompt"][:7]
    assert body["prompt"] == [*first, once, more, *IDS, more]
    assert (first, once, more) == ([24466, 16149, 28753, 21250, 26254], 18933, 23988)
    assert len(sent(row, Edit(head=NONCE[:15]))["prompt"]) == len(IDS) + 1, "no 64-bit nonce, so a word"


def test_in_place_takes_out_as_many_ids_as_are_put_in():
    replaced = sent({"prompt": IDS}, Edit(head="x", tail="y z", in_place=True))["prompt"]
    assert replaced[1:-2] == IDS[1:-2]
    assert sent({"prompt": IDS[:3]}, Edit(head=NONCE, in_place=True))["prompt"][3:] == IDS[1:3], "the middle one stays"


def test_ids_that_change_places_are_the_row_s_own():
    ids = list(range(50, 70))
    behind = sent({"prompt": ids}, Edit(tail="y z", in_place=True, moved="s"))["prompt"]
    ahead = sent({"prompt": ids}, Edit(lead="y z", in_place=True, moved="s"))["prompt"]
    assert sorted(behind) == sorted(ahead) == ids
    assert behind[:10] == ids[:10]
    assert ahead[10:] == ids[10:]
    assert len(sent({"prompt": ids[:6]}, Edit(tail="y z", in_place=True, moved="s"))["prompt"]) == 6, "too few"


def test_a_text_takes_the_place_of_the_row_s_ids():
    edited = sent({"prompt": IDS}, Edit(text="a b a"))["prompt"]
    assert len(edited) == 3
    assert edited[0] == edited[2] != edited[1]


WORD = st.text("abcdefgh", min_size=1, max_size=6) | st.integers(0, 2**64 - 1).map(lambda bits: f"{bits:016x}")
TEXT = st.lists(WORD, max_size=4).map(" ".join)
EDITS = st.builds(Edit, lead=TEXT, head=TEXT, text=st.none() | TEXT, tail=TEXT, in_place=st.booleans())


def n_ids(text: str) -> int:
    return sum(5 if len(word) == 16 else 1 for word in text.split())


@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=30), EDITS)
def test_an_edit_of_any_ids(ids, edit):
    got = sent({"token_ids": ids}, edit)["prompt"]
    n_before, n_tail = n_ids(edit.lead) + n_ids(edit.head), n_ids(edit.tail)
    if edit.in_place:
        n_own = len(ids) if edit.text is None else n_ids(edit.text)
        n_before, n_tail = min(n_before, max(3, n_own // 2)), min(n_tail, max(3, n_own - n_own // 2 - 1))
    own = got[n_before : len(got) - n_tail]
    assert all(1000 <= token < 30_000 for token in [*got[:n_before], *got[len(got) - n_tail :]])
    if edit.text is not None:
        assert all(1000 <= token < 30_000 for token in own)
    elif edit.in_place:
        first = min(n_before, len(ids) // 2)
        assert own == ids[first : first + len(own)]
        assert ids[len(ids) // 2] in own
        assert len(got) >= len(ids)
    else:
        assert own == ids
    assert ADAPTER.encode({"token_ids": ids}, edit) == ADAPTER.encode({"token_ids": ids}, edit)


@given(st.sets(st.integers(0, 2**64 - 1), min_size=50, max_size=50))
def test_nonces_of_their_own_give_ids_of_their_own(nonces):
    prompts = {tuple(sent({"prompt": [1]}, Edit(lead=f"{bits:016x}"))["prompt"]) for bits in nonces}
    assert len(prompts) == len(nonces)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
COLUMNS = st.sampled_from(["prompt", "input_tokens", "token_ids", "seed", "stop", "logit_bias", "max_tokens", "zz"])
VALUES = JSON | st.lists(st.integers(0, 9), max_size=4) | st.just("a text")


@given(st.dictionaries(COLUMNS, VALUES, max_size=5), EDITS)
def test_a_row_has_a_problem_or_can_be_sent(row, edit):
    if ADAPTER.problem(row) is None:
        assert json.loads(ADAPTER.encode(row))["prompt"]
        assert json.loads(ADAPTER.encode(row, edit)).keys() == json.loads(ADAPTER.encode(row)).keys()
        assert ADAPTER.encode(row) == ADAPTER.encode(row)
        assert ADAPTER.encode(row, edit) == ADAPTER.encode(row, edit)
        assert ADAPTER.encode(row, Edit(lead=NONCE)) != ADAPTER.encode(row)


USAGE = {"completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3}}
GOT = Reply(digest=digest(b"hello"), id="c1", output="hello", tokens=7, cached_tokens=3, finish_reason="length")


def test_a_reply():
    body = json.dumps(
        {"id": "c1", "choices": [{"index": 0, "text": "hello", "finish_reason": "length"}], "usage": USAGE}
    )
    assert decode(ADAPTER, body.encode()) == decode(STREAMING, body.encode()) == GOT
    assert decode(ADAPTER, body.encode(), keep_output=False).output is None


def test_a_stream_and_its_first_token():
    pieces = [chunk(""), chunk("he"), chunk("llo"), chunk("", "length"), chunk(usage=USAGE), b"data: [DONE]\n\n"]
    got = decode(STREAMING, *pieces)
    assert (got.first_token_ns, got.first_text) == (20, "he"), "the first chunk has no text"
    got.first_token_ns = got.first_text = None
    assert got == GOT


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"choices":[{"text":""}]}', "empty"),
        (b'{"choices":[{"text":null,"finish_reason":"stop"}]}', "empty"),
        (b'{"choices":[{"text":5}]}', "empty"),
        (b'{"choices":[{"text":"a","finish_reason":"abort"}]}', "server_error"),
        (b'{"error":{"message":"overloaded"}}', "server_error"),
        (b'data: {"choices":[{"text":"a"}]}\n\n', "truncated"),
        (b'data: {"choices":[{"text":"a"}]}\n\ndata: {"error":{"message":"x"}}\n\n', "server_error"),
    ],
)
def test_what_is_no_answer_is_refused_with_its_reason(body, reason):
    with pytest.raises(BadReplyError) as caught:
        decode(STREAMING, body)
    assert caught.value.reason == reason


def result_of(adapter: OpenAICompletionsAdapter, body: bytes) -> str:
    try:
        return decode(adapter, body).digest
    except BadReplyError as error:
        return error.detail


@given(JSON | st.fixed_dictionaries({"text": JSON}), st.sampled_from([ADAPTER, STREAMING]), st.booleans())
def test_no_reply_raises_anything_else(choice, adapter, as_event):
    body = json.dumps({"choices": [choice]}).encode()
    result = result_of(adapter, b"data: " + body + b"\n\ndata: [DONE]\n\n" if as_event else body)
    assert 0 < len(result) <= 200
