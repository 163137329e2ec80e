"""Requests and replies of /v1/responses, in the dialects of vLLM, llama.cpp, transformers and OpenAI."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply, digest
from pytest_mlperf_audit.endpoints.text.openai_responses import OpenAIResponsesAdapter
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit

PARAMS = ModelParams(name="llama", max_new_tokens=8)
ADAPTER = OpenAIResponsesAdapter(PARAMS)
USAGE = {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15, "input_tokens_details": {"cached_tokens": 4}}
LOOK = {"type": "function_call", "id": "fc_1", "call_id": "call_9", "name": "look", "arguments": '{"at":"sky"}'}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}


def sent(row: dict[str, Any], edit: Edit = NO_EDIT, adapter: OpenAIResponsesAdapter = ADAPTER) -> dict[str, Any]:
    assert adapter.problem(row) is None
    body: dict[str, Any] = json.loads(adapter.encode(row, edit))
    return body


def message(text: str, item: str = "msg_1") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": item, "role": "assistant", "status": "completed", "content": [part]}


def response(*items: Any, status: str | None = "completed", **fields: Any) -> dict[str, Any]:
    whole = {"id": "resp_1", "object": "response", "model": "llama", "error": None, "output": list(items)}
    return {**whole, "status": status, "usage": USAGE, **fields}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def told(*pieces: str) -> list[dict[str, Any]]:
    """Return the events of a text that llama.cpp sends: no numbers, every copy."""
    text = "".join(pieces)
    of = {"item_id": "msg_1"}
    return [
        event("output_item.added", item={**message(""), "content": [], "status": "in_progress"}),
        event("content_part.added", **of, part={"type": "output_text", "text": ""}),
        *(event("output_text.delta", **of, delta=piece) for piece in pieces),
        event("output_text.done", **of, text=text),
        event("content_part.done", **of, part={"type": "output_text", "text": text}),
        event("output_item.done", item=message(text)),
    ]


HEAD = [
    event("created", response={"id": "resp_1", "object": "response", "status": "in_progress"}),
    event("in_progress", response={"id": "resp_1", "object": "response", "status": "in_progress"}),
]


def end(*items: dict[str, Any], kind: str = "completed", **fields: Any) -> dict[str, Any]:
    return event(kind, response=response(*items, **fields))


def numbered(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events as OpenAI, vLLM and transformers number them."""
    of = {"output_index": 0, "content_index": 0}
    return [
        {**(of if "item" in str(one["type"]) else {}), **one, "sequence_number": at} for at, one in enumerate(events)
    ]


def wire(events: list[dict[str, Any]], *, named: bool = True) -> bytes:
    lines = (f"event: {one.get('type')}\n" * named + f"data: {json.dumps(one)}\n\n" for one in events)
    return "".join(lines).encode()


def decode(*pieces: bytes, streaming: bool = True) -> Reply:
    """Feed pieces, the first at 10 ns, the next at 20 ns, and so on."""
    decoder = OpenAIResponsesAdapter(PARAMS, streaming=streaming).decoder(keep_output=True)
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
    assert len(caught.value.detail) <= 200
    return caught.value.reason, caught.value.detail


def test_a_prompt_is_a_text_and_stream_is_always_said():
    assert sent({"prompt": "hi"}) == {"input": "hi", "stream": False, "model": "llama", "max_output_tokens": 8}
    assert sent({"prompt": "hi"}, adapter=OpenAIResponsesAdapter(PARAMS, streaming=True))["stream"] is True


@pytest.mark.parametrize("row", [{"prompt": "hi", "system": "Be brief."}, {"input": "hi", "instructions": "Be brief."}])
def test_instructions(row):
    body = sent(row)
    assert (body["input"], body["instructions"]) == ("hi", "Be brief.")


def test_messages_and_items_become_input():
    chat = [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert sent({"messages": chat})["input"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
    ]
    items = [{"role": "user", "content": "a"}, THOUGHT, {"role": "assistant", "content": "b"}, *chat[1:]]
    assert sent({"input": items})["input"][:3] == items[:3]


def test_an_image_of_a_chat_message():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}
    (item,) = sent({"prompt": [image, {"type": "text", "text": "what?"}]})["input"]
    assert item["content"] == [
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
        {"type": "input_text", "text": "what?"},
    ]


