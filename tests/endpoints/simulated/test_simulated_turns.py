"""Responses and Messages of the simulated endpoint: whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_mlperf_audit.endpoints.simulated.formats.contract import BadRequestError
from tests.support.simulated_formats import ask_of, reply_to, sent

RESPONSES: dict[str, Any] = {"model": "m", "input": "a red kite"}
MESSAGES: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a red kite"}]}
ASKED = {"responses": RESPONSES, "messages": MESSAGES}
PATHS = {"responses": "/v1/responses", "messages": "/v1/messages"}


def events(name: str, **config: Any) -> list[dict[str, Any]]:
    """Return the events of a streamed reply, each of which says its name in both its lines."""
    body = reply_to(name, {**ASKED[name], "stream": True}, **config)
    assert body.media_type == "text/event-stream"
    assert b"[DONE]" not in body.content
    found = []
    for text in body.content.decode().split("\n\n")[:-1]:
        line, data = text.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert line == f"event: {found[-1]['type']}"
    return found


def test_a_response():
    document = json.loads(reply_to("responses", RESPONSES).content)
    (item,) = document["output"]
    (part,) = item["content"]
    assert (part["type"], part["text"]) == ("output_text", "fjord heron")
    assert (document["id"], document["object"], document["status"]) == ("resp_ID", "response", "completed")
    assert document["parallel_tool_calls"], "OpenAI's own client refuses a response without what it says of tools"
    assert (document["tool_choice"], document["tools"]) == ("auto", [])
    assert document["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    }


def test_a_streamed_response_says_its_text_four_times():
    found = events("responses")
    assert [one["type"].removeprefix("response.") for one in found] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [one["sequence_number"] for one in found] == list(range(10))
    whole = json.loads(reply_to("responses", RESPONSES).content)
    assert found[-1]["response"] == whole
    assert "".join(one["delta"] for one in found[4:6]) == found[6]["text"] == found[7]["part"]["text"]
    assert found[8]["item"] == whole["output"][0]
    assert found[0]["response"]["usage"] is None


def test_the_input_of_a_response_may_be_a_conversation():
    said = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "two"}]},
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "three"}, {"type": "input_image", "image_url": "x"}],
        },
        {"type": "function_call_output", "output": "?"},
    ]
    ask = ask_of("responses", {"input": said, "instructions": "be brief"})
    assert (ask.prompt, ask.question) == ("be brief one two three", "three")
    assert ask_of("responses", RESPONSES).question == "a red kite"


def test_a_message():
    assert json.loads(reply_to("messages", MESSAGES).content) == {
        "id": "chatcmpl-ID",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "fjord heron"}],
        "model": "m",
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 2, "output_tokens": 2, "cache_read_input_tokens": 1},
    }


def test_a_streamed_message():
    found = events("messages")
    assert [one["type"] for one in found] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert "".join(one["delta"]["text"] for one in found[2:4]) == "fjord heron"
    assert found[0]["message"]["usage"] == {"input_tokens": 2, "output_tokens": 0, "cache_read_input_tokens": 1}
    assert found[5]["usage"] == {"input_tokens": 2, "output_tokens": 2, "cache_read_input_tokens": 1}
    assert found[5]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}


def test_the_system_prompt_is_read_first():
    system = [{"type": "text", "text": "be"}, {"type": "text", "text": "brief"}]
    ask = ask_of("messages", {**MESSAGES, "system": system})
    assert (ask.prompt, ask.question) == ("be brief a red kite", "a red kite")


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize(
    ("dishonest", "n_pieces"), [("wrong_first_token", 3), ("double_eos", 4), ("truncated", 1), ("skipped_empty", 0)]
)
def test_dishonesty_shows_in_streams(name, dishonest, n_pieces):
    deltas = [
        one
        for one in events(name, dishonest=dishonest)
        if one["type"].endswith(".delta") or "_block_delta" in one["type"]
    ]
    assert len(deltas) == n_pieces
    if dishonest == "wrong_first_token":
        assert "Well" in str(deltas[0])


@pytest.mark.parametrize("name", ASKED)
def test_a_cache_replays_a_stream(name):
    body = json.dumps({**ASKED[name], "stream": True}).encode()
    (first, replayed), stats = sent(("POST", PATHS[name], body), ("POST", PATHS[name], body), cache="exact")
    assert first.body == replayed.body
    assert first.headers["Content-Type"] == replayed.headers["Content-Type"] == "text/event-stream"
    assert (stats["computed"], stats["cache_hits"]) == (1, 1)


@pytest.mark.parametrize("name", ASKED)
def test_prefix_reuse_is_reported(name):
    said = "one two three four five six seven eight nine"
    document = {"input": said, "max_tokens": 1, "messages": [{"role": "user", "content": said}]}
    body = json.dumps(document).encode()
    (_first, again), _stats = sent(("POST", PATHS[name], body), ("POST", PATHS[name], body), cache="prefix")
    usage = again.json()["usage"]
    if name == "messages":
        assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (1, 8)
    else:
        assert (usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"]) == (9, 8)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("responses", {"input": ""}),
        ("responses", {"input": []}),
        ("responses", {"input": 5}),
        ("responses", {"input": [{"type": "input_image"}]}),
        ("messages", {"messages": []}),
        ("messages", {"messages": "x"}),
        ("messages", {"max_tokens": 0}),
        ("messages", {"max_tokens": None}),
    ],
)
def test_what_asks_nothing_is_refused(name, changes):
    with pytest.raises(BadRequestError):
        ask_of(name, {**ASKED[name], **changes})


def test_errors_of_messages_are_in_their_own_form():
    (missing,), _stats = sent(("POST", "/v1/messages", b'{"messages": []}'))
    assert missing.status == 400
    assert missing.json()["type"] == "error"
    assert missing.json()["error"]["type"] == "invalid_request_error"
    (failed,), _stats = sent(("POST", "/v1/messages", json.dumps(MESSAGES).encode()), error_rate=1.0)
    assert (failed.status, failed.json()["error"]["type"]) == (500, "server_error")
