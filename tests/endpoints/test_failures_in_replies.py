"""A failure inside a reply with status 200 is a failure, whatever its shape, API and way of sending."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints import failures
from pytest_mlperf_audit.endpoints.base import BadReplyError, EndpointAdapter, Reply
from pytest_mlperf_audit.endpoints.failures import error_text, failure
from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter, OpenAICompletionsAdapter
from pytest_mlperf_audit.endpoints.text.sglang import SGLangAdapter

DONE = b"data: [DONE]\n\n"
KINDS: list[type[EndpointAdapter]] = [OpenAIChatAdapter, OpenAICompletionsAdapter, SGLangAdapter]
SAID = "worker 3 died"

FAILURES: list[dict[str, Any]] = [
    {"error": SAID},
    {"error": {"message": SAID, "code": 500}},
    {"error": {"error": {"message": SAID}}},
    {"error": {"detail": SAID}, "choices": []},
    {"errors": [{"message": SAID}]},
    {"error_code": 50001, "text": SAID},
    {"error_code": 336003, "error_msg": SAID},
    {"detail": SAID},
    {"detail": [{"msg": SAID, "loc": ["body"]}]},
    {"message": SAID, "code": 500},
    {"message": SAID, "code": "InternalError", "request_id": "r"},
    {"msg": SAID, "status": "failed"},
    {"object": "error", "message": SAID},
    {"type": "error", "message": SAID},
    {"title": SAID, "status": 503},
    {"success": False, "message": SAID},
    {"choices": None, "base_resp": {"status_code": 1013, "status_msg": SAID}},
    {"message": SAID},
]
HARMLESS: list[dict[str, Any]] = [
    {},
    {"type": "ping"},
    {"error": None},
    {"error": {}, "errors": []},
    {"error": {"code": 0, "message": ""}},
    {"error_code": 0},
    {"code": 200, "message": "success"},
    {"success": True, "status": "ok"},
    {"base_resp": {"status_code": 0, "status_msg": ""}},
    {"message": "prefill is done"},
]


def part(kind: type[EndpointAdapter], text: str, finish: str | None = None, **more: Any) -> dict[str, Any]:
    if kind is SGLangAdapter:
        return {"text": text, "meta_info": {"id": "c", "finish_reason": finish and {"type": finish}}, **more}
    said = {"text": text} if kind is OpenAICompletionsAdapter else {"delta": {"content": text}}
    return {"id": "c", "choices": [{"index": 0, **said, "finish_reason": finish}], **more}


def event(said: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def adapter_of(kind: type[EndpointAdapter], *, streaming: bool = True) -> EndpointAdapter:
    return kind(ModelParams(name="m"), streaming=streaming)


def read(adapter: EndpointAdapter, *pieces: bytes) -> Reply:
    decoder = adapter.decoder(keep_output=True)
    for piece in pieces:
        decoder.feed(piece, 1)
    return decoder.finish()


def refused(adapter: EndpointAdapter, *pieces: bytes) -> BadReplyError:
    with pytest.raises(BadReplyError) as caught:
        read(adapter, *pieces)
    return caught.value


@pytest.mark.parametrize("said", FAILURES, ids=json.dumps)
@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_in_a_stream(kind, said):
    for before in ([], [event(part(kind, "Hello"))]):
        for after in ([DONE], []) if said.keys() != {"message"} else ([DONE],):  # a remark is judged by what follows
            found = refused(adapter_of(kind), *before, event(said), *after)
            assert (found.reason, SAID in found.detail) == ("server_error", True)


@pytest.mark.parametrize("said", FAILURES, ids=json.dumps)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streaming", [True, False])
def test_a_failure_as_a_document(kind, said, streaming):
    found = refused(adapter_of(kind, streaming=streaming), json.dumps(said).encode())
    assert (found.reason, SAID in found.detail) == ("server_error", True)


@pytest.mark.parametrize("said", FAILURES[:-1], ids=json.dumps)
@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_behind_the_end_of_the_output(kind, said):
    assert refused(adapter_of(kind), event(part(kind, "Hi", "stop")), event(said), DONE).reason == "server_error"


@pytest.mark.parametrize("said", HARMLESS, ids=json.dumps)
@pytest.mark.parametrize("kind", KINDS)
def test_what_only_resembles_a_failure(kind, said):
    assert read(adapter_of(kind), event(said), event(part(kind, "Hi", "stop")), DONE).output == "Hi"
    assert read(adapter_of(kind), event({**part(kind, "Hi", "stop"), **said}), DONE).output == "Hi"


@pytest.mark.parametrize(
    "piece",
    [
        b'event: error\ndata: {"message": "worker 3 died"}\n\n',
        b"event:error\ndata:worker 3 died\n\n",
        b"event: worker 3 died: exception\n\n",
        b'error: {"code":500,"message":"worker 3 died"}\n\n',
        b'{"error": "worker 3 died"}\n',
        b'event: stream_error\r\ndata: {"text": "worker 3 died"}\r\n\r\n',
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_by_its_place_in_the_stream(kind, piece):
    for finish in (None, "stop"):
        found = refused(adapter_of(kind), event(part(kind, "Hello", finish)), piece, DONE)
        assert (found.reason, SAID in found.detail) == ("server_error", True)


@pytest.mark.parametrize("finish", ["error", "Aborted", "network_error", "insufficient_system_resource", "timeout"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_finish_reason_of_a_failure(kind, finish):
    found = refused(adapter_of(kind), event(part(kind, "Hello", finish)), DONE)
    assert (found.reason, finish in found.detail) == ("server_error", True)


def test_an_error_in_any_choice():
    whole = part(OpenAIChatAdapter, "Hi", "stop")
    for other in ({"index": 1, "error": {"message": SAID}}, {"index": 1, "finish_reason": "error"}):
        found = refused(adapter_of(OpenAIChatAdapter), event({**whole, "choices": [*whole["choices"], other]}), DONE)
        assert found.reason == "server_error"


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_stream_without_a_finish_reason_where_others_have_one(kind):
    adapter = adapter_of(kind)
    broken = [event(part(kind, "Hello")), DONE]
    assert read(adapter, *broken).finish_reason is None, "of such a server nothing is known"
    assert read(adapter, event(part(kind, "Hello", "stop")), DONE).finish_reason == "stop"
    assert refused(adapter, *broken).reason == "truncated"
    asking = adapter.with_token_ids()
    assert asking is not None
    assert refused(asking, *broken).reason == "truncated", "of all phases"
    counted = event({"choices": [], "usage": {"completion_tokens": 1}})
    assert read(adapter, broken[0], counted, DONE).tokens == 1, "who counted the tokens was done"
    counting = event(part(kind, "Hello", usage={"completion_tokens": 1}))
    assert refused(adapter, counting, DONE).reason == "truncated", "a count in each chunk says nothing"


def test_sglang_that_stops_without_finishing():
    for streaming, end in ((True, DONE), (False, b"")):
        said = part(SGLangAdapter, "Hello")
        body = event(said) if streaming else json.dumps(said).encode()
        assert refused(adapter_of(SGLangAdapter, streaming=streaming), body, end).reason == "truncated"
    adapter = adapter_of(SGLangAdapter, streaming=False)
    assert read(adapter, b'{"text": "Hello"}').output == "Hello"
    assert read(adapter, json.dumps(part(SGLangAdapter, "Hello", "stop")).encode()).output == "Hello"
    assert refused(adapter, b'{"text": "Hello"}').reason == "truncated"


@pytest.mark.parametrize("shown", ["\\u0000", "\\u202e", "\\ud800", "\\u0007\\r\\n"])
def test_a_failure_whose_words_cannot_be_shown_is_told_all_the_same(shown):
    decoder = OpenAIChatAdapter(ModelParams(name="m")).decoder()
    decoder.feed(b'{"error": "%b"}' % shown.encode(), 0)
    with pytest.raises(BadReplyError, match="the reply says nothing that can be shown") as caught:
        decoder.finish()
    assert caught.value.reason == "server_error"


def test_what_an_error_says():
    deep: Any = "bottom"
    for _ in range(1000):
        deep = {"error": deep}
    assert error_text(deep) == "an error object without a message"
    assert error_text({"x": 1}) == "an error object without a message"
    assert failure({"error": True, "message": SAID}, answers=False) == SAID
    assert failure({"status": "completed", "message": "done"}, answers=True) is None


MEMBERS = [*failures._ERRORS, *failures._CODES]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("member", [*MEMBERS, "type", "object"])
def test_each_member_that_says_error_counts_beside_an_answer(kind, streaming, member):
    value: Any = "Error" if member in {"type", "object"} else 500 if member in failures._CODES else SAID
    said = part(kind, "Hello", "stop", **{member: value})
    if streaming:
        error = refused(adapter_of(kind), event(part(kind, "Hel")), event(said), DONE)
    else:
        choice = {"index": 0, "text": "Hello", "message": {"content": "Hello"}, "finish_reason": "stop"}
        whole = said if kind is SGLangAdapter else {**said, "choices": [choice]}
        error = refused(adapter_of(kind, streaming=False), json.dumps(whole).encode())
    assert error.reason == "server_error"


@pytest.mark.parametrize("place", ["choice", "message"])
@pytest.mark.parametrize("member", MEMBERS)
def test_and_within_it(place, member):
    choice: dict[str, Any] = {"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}
    (choice if place == "choice" else choice["message"])[member] = 7 if member in failures._CODES else SAID
    reply = json.dumps({"id": "c", "choices": [choice]}).encode()
    assert refused(adapter_of(OpenAIChatAdapter, streaming=False), reply).reason == "server_error"


@pytest.mark.parametrize("member", MEMBERS)
def test_and_beside_a_video(member):
    adapter = VideoGenAdapter(ModelParams(name="m"))
    reply = {"video_path": "/1.mp4", member: 7 if member in failures._CODES else SAID}
    assert refused(adapter, json.dumps(reply).encode()).reason == "server_error"
    assert read(adapter, json.dumps({"video_path": "/default/1.mp4", member: None}).encode()).digest