def test_an_edit_changes_instructions_by_its_lead_and_the_last_message_by_the_rest():
    edit = Edit(lead="L", head="H", tail="T")
    body = sent({"input": "hi", "instructions": "Be brief."}, edit)
    assert (body["instructions"], body["input"]) == ("L Be brief.", "H hi T")
    assert sent({"input": "hi"}, edit)["input"] == "L H hi T"
    items = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    assert [one["content"] for one in sent({"input": items}, edit)["input"]] == ["L a", "b", "H c T"]
    no_text = [{"role": "user", "content": [{"type": "input_image", "image_url": "http://x/i.png"}]}]
    (item,) = sent({"input": no_text}, edit)["input"]
    assert item["content"][0] == {"type": "input_text", "text": "L H T"}


def test_columns_override_model_params_under_each_name_of_the_limit():
    row = {"prompt": "p", "temperature": "0.5", "model": "other", "reasoning": {"effort": "low"}, "answer": "42"}
    body = sent({**row, "max_tokens": 4})
    assert (body["temperature"], body["model"], body["reasoning"]) == (0.5, "other", {"effort": "low"})
    assert body["max_output_tokens"] == 4
    assert not {"answer", "max_tokens", "prompt"} & body.keys()
    assert not {"text", "reasoning"} & sent({"prompt": "p", "text": "of a book", "reasoning": "2 + 2"}).keys()
    assert sent({"prompt": "p"}, Edit(max_tokens=2))["max_output_tokens"] == 2
    assert ADAPTER.token_limit({"prompt": "p", "max_completion_tokens": 3}) == 3
    assert ADAPTER.token_limit({"prompt": "p"}) == 8


def test_words_are_counted_where_the_prompt_is():
    assert ADAPTER.n_words({"input": "a b c", "prompt": "x"}) == 3
    assert ADAPTER.n_words({"input": [{"role": "user", "content": [{"type": "input_text", "text": "a b"}]}]}) == 2
    assert ADAPTER.n_words({"prompt": "x y"}) == 2


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({}, "no text in column 'prompt'"),
        ({"input": " "}, "no text in column 'input'"),
        ({"input": {"a": 1}}, "column 'input' is neither a text nor a list of items"),
        ({"input": [{"role": "system", "content": "x"}]}, "column 'input' has no message with the role 'user'"),
        ({"prompt": "p", "stream": True}, "column 'stream' cannot be set by a row"),
        ({"prompt": "p", "temprature": 1}, "did you mean 'temperature'?"),
        ({"prompt": "p", "max_output_tokens": "many"}, "column 'max_output_tokens'"),
        ({"prompt": "p", "system": "a", "instructions": "b"}, "leave one out"),
        ({"messages": [{"role": "tool", "content": "x"}, {"role": "user", "content": "y"}]}, "calls of tools"),
    ],
)
def test_rows_that_cannot_be_sent(row, says):
    assert says in (ADAPTER.problem(row) or "")


def test_a_document():
    assert document(**response(message("It is."))) == Reply(
        digest=digest(b"It is."),
        id="resp_1",
        model="llama",
        output="It is.",
        tokens=3,
        prompt_tokens=12,
        cached_tokens=4,
        finish_reason="stop",
    )


@pytest.mark.parametrize(
    "dialect",
    [wire, lambda events: wire(numbered(events)), lambda events: wire(numbered(events), named=False)],
    ids=["llama.cpp", "vllm", "transformers"],
)
def test_a_text_that_comes_five_times_is_counted_once(dialect):
    events = [*HEAD, *told("It ", "is."), end(message("It is."))]
    assert decode(dialect(events)) == Reply(
        digest=digest(b"It is."),
        id="resp_1",
        model="llama",
        output="It is.",
        tokens=3,
        prompt_tokens=12,
        cached_tokens=4,
        finish_reason="stop",
        first_token_ns=10,
        first_text="It ",
    )


