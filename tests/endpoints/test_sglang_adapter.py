"""SGLang's /generate: rows to requests; replies in one piece, and streams of both shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply
from pytest_mlperf_audit.endpoints.text.sglang import SGLangAdapter
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit

PARAMS = ModelParams(name="llama", max_new_tokens=8)
ADAPTER = SGLangAdapter(PARAMS)
STREAMING = SGLangAdapter(PARAMS, streaming=True)
DONE = b"data: [DONE]\n\n"
#: Tokens, each with its text; the last is EOS, which has none.
TOKENS = [("Hé", 11), ("llo", 12), (" wor", 13), ("ld", 14), ("", 2)]
WHOLE, IDS = "Héllo world", [11, 12, 13, 14, 2]


def sent(row: dict[str, Any], edit: Edit = NO_EDIT, adapter: SGLangAdapter = ADAPTER) -> dict[str, Any]:
    assert adapter.problem(row) is None
    body: dict[str, Any] = json.loads(adapter.encode(row, edit))
    return body


def decode(*pieces: bytes, adapter: SGLangAdapter = STREAMING, keep_output: bool = True) -> Reply:
    """Feed pieces, the first at 10 ns, the next at 20 ns, and so on."""
    decoder = adapter.decoder(keep_output=keep_output)
    for at, piece in enumerate(pieces):
        decoder.feed(piece, 10 * (at + 1))
    return decoder.finish()


def refusal(*pieces: bytes, adapter: SGLangAdapter = STREAMING) -> tuple[str, str]:
    with pytest.raises(BadReplyError) as caught:
        decode(*pieces, adapter=adapter)
    return caught.value.reason, caught.value.detail


def document(text: str | None, ids: list[int] | None, n: int | None, finish: Any = None, **meta: Any) -> bytes:
    info = {"id": "r1", "finish_reason": finish, "prompt_tokens": 3, "completion_tokens": n, "cached_tokens": 1, **meta}
    return json.dumps({"text": text, "output_ids": ids, "meta_info": info}).encode()


def event(*args: Any, **meta: Any) -> bytes:
    return b"data: " + document(*args, **meta) + b"\n\n"


def stream(text_repeats: bool, ids_repeat: bool, *, with_ids: bool = True, step: int = 1) -> list[bytes]:
    """The events of the output above, `step` tokens each: repeating what came before, or with the new part alone."""
    events = []
    for end in range(step, len(TOKENS) + step, step):
        so_far, new = TOKENS[:end], TOKENS[end - step : end]
        text = "".join(text for text, _ in (so_far if text_repeats else new))
        ids = [token for _, token in (so_far if ids_repeat else new)] if with_ids else None
        finish = {"type": "stop", "matched": 2} if end >= len(TOKENS) else None
        events.append(event(text, ids, len(so_far), finish))
    return [*events, DONE]


def test_what_model_params_send():
    assert sent({"prompt": "hi"}) == {
        "text": "hi",
        "sampling_params": {"max_new_tokens": 8},
    }
    everything = {"temperature": 0.0, "top_p": 0.9, "top_k": 5, "repetition_penalty": 1.1}
    everything |= {"presence_penalty": 0.1, "frequency_penalty": 0.2}
    params = ModelParams(name="m", seed=3, min_new_tokens=2, skip_special_tokens=False, **everything)
    body = sent({"prompt": "hi"}, adapter=SGLangAdapter(params, streaming=True))
    lengths = {"max_new_tokens": 1024, "min_new_tokens": 2, "skip_special_tokens": False}
    assert body == {"text": "hi", "stream": True, "sampling_params": {**everything, **lengths, "sampling_seed": 3}}


def test_every_reply_has_token_ids_without_being_asked():
    assert ADAPTER.with_token_ids().encode({"prompt": "p"}) == ADAPTER.encode({"prompt": "p"})


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"prompt": " as it is\n"}, {"text": " as it is\n"}),
        ({"input_ids": [128000, 5], "token_ids": [1], "prompt": "p"}, {"input_ids": [128000, 5]}),
        ({"input_tokens": [7], "prompt": "p"}, {"input_ids": [7]}),
        ({"token_ids": [7], "prompt": "p"}, {"input_ids": [7]}),
        ({"input_ids": None, "prompt": "p"}, {"text": "p"}),
        ({"prompt": "p", "image_data": "http://h/i.png"}, {"text": "p", "image_data": "http://h/i.png"}),
    ],
)
def test_where_the_prompt_comes_from(row, prompt):
    body = sent(row)
    del body["sampling_params"]
    assert body == prompt


def test_columns_override_model_params_and_others_are_not_sent():
    row = {"prompt": "p", "max_new_tokens": "5", "stop": ["x"], "top_p": None, "answer": "42"}
    assert sent(row)["sampling_params"] == {
        "max_new_tokens": 5,
        "stop": ["x"],
    }
    assert ADAPTER.encode(row) == ADAPTER.encode(dict(reversed(row.items())))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({}, "no text in column 'prompt' and no token ids in 'input_ids'"),
        ({"prompt": " "}, "no text in column 'prompt'"),
        ({"prompt": [1, 2]}, "no text in column 'prompt'"),
        ({"prompt": "p", "input_ids": []}, "no token ids in column 'input_ids'"),
        ({"input_ids": "1 2"}, "column 'input_ids' is not a list of token ids; a token id is a whole number from 0"),
        ({"input_tokens": [1, -1]}, "column 'input_tokens' is not a list of token ids"),
        ({"token_ids": [1, True]}, "column 'token_ids' is not a list of token ids"),
        ({"input_ids": [2**31]}, "column 'input_ids' is not a list of token ids"),
        ({"prompt": "p", "max_new_token": 5}, "unknown column 'max_new_token'; did you mean 'max_new_tokens'?"),
        ({"prompt": "p", "temperature": "hot"}, "column 'temperature': expected float | null, got str"),
        ({"prompt": "half \ud800"}, "half of a surrogate pair"),
    ],
)
def test_a_row_that_cannot_be_sent_is_named(row, problem):
    assert problem in (ADAPTER.problem(row) or "")


def test_an_edit_of_a_text():
    row = {"prompt": "a b c"}
    assert sent(row, Edit(lead="l", head="h", tail="t")) == {**sent(row), "text": "l h a b c t"}
    assert sent(row, Edit(text="x y"))["text"] == "x y"


def test_an_edit_of_token_ids():
    row = {"input_ids": [1, 2, 3, 4]}
    twin = sent(row, Edit(tail="0123456789abcdef"))["input_ids"]
    assert (twin[:4], len(twin)) == ([1, 2, 3, 4], 9), "five ids for a nonce"
    assert len(sent(row, Edit(lead="zero", in_place=True))["input_ids"]) == 4


@pytest.mark.parametrize(
    ("columns", "limits"),
    [
        ({}, {"max_new_tokens": 5}),
        ({"max_new_tokens": 3}, {"max_new_tokens": 3}),
        ({"min_new_tokens": 7}, {"max_new_tokens": 5, "min_new_tokens": 5}),
    ],
)
def test_an_edit_lowers_every_limit_on_output_tokens(columns, limits):
    sampling = sent({"prompt": "p", **columns}, Edit(max_tokens=5))["sampling_params"]
    assert {name: sampling[name] for name in limits} == limits


def test_a_reply_in_one_piece():
    body = document(WHOLE, IDS, 5, {"type": "stop", "matched": 2})
    got = decode(body[:20], body[20:], adapter=ADAPTER)
    assert (got.id, got.output, got.tokens, got.prompt_tokens, got.cached_tokens) == ("r1", WHOLE, 5, 3, 1)
    assert (list(got.output_ids or ()), got.first_ids) == (IDS, None)
    assert (got.finish_reason, got.first_token_ns) == ("stop", None)
    assert decode(body, adapter=ADAPTER, keep_output=False).output is None
    fallen_back = decode(body)
    assert (fallen_back.output, fallen_back.first_token_ns) == (WHOLE, None), "the server ignored `stream`"


SHAPES = [(True, True), (False, False), (True, False)]


@pytest.mark.parametrize(("text_repeats", "ids_repeat"), SHAPES)
@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_stream_of_any_shape(text_repeats, ids_repeat, step):
    got = decode(b": ping\n\n", *stream(text_repeats, ids_repeat, step=step))
    assert (got.output, list(got.output_ids or ()), got.tokens) == (WHOLE, IDS, 5)
    assert list(got.first_ids or ()) == IDS[:step]
    assert (got.first_token_ns, got.finish_reason) == (20, "stop")
    assert got.digest == decode(document(WHOLE, IDS, 5, "stop"), adapter=ADAPTER).digest


@pytest.mark.parametrize("repeats", [True, False])
def test_a_stream_without_token_ids(repeats):
    got = decode(*stream(repeats, repeats, with_ids=False))
    assert (got.output, got.output_ids, got.first_ids, got.first_text) == (WHOLE, None, None, "Hé")


@pytest.mark.parametrize(("text_repeats", "ids_repeat"), SHAPES)
@given(data=st.data())
def test_a_stream_in_many_pieces(text_repeats, ids_repeat, data):
    body = b"".join(stream(text_repeats, ids_repeat)).replace(b"\n", b"\r\n")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    got = decode(*pieces)
    assert (got.output, list(got.output_ids or ()), got.finish_reason) == (WHOLE, IDS, "stop")


@pytest.mark.parametrize("repeats", [True, False])
def test_a_model_that_repeats_itself(repeats):
    """Each new part begins with the one before, and so looks like the whole."""
    events = [
        event(" ha" * (at if repeats else 1), [7] * (at if repeats else 1), at, {"type": "length"} if at == 4 else None)
        for at in range(1, 5)
    ]
    got = decode(*events, DONE)
    assert (got.output, list(got.output_ids or ())) == (" ha ha ha ha", [7, 7, 7, 7])


def test_a_stop_string_is_cut_off_at_the_end():
    events = [event("a S", [1, 2], 2), event("a STO", [1, 2, 3], 3), event("a ", [1, 2, 3, 4], 4, {"type": "stop"})]
    assert decode(*events, DONE).output == "a "


@pytest.mark.parametrize("repeats", [True, False])
def test_counts_that_fit_nothing_leave_the_tokens_to_tell(repeats):
    ids = [[1, 2], [1, 2, 3]] if repeats else [[1, 2], [3]]
    texts = ["a", "ab"] if repeats else ["a", "b"]
    got = decode(event(texts[0], ids[0], 99), event(texts[1], ids[1], 99, {"type": "stop"}), DONE)
    assert (list(got.output_ids or ()), got.output, got.tokens) == ([1, 2, 3], "ab", 99)


def test_a_first_token_that_is_taken_back_shows():
    events = [event("Well", [9], 1), event("a", [1], 1), event("a b", [1, 2], 2, {"type": "stop"})]
    got = decode(*events, DONE)
    assert (list(got.first_ids or ()), list(got.output_ids or ())) == ([9], [1, 2])
    assert (got.first_text, got.output) == ("Well", "a b")


def test_a_first_piece_of_text_without_a_token_shows():
    got = decode(event("Well", None, 0), event("a", [1], 1, {"type": "stop"}), DONE)
    assert got.first_ids is not None
    assert list(got.first_ids) == []


def test_an_event_without_output_is_no_first_token():
    got = decode(event("", [], 0), *stream(True, True))
    assert got.first_token_ns == 20


def test_a_stream_is_whole_with_a_finish_reason_alone():
    assert decode(*stream(True, True)[:-1]).output == WHOLE
    unended = b"".join(stream(True, True)[:-1]).rstrip()
    assert decode(unended).output == WHOLE, "the empty line behind the last event is missing"


def test_eos_alone_is_an_answer():
    got = decode(document("", [2], 1, {"type": "stop"}), adapter=ADAPTER)
    assert (list(got.output_ids or ()), got.tokens) == ([2], 1)
    assert list(decode(event("", [2], 1, {"type": "stop"}), DONE).first_ids or ()) == [2]
    assert decode(document("", None, 1, {"type": "stop"}), adapter=ADAPTER).output_ids is None


@pytest.mark.parametrize(
    ("body", "reason", "detail"),
    [
        (b"", "empty", "no body"),
        (b" \n", "empty", "no body"),
        (document("", [], 0, {"type": "stop"}), "empty", "finish_reason: stop"),
        (b'{"text": ""}', "empty", "finish_reason: none"),
        (b'{"text": 5}', "empty", "finish_reason: none"),
        (b"<html>", "malformed", "the reply"),
        (document("a", [1], 1, None), "truncated", "without finishing"),
        (b'{"detail": "worker died"}', "server_error", "worker died"),
        (b'{"error": {"message": "overloaded"}}', "server_error", "overloaded"),
        (document("a", [1], 1, {"type": "abort", "message": "out of memory"}), "server_error", "out of memory"),
        (document("a", [1], 1, "abort"), "server_error", "finish_reason: abort"),
    ],
)
def test_what_is_no_answer_is_refused_with_its_reason(body, reason, detail):
    found = refusal(body, adapter=ADAPTER)
    assert found[0] == reason
    assert detail in found[1]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (DONE, "empty"),
        (event("", [], 0, {"type": "stop"}) + DONE, "empty"),
        (event("a", [1], 1), "truncated"),
        (event("a", [1], 1) + DONE, "truncated"),
        (event("a", [1], 1) + event("a b", [1, 2], 2, {"type": "stop"})[:40], "truncated"),
        (event("a", [1], 1) + b'data: {"error": {"message": "x"}}\n\n', "server_error"),
        (event("a", [1], 1) + b'data: {"error": {"message": "x"}}', "server_error"),
        (event("a", [1], 1, {"type": "abort"}) + DONE, "server_error"),
        (b"data: nonsense\n\n", "malformed"),
        (b"<html>no stream</html>", "malformed"),
    ],
)
def test_what_is_no_stream_is_refused_with_its_reason(body, reason):
    assert refusal(body)[0] == reason


def test_nothing_after_the_end_counts():
    assert decode(*stream(True, True), event("other", [1], 1)).output == WHOLE
