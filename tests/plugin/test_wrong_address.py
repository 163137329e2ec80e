"""What is wrong with the address, and not with the system: exit status 4, one cause in a few lines, no row sent."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.scripted_server import ANSWER, Server

MODELS = {"data": [{"id": "llama"}, {"id": "qwen"}]}
NO_MODEL = {"error": {"message": "The model `wan22` does not exist", "code": "model_not_found"}}
NO_FIELD = {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}
LOADING = {"error": {"message": "Loading model", "code": 503}}

#: What POST is answered, what GET is, and what the error says.
WRONG: dict[str, tuple[tuple[Any, ...], dict[str, tuple[Any, ...]], str]] = {
    "key": ((401, {"error": {"message": "Incorrect API key"}}), {}, "Incorrect API key.*api_key"),
    "plan": ((403, {"detail": "not in your plan"}), {}, "not in your plan.*api_key"),
    "model": ((404, NO_MODEL), {"/v1/models": (200, MODELS)}, "wan22.*it serves: llama, qwen.*model_params.name"),
    "path": ((404, {"detail": "Not Found"}), {}, "Not Found.*endpoint_config.path"),
    "api": ((404, {"detail": "Not Found"}), {"/generate": (405, b"")}, "/generate is there.*api_type: sglang"),
    "redirect": ((307, b"", {"Location": "/v2/chat"}), {}, "/v2/chat instead; set endpoint_config.path: /v2/chat"),
    "field": ((422, NO_FIELD), {}, "body.seed: Extra inputs.*model_params"),
    "loading": ((503, LOADING), {}, "Loading model.*service_ready_timeout_s"),
    "page": ((200, b"<html>Welcome to nginx!</html>"), {}, "no reply of api_type openai"),
    "crash": ((500, b"boom"), {}, "boom.*server's log"),
}


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_the_address_is_told_at_once(audit, server, case):
    posted, pages, words = WRONG[case]
    server.post = lambda _path, _body: posted
    server.get = lambda path: pages.get(path, (404, {"detail": "Not Found"}))
    audit.config(
        server.url, settings={"timeouts": {"service_ready_timeout_s": 0}}, endpoint_config={"api_type": "openai"}
    )
    result = audit.run()
    assert result.ret == 4
    said = [line for line in result.errlines if line]
    assert len(said) == 1
    assert said[0].startswith(f"ERROR: endpoint {server.url}/v1/chat/completions: ")
    assert re.search(words, said[0])
    assert 1 <= len(server.posts) <= 3
    for _path, body in server.posts:
        assert re.match(r"[0-9a-f]{32} scene \d+$", body["messages"][-1]["content"]), "no row of the data set as it is"
    assert not audit.report().exists() or not list(audit.report().rglob("queries*.jsonl"))


def test_what_is_odd_is_told_and_kept(audit, server):
    server.post = lambda _path, _body: (200, {**ANSWER, "model": "another"})
    audit.config(server.url, endpoint_config={"api_type": "openai"})
    result = audit.run()
    result.stdout.fnmatch_lines(["*warning: replies come from model 'another', not 'wan22'*"])
    assert any("'another'" in warning for warning in audit.verdict()["warnings"])
