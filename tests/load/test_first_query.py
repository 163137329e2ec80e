"""One real query before any phase, against servers that answer it in every way but the right one."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.config.tensors import Tensors
from pytest_mlperf_audit.endpoints.numbers.kserve import KServeAdapter
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.errors import EndpointError
from pytest_mlperf_audit.load import first_query
from pytest_mlperf_audit.load.first_query import ask_first
from pytest_mlperf_audit.load.target import Target
from tests.support.scripted_server import ANSWER

CHAT = "/v1/chat/completions"


@pytest.fixture
def ask(engine, server):
    """Ask the server its first query, as of a YAML with the model and token limit given."""

    def ask(
        *, url=None, path=None, streaming=False, ready_timeout_s=0.0, told=None, keyless=False, adapter=None, **params
    ):
        chat = ModelParams(name="m", max_new_tokens=16, **params)
        engine.adapter = adapter or OpenAIChatAdapter(chat, streaming=streaming)
        target = Target(urls=(url or server.url,), path=path, secrets=() if keyless else ("sk-123456",))
        tell = (told if told is not None else []).append
        return ask_first(engine.source, target, timeout_s=5, ready_timeout_s=ready_timeout_s, tell=tell)

    return ask


def test_an_answer_is_fine_and_no_row_was_sent_as_it_is(ask, server):
    first = ask()
    assert first.warnings == ()
    assert first.latency_s > 0
    [(path, body)] = server.posts
    assert path == CHAT
    words = body["messages"][-1]["content"].split()
    assert len(words[0]) == 32
    assert words[1:] == ["scene", "0"]


BAD_KEY = {"error": {"message": "Incorrect API key provided: sk-123456", "code": "invalid_api_key"}}
REFUSED = {
    "a key": (401, BAD_KEY, "answers 401 to our credentials (Incorrect API key provided: **********); set endpoint_c"),
    "a right": (
        403,
        {"detail": "no such plan"},
        "answers 403 to our credentials (no such plan); set endpoint_config.ap",
    ),
    "a field": (
        422,
        {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "type": "extra"}]},
        "answers 422 to the first query (body.seed: Extra inputs are not permitted); take what it does not know",
    ),
    "a value": (
        400,
        {"error": {"message": "max_tokens is too large"}},
        "answers 400 to the first query (max_tokens is",
    ),
    "a method": (
        405,
        b"<html><title>405 Not Allowed</title></html>",
        "answers 405 to the first query (405 Not Allowed)",
    ),
    "everything": (500, b"boom", "answers 500 to the first query (boom); see the server's log"),
}


def test_a_secret_in_the_path_is_not_shown(ask, server):
    server.post = lambda path, _body: (404, {"detail": f"no {path}"})
    with pytest.raises(EndpointError) as caught:
        ask(url=f"{server.url}/sk-123456")
    assert "sk-123456" not in str(caught.value)
    assert str(caught.value).startswith(f"endpoint {server.url}/**********{CHAT}: answers 404")


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_told_in_a_line(ask, server, case):
    status, said, told = REFUSED[case]
    server.post = lambda _path, _body: (status, said)
    with pytest.raises(EndpointError) as caught:
        ask()
    assert str(caught.value).startswith(f"endpoint {server.url}{CHAT}: {told}")
    assert "\n" not in str(caught.value)


def test_a_path_where_nothing_is(ask, server):
    server.post = lambda _path, _body: (404, {"detail": "Not Found"})
    with pytest.raises(EndpointError, match=r"/nowhere: answers 404 .*Not Found.*set endpoint_config.path to the path"):
        ask(path="/nowhere")
    assert [path for path, _ in server.posts] == ["/nowhere"], "one query tells, and three would not tell more"


def test_another_api_is_named(ask, server):
    server.post = lambda _path, _body: (404, {"detail": "Not Found"})
    server.get = lambda path: (405 if path == "/generate" else 404, {})
    with pytest.raises(EndpointError, match=r"/generate is there: set endpoint_config.api_type: sglang"):
        ask()


def test_an_api_is_not_named_in_its_own_place(ask, server):
    text = {"name": "text", "datatype": "BYTES", "shape": [1], "column": "prompt"}
    server.post = lambda _path, _body: (404, {"detail": "Not Found"})
    server.get = lambda path: (405 if path.endswith("/infer") else 404, {})
    with pytest.raises(EndpointError, match=r"correct endpoint_config.endpoints or api_type \(now kserve_v2\)"):
        ask(adapter=KServeAdapter(ModelParams(name="m", tensors=Tensors(inputs=[text], encoding="json"))))


@pytest.mark.parametrize("base", ["", "/v1", CHAT])
@pytest.mark.parametrize("status", [400, 404])
def test_a_model_that_is_not_served(ask, server, base, status):
    server.post = lambda _path, _body: (status, {"error": {"message": "The model `m` does not exist."}})
    served = {"object": "list", "data": [{"id": "llama"}, {"id": "qwen"}]}
    server.get = lambda path: (200, served) if path == "/v1/models" else (404, {})
    told = rf"answers {status} .*The model `m` does not exist.*; it serves: llama, qwen; correct model_params.name$"
    with pytest.raises(EndpointError, match=told):
        ask(url=server.url + base)


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        ("Server is pinned to 'llama'; requested 'm'.", "correct model_params.name"),  # transformers 5.23 serve
        ("no model m here", "correct model_params.name"),
        ("unknown field top_k of {'model': 'm'}, see the model card", "take what it does not know out of model_params"),
    ],
)
def test_a_server_that_lists_no_models_is_taken_at_its_word(ask, server, words, cure):
    server.post = lambda _path, _body: (400, {"detail": words})
    server.get = lambda _path: (500, {})
    with pytest.raises(EndpointError, match=rf"answers 400 .*; {cure}"):
        ask()


@pytest.mark.parametrize("status", [307, 308, 301])
def test_a_redirect_names_its_target_and_is_not_followed(ask, server, status):
    to = f"{server.url}/new/path"
    server.post = lambda _path, _body: (status, b"", {"Location": f"{to}?key=x"})
    with pytest.raises(
        EndpointError, match=rf"answers {status} .* names {to} instead; set endpoint_config.path: /new/"
    ):
        ask()
    assert len(server.posts) == 1


@pytest.mark.parametrize(
    ("base", "location", "cure"),
    [
        ("", f"{CHAT}/", f"set endpoint_config.path: {CHAT}/; no"),
        ("", f"https://other:8443{CHAT}", "set endpoint_config.endpoints: [https://other:8443]; no"),
        (
            "",
            "https://other/v2/chat",
            "set endpoint_config.endpoints: [https://other] and endpoint_config.path: /v2/chat;",
        ),
        ("/v1", f"{CHAT}/", f"endpoints: [URL] and endpoint_config.path: {CHAT}/; no"),
    ],
)
def test_the_keys_that_name_a_redirects_target(ask, server, base, location, cure):
    server.post = lambda _path, _body: (307, {}, {"Location": location})
    with pytest.raises(EndpointError) as caught:
        ask(url=server.url + base)
    assert cure.replace("URL", server.url) in str(caught.value)
    assert "error object" not in str(caught.value)


@pytest.mark.parametrize("location", ["http://h:99999/x", "http://[bad", "//", "\\\\x", ""])
def test_a_location_that_is_no_url_is_shown_as_it_is(ask, server, location):
    server.post = lambda _path, _body: (307, b"", {"Location": location})
    with pytest.raises(EndpointError, match=r"answers 307 to the first query and names .* instead; "):
        ask()


def test_a_login_in_a_redirect_is_not_shown(ask, server):
    server.post = lambda _path, _body: (307, b"", {"Location": "https://u:passw0rd@other/v2"})
    with pytest.raises(EndpointError, match=r"endpoints: \[https://other\] and") as caught:
        ask()
    assert "passw0rd" not in str(caught.value)


def test_a_model_that_cannot_be_read_is_no_matter(ask, server):
    server.post = lambda _path, _body: (200, json.dumps(ANSWER).replace('"m"', '"\\ud800"').encode())
    ask()


def test_a_server_that_answers_every_get_alike_has_no_other_api(ask, server):
    server.post = lambda _path, _body: (404, {"detail": "Not Found"})
    server.get = lambda _path: (405, b"")
    with pytest.raises(EndpointError, match=r"correct endpoint_config\.endpoints or api_type"):
        ask()


def test_the_first_query_is_not_waited_for_in_silence(ask, server, monkeypatch):
    monkeypatch.setattr(first_query, "_QUIET_S", 0.02)

    def slowly(_path, _body):
        time.sleep(0.1)
        return 200, ANSWER

    server.post = slowly
    told: list[str] = []
    ask(told=told)
    assert told == ["one query is out before the first phase, and its answer is waited for"]


def test_a_query_without_a_key_is_not_called_one_with(ask, server):
    server.post = lambda _path, _body: (401, {"detail": "Missing bearer"})
    with pytest.raises(
        EndpointError, match=r"answers 401 to a query without a key \(Missing bearer\); set endpoint_config"
    ):
        ask(keyless=True)


def test_a_login_is_no_place_for_queries(ask, server):
    server.post = lambda _path, _body: (302, b"", {"Location": "/login"})
    with pytest.raises(EndpointError, match=r"names .*/login instead; see what is there, such as a login"):
        ask()


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        ("body.stream_options: Extra inputs are not permitted", "set model_params.stream_usage: false"),
        ("Unrecognized request argument supplied: 'max_completion_tokens'", "length_field: max_tokens"),
        ("temperature: must be 1", "take temperature out of model_params or the data set's columns, or correct it"),
        ("the prompt is too long", "take what it does not know out"),
    ],
)
def test_the_key_behind_a_refused_field(ask, server, words, cure):
    server.post = lambda _path, _body: (400, {"detail": words})
    with pytest.raises(EndpointError) as caught:
        ask(streaming=True, temperature=0.5, length_field="max_completion_tokens")
    assert cure in str(caught.value)


def test_a_server_that_loads_is_waited_for(ask, server, monkeypatch):
    monkeypatch.setattr(first_query, "_AGAIN_S", 0.01)
    server.post = lambda _path, _body: (
        (503, {"error": {"message": "Loading model"}}) if len(server.posts) < 4 else (200, ANSWER)
    )
    told: list[str] = []
    assert ask(ready_timeout_s=30, told=told).warnings == ()
    assert len(server.posts) == 4
    assert told == ["the endpoint is not ready (http_503: Loading model); waiting for up to 30 s"]


def test_a_server_that_loads_for_ever_is_not(ask, server, monkeypatch):
    monkeypatch.setattr(first_query, "_AGAIN_S", 0.01)
    server.post = lambda _path, _body: (503, {"error": {"message": "Loading model"}})
    with pytest.raises(EndpointError, match=r"answers 503 .*Loading model.*service_ready_timeout_s"):
        ask(ready_timeout_s=0.05)


def test_one_row_that_is_refused_does_not_end_the_run(ask, server):
    server.post = lambda _path, body: (
        (400, {"detail": "too long"}) if body["messages"][-1]["content"].endswith("scene 0") else (200, ANSWER)
    )
    assert ask().latency_s is not None
    assert len(server.posts) == 2


def test_rows_that_fail_in_ways_of_their_own_are_a_warning(ask, server):
    server.post = lambda _path, _body: (499 + len(server.posts), {"detail": "abc"[len(server.posts) - 1]})
    first = ask()
    assert first.latency_s is None
    assert "http_500 (a); http_501 (b); http_502 (c)" in first.warnings[0]


def test_rows_refused_in_other_words_each_end_the_run(ask, server):
    server.post = lambda _path, _body: (500, {"detail": f"request req_{'abc'[len(server.posts) - 1]}"})
    with pytest.raises(EndpointError, match=r"answers 500 to the first query \(request req_a\)"):
        ask()


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"", b'{"choices": []}'])
def test_a_page_that_is_no_reply(ask, server, body):
    server.post = lambda _path, _: (200, body)
    with pytest.raises(EndpointError, match=r"what is no reply of api_type openai: .*correct endpoint_config.api_type"):
        ask()


def test_an_error_under_status_200(ask, server):
    server.post = lambda _path, _body: (200, {"error": {"message": "engine died"}})
    with pytest.raises(EndpointError, match="engine died"):
        ask()


def test_a_coded_reply_is_named_as_such(ask, server):
    server.post = lambda _path, _body: (200, b"\x1b\x00\xf8", {"Content-Encoding": "br"})
    with pytest.raises(EndpointError, match=r"in a coding that was not asked for, br .*switch compression off"):
        ask()


ODD: dict[str, tuple[dict[str, Any], str]] = {
    "another model": ({"model": "m-mini"}, "replies come from model 'm-mini', not 'm' of model_params.name"),
    "too long": ({"usage": {"completion_tokens": 40}}, "the reply has 40 tokens, more than the limit of 16"),
    "cut": (
        {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "length"}]},
        "the reply was cut for its length after 4 tokens, before the limit of 16",
    ),
    "filtered": (
        {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "content_filter"}]},
        "the reply was cut by a content filter",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_is_a_warning(ask, server, case):
    changes, told = ODD[case]
    server.post = lambda _path, _body: (200, {**ANSWER, **changes})
    [warning] = ask().warnings
    assert warning.startswith(told)


def test_a_document_where_a_stream_was_asked_for_is_a_warning(ask):
    [warning] = ask(streaming=True).warnings
    assert warning.startswith("the reply is not streamed, though that was asked for")