def test_the_first_token_is_the_first_delta_that_has_any():
    events = [*HEAD, *told("", "It ", "is."), end(message("It is."))]
    assert streamed(events).first_token_ns == 10 * (1 + [one.get("delta") for one in events].index("It "))


def test_a_stream_is_the_same_wherever_it_is_cut():
    body = wire([*HEAD, *told("hé", "llo"), end(message("héllo"))])
    assert {decode(body[:cut], body[cut:]).digest for cut in range(0, len(body), 7)} == {digest("héllo".encode())}


def test_vllm_says_incomplete_in_its_event_completed():
    cut: dict[str, Any] = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    for kind in ("completed", "incomplete"):
        assert streamed([*HEAD, *told("It"), end(message("It"), kind=kind, **cut)]).finish_reason == "length"
    assert document(**response(message("It"), **cut)).finish_reason == "length"


def test_what_has_no_deltas_is_read_from_the_first_event_that_has_it():
    events = [*HEAD, event("output_text.done", text="It is."), end(message("It is."))]
    assert (streamed(events).output, streamed(events).first_token_ns) == ("It is.", 30)
    reply = streamed([*HEAD, end(THOUGHT, message("It is."))])
    assert (reply.output, reply.text, reply.first_token_ns) == ("It is.", "Hm.It is.", 30)


@pytest.mark.parametrize("where", ["output_text.done", "content_part.done", "output_item.done", "completed"])
def test_copies_of_a_text_that_differ_are_no_reply(where):
    events = [*HEAD, *told("It ", "is."), end(message("It is."))]
    at = [one["type"] for one in events].index(f"response.{where}")
    events[at] = json.loads(json.dumps(events[at]).replace("It is.", "It was."))
    reason, detail = refusal(wire(events))
    assert reason == "malformed"
    assert detail == f"the text that response.output_text.delta brought is another than that of response.{where}"


def test_white_space_is_no_contradiction():
    assert streamed([*HEAD, *told(" It ", "is. "), end(message("It is."))]).output == " It is. "


def test_thoughts_and_calls_are_output():
    of = {"item_id": "fc_1", "output_index": 1}
    events = [
        *HEAD,
        event("reasoning_text.delta", delta="H"),
        event("reasoning_text.delta", delta="m."),
        event("reasoning_text.done", text="Hm."),
        event("reasoning_summary_text.delta", delta="Hm"),
        event("output_item.done", item=THOUGHT, output_index=0),
        event("output_item.added", item={**LOOK, "arguments": ""}, output_index=1),
        event("function_call_arguments.delta", **of, delta='{"at":'),
        event("function_call_arguments.delta", **of, delta='"sky"}'),
        event("function_call_arguments.done", **of, arguments=LOOK["arguments"], name="look"),
        event("output_item.done", item=LOOK, output_index=1),
        end(THOUGHT, LOOK),
    ]
    reply = streamed(events)
    whole = document(**response(THOUGHT, LOOK))
    assert (reply.digest, reply.output, reply.text) == (whole.digest, whole.output, whole.text)
    assert reply.output == 'look{"at":"sky"}'
    assert reply.first_token_ns == 30
    assert reply.message is not None
    assert whole.message is not None
    assert reply.message.tool_calls == whole.message.tool_calls
    assert reply.message.reasoning == "Hm."


def test_calls_without_numbers_are_told_apart_by_their_ids():
    def calling(item: str, name: str) -> list[dict[str, Any]]:
        call = {"type": "function_call", "id": item, "call_id": item, "name": name, "arguments": ""}
        return [
            event("output_item.added", item=call),
            event("function_call_arguments.delta", item_id=item, delta="{}"),
            event("output_item.done", item={**call, "arguments": "{}"}),
        ]

    reply = streamed([*HEAD, *calling("fc_a", "one"), *calling("fc_b", "two"), end()])
    assert reply.message is not None
    assert [(call.name, call.arguments) for call in reply.message.tool_calls] == [("one", "{}"), ("two", "{}")]


