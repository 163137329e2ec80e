"""Requests and replies of /v1/messages, in the dialects of Anthropic, vLLM, llama.cpp and LiteLLM."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply, digest
from pytest_mlperf_audit.endpoints.text.anthropic import AnthropicAdapter
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit

PARAMS = ModelParams(name="llama", max_new_tokens=8)
ADAPTER = AnthropicAdapter(PARAMS)
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
LOOK = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "sky"}}


def sent(row: dict[str, Any], edit: Edit = NO_EDIT, adapter: AnthropicAdapter = ADAPTER) -> dict[str, Any]:
    assert adapter.problem(row) is None
    body: dict[str, Any] = json.loads(adapter.encode(row, edit))
    return body


def text(of: str) -> dict[str, Any]:
    return {"type": "text", "text": of}


def message(*blocks: Any, stop: str | None = "end_turn", **fields: Any) -> dict[str, Any]:
    whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": "llama", "content": list(blocks)}
    return {**whole, "stop_reason": stop, "usage": {"input_tokens": 12, "output_tokens": 3}, **fields}


def start(**usage: int) -> dict[str, Any]:
    return {"type": "message_start", "message": message(stop=None, usage=usage)}


def begin(block: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(kind: str, index: int = 0, **said: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", **said}}


def ending(stop: str | None = "end_turn", **usage: int) -> list[dict[str, Any]]:
    said = {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage}
    return [{"type": "content_block_stop", "index": 0}, said, {"type": "message_stop"}]


PING = {"type": "ping"}
SAID = [begin(text("")), PING, delta("text", text="It "), delta("text", text="is.")]
STREAM = [start(input_tokens=12, output_tokens=1), *SAID, *ending(output_tokens=3)]


def wire(events: list[dict[str, Any]]) -> bytes:
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events).encode()


def decode(*pieces: bytes, streaming: bool = True) -> Reply:
    """Feed pieces, the first at 10 ns, the next at 20 ns, and so on."""
    decoder = AnthropicAdapter(PARAMS, streaming=streaming).decoder(keep_output=True)
    for at, piece in enumerate(pieces):
        decoder.feed(piece, 10 * (at + 1))
    return decoder.finish()


def document(**fields: Any) -> Reply:
    return decode(json.dumps(fields).encode(), streaming=False)


def streamed(events: list[dict[str, Any]]) -> Reply:
    return decode(*(wire([one]) for one in events))


def refusal(*pieces: bytes, streaming: bool = True) -> tuple[str, str]:
    with pytest.raises(BadReplyError) as caught:
        decode(*pieces, streaming=streaming)
    return caught.value.reason, caught.value.detail


def test_a_prompt_with_a_system():
    assert sent({"prompt": "hi", "system": "Be brief."}) == {
        "messages": [{"role": "user", "content": "hi"}],
        "system": "Be brief.",
        "model": "llama",
        "max_tokens": 8,
    }
    assert sent({"prompt": "hi"}, adapter=AnthropicAdapter(PARAMS, streaming=True))["stream"] is True
    assert AnthropicAdapter.headers["anthropic-version"] == "2023-06-01"


def test_system_messages_at_the_start_are_the_system():
    user = {"role": "user", "content": "hi"}
    body = sent({"messages": [{"role": "system", "content": "s"}, user]})
    assert (body["system"], body["messages"]) == ("s", [user])
    several = [{"role": "system", "content": "s"}, {"role": "developer", "content": [text("d")]}, user]
    assert sent({"messages": several})["system"] == [text("s"), text("d")]
    beside = sent({"messages": [user], "system": "s"})
    assert (beside["system"], beside["messages"]) == ("s", [user])


def test_an_image_of_a_chat_message():
    def part(url: str) -> dict[str, Any]:
        return {"type": "image_url", "image_url": {"url": url}}

    (item,) = sent({"prompt": [part("data:image/png;base64,AA=="), part("http://h/i.png"), text("?")]})["messages"]
    assert item["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        {"type": "image", "source": {"type": "url", "url": "http://h/i.png"}},
        text("?"),
    ]


def test_an_edit_changes_the_system_by_its_lead_and_the_last_message_by_the_rest():
    edit = Edit(lead="L", head="H", tail="T", max_tokens=2)
    body = sent({"prompt": "hi", "system": "Be brief."}, edit)
    assert (body["system"], body["messages"][0]["content"], body["max_tokens"]) == ("L Be brief.", "H hi T", 2)
    assert sent({"prompt": "hi"}, edit)["messages"][0]["content"] == "L H hi T"


def test_columns_override_model_params():
    row = {"prompt": "p", "stop": "x", "top_k": "5", "thinking": {"type": "disabled"}, "answer": "42", "name": "Bob"}
    body = sent({**row, "max_completion_tokens": 4})
    assert (body["stop_sequences"], body["top_k"], body["max_tokens"]) == (["x"], 5, 4)
    assert body["thinking"] == {"type": "disabled"}
    assert body["messages"] == [{"role": "user", "content": "p"}]
    assert not {"answer", "stop", "name", "prompt"} & body.keys()
    assert not {"thinking", "metadata"} & sent({"prompt": "p", "thinking": "2 + 2", "metadata": {"of": 3}}).keys()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({}, "no text in column 'prompt'"),
        ({"prompt": "p", "stream": True}, "column 'stream' cannot be set by a row"),
        ({"prompt": "p", "stop_sequence": "x"}, "did you mean 'stop_sequences'?"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "no message with the role 'user'"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [{}]}]}, "calls of tools"),
    ],
)
def test_rows_that_cannot_be_sent(row, says):
    assert says in (ADAPTER.problem(row) or "")


def test_the_limit_is_required():
    unlimited = AnthropicAdapter(ModelParams(name="m", max_new_tokens=None))
    assert unlimited.problem({"prompt": "p"}) == (
        "no limit on the output, which this API requires; set model_params.max_new_tokens"
    )
    assert sent({"prompt": "p", "max_tokens": 4}, adapter=unlimited)["max_tokens"] == 4


def test_a_document():
    assert document(**message(text("It is."))) == Reply(
        digest=digest(b"It is."),
        id="msg_1",
        model="llama",
        output="It is.",
        tokens=3,
        prompt_tokens=12,
        finish_reason="stop",
    )


def test_a_stream():
    assert streamed(STREAM) == Reply(
        digest=digest(b"It is."),
        id="msg_1",
        model="llama",
        output="It is.",
        tokens=3,
        prompt_tokens=12,
        finish_reason="stop",
        first_token_ns=40,
        first_text="It ",
    )


def test_a_stream_is_the_same_wherever_it_is_cut():
    body = wire(STREAM)
    assert {decode(body[:cut], body[cut:]).digest for cut in range(0, len(body), 7)} == {digest(b"It is.")}


@pytest.mark.parametrize(
    ("first", "last", "prompt", "cached"),
    [
        ({"input_tokens": 12, "output_tokens": 1}, {"output_tokens": 3}, 12, None),
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 12, "output_tokens": 3}, 12, None),
        ({"input_tokens": 12, "output_tokens": 0}, {"input_tokens": 12, "output_tokens": 3}, 12, None),
        ({"input_tokens": 4, "cache_read_input_tokens": 8, "output_tokens": 0}, {"output_tokens": 3}, 12, 8),
        (
            {"input_tokens": 4, "cache_read_input_tokens": 6, "cache_creation_input_tokens": 2, "output_tokens": 1},
            {"input_tokens": 4, "cache_read_input_tokens": 6, "cache_creation_input_tokens": 2, "output_tokens": 3},
            12,
            6,
        ),
    ],
    ids=["anthropic", "litellm", "vllm", "llama.cpp", "all"],
)
def test_tokens_of_the_prompt_are_all_those_that_were_read(first, last, prompt, cached):
    reply = streamed([start(**first), *SAID, *ending(**last)])
    assert (reply.prompt_tokens, reply.cached_tokens, reply.tokens) == (prompt, cached, 3)


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
    ],
)
def test_stop_reasons(stop, reason):
    assert document(**message(text("It"), stop=stop)).finish_reason == reason
    assert streamed([start(), *SAID, *ending(stop, output_tokens=3)]).finish_reason == reason


def test_thoughts_and_calls_are_output():
    events = [
        start(input_tokens=12),
        begin({"type": "thinking", "thinking": ""}),
        delta("thinking", thinking="H"),
        delta("thinking", thinking="m."),
        delta("signature", signature="c2ln"),
        begin({**LOOK, "input": {}}, 1),
        delta("input_json", 1, partial_json=""),
        delta("input_json", 1, partial_json='{"at":'),
        delta("input_json", 1, partial_json='"sky"}'),
        *ending("tool_use", output_tokens=3),
    ]
    reply = streamed(events)
    whole = document(**message(THINKING, LOOK, stop="tool_use"))
    assert (reply.digest, reply.output, reply.text) == (whole.digest, whole.output, whole.text)
    assert (reply.output, reply.text) == ('look{"at":"sky"}', 'Hm.look{"at":"sky"}')
    assert reply.first_token_ns == 30
    assert reply.message is not None
    assert whole.message is not None
    assert reply.message.tool_calls == whole.message.tool_calls


def test_a_thought_that_is_not_shown_is_output():
    assert document(**message({"type": "redacted_thinking", "data": "Zm9v"})).output == "Zm9v"


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (STREAM[:-1], "truncated"),
        (STREAM[:4], "truncated"),
        ([start(), *ending(output_tokens=1)], None),
        ([start(), *ending(output_tokens=0)], "empty"),
        (
            [*STREAM[:4], {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}],
            "server_error",
        ),
        ([{"error": "Unauthorized"} | {"type": "error"}], "server_error"),
    ],
)
def test_ends_of_a_stream(events, reason):
    if reason is None:
        assert streamed(events).tokens == 1, "a model may end at once: tokens are counted, and none has a text"
    else:
        assert refusal(wire(events))[0] == reason


def test_done_is_no_end_of_a_message():
    assert refusal(wire(STREAM[:-1]) + b"data: [DONE]\n\n")[0] == "truncated"


def test_a_document_in_place_of_a_stream_is_read():
    reply = decode(json.dumps(message(text("It is."))).encode())
    assert (reply.output, reply.first_token_ns) == ("It is.", None)


@pytest.mark.parametrize(
    ("fields", "reason", "says"),
    [
        ({"error": "Unauthorized"}, "server_error", "Unauthorized"),
        ({"type": "error", "error": {"type": "not_found_error", "message": "no model"}}, "server_error", "no model"),
        (
            {"error": {"message": "Invalid model", "type": "None", "param": "None", "code": "400"}},
            "server_error",
            "Invalid model",
        ),
        ({"detail": "Not Found"}, "server_error", "Not Found"),
        (message(usage={"output_tokens": 0}), "empty", "the reply has no output (finish_reason: stop)"),
        ({"id": "c", "choices": [{"message": {"content": "x"}}]}, "malformed", "the reply has no list `content`"),
    ],
)
def test_documents_that_are_no_answer(fields, reason, says):
    assert refusal(json.dumps(fields).encode(), streaming=False) == (reason, says)


def test_members_of_other_types_hurt_nobody():
    odd = message("x", None, text("It \ud800"), usage={"input_tokens": "12", "output_tokens": []}, id=7, model=None)
    reply = document(**odd)
    assert (reply.output, reply.prompt_tokens, reply.tokens, reply.id) == ("It \ufffd", 12, None, "7")
    assert document(**{**message(), "content": "It"}).output == "It"