def test_a_refusal_is_output():
    refused = {**message(""), "content": [{"type": "refusal", "refusal": "No."}]}
    assert document(**response(refused)).output == "No."
    assert streamed([*HEAD, event("refusal.delta", delta="No."), end(refused)]).output == "No."


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([*HEAD, *told("It is.")], "truncated"),
        ([*HEAD], "truncated"),
        ([*HEAD, end()], None),
        ([*HEAD, end(usage=None)], "empty"),
        (
            [*HEAD, *told("It"), event("failed", response={"status": "failed", "error": {"message": "boom"}})],
            "server_error",
        ),
        ([*HEAD, *told("It"), {"type": "error", "code": "server_error", "message": "boom"}], "server_error"),
        ([*HEAD, *told("It"), end(message("It"), status="cancelled")], "server_error"),
        ([*HEAD, *told("It"), end(message("It"), error={"message": "boom"})], "server_error"),
        ([*HEAD, *told("It"), end(message("It"), status="in_progress")], "truncated"),
        ([{"error": "boom"}], "server_error"),
    ],
)
def test_ends_of_a_stream(events, reason):
    if reason is None:
        assert streamed(events).tokens == 3, "a model may end at once: tokens are counted, and none has a text"
    else:
        assert refusal(wire(events))[0] == reason


@pytest.mark.parametrize("named", [True, False])
def test_the_words_of_a_failure_are_quoted_and_a_failed_tool_is_none(named):
    failed = event("failed", response={"id": "r", "status": "failed", "error": {"code": "x", "message": "boom"}})
    assert refusal(wire([*HEAD, *told("It"), failed], named=named)) == ("server_error", "boom")
    tool = event("mcp_call.failed", item_id="mcp_1", output_index=0)
    assert decode(wire([*HEAD, tool, *told("It"), end(message("It"))], named=named)).output == "It"
    odd = {"type": "error", "code": "server_error", "message": "boom"}
    assert refusal(wire([*HEAD, odd], named=named)) == ("server_error", "boom")


def test_done_is_no_end_of_a_response():
    assert refusal(wire([*HEAD, *told("It is.")]) + b"data: [DONE]\n\n")[0] == "truncated"
    assert decode(wire([*HEAD, *told("It"), end(message("It"))]) + b"data: [DONE]\n\n").output == "It"


def test_a_document_in_place_of_a_stream_is_read():
    reply = decode(json.dumps(response(message("It is."))).encode())
    assert (reply.output, reply.first_token_ns) == ("It is.", None)


@pytest.mark.parametrize(
    ("fields", "reason", "says"),
    [
        ({"error": "Unauthorized"}, "server_error", "Unauthorized"),
        ({"error": {"message": "no such model"}}, "server_error", "no such model"),
        ({"detail": "Unexpected fields"}, "server_error", "Unexpected fields"),
        (response(status="failed", error={"code": "x", "message": "boom"}), "server_error", "boom"),
        (response(status="failed"), "server_error", "status: failed"),
        (response(status="queued"), "truncated", "the response is not over; its status is queued"),
        (response(usage=None), "empty", "the reply has no output (finish_reason: stop)"),
        ({"id": "r", "object": "response"}, "malformed", "the reply has no list `output`"),
        ({"id": "c", "choices": [{"message": {"content": "x"}}]}, "malformed", "the reply has no list `output`"),
    ],
)
def test_documents_that_are_no_answer(fields, reason, says):
    assert refusal(json.dumps(fields).encode(), streaming=False) == (reason, says)


def test_members_of_other_types_hurt_nobody():
    odd = response(message("It"), status=None, usage={"input_tokens": "12", "output_tokens": None}, model=["m"], id=7)
    reply = document(**odd)
    assert (reply.output, reply.prompt_tokens, reply.tokens, reply.finish_reason) == ("It", 12, None, None)
    assert document(**response({**message(""), "content": "It"})).output == "It"
    assert document(**response("x", None, message("It \ud800"))).output == "It \ufffd"
