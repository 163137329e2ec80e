"""What every wire format of the simulated endpoint has, and what one may have: a format of the test's own, served."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated import wire
from pytest_mlperf_audit.endpoints.simulated.exchange import Answer, Ask
from pytest_mlperf_audit.endpoints.simulated.formats import binary, load_formats, sse
from pytest_mlperf_audit.endpoints.simulated.formats.contract import (
    BadRequestError,
    Body,
    Format,
    Page,
    Request,
    json_body,
)
from tests.support.simulated_formats import reply_to, sent


def test_every_path_belongs_to_one_format():
    formats = list(wire.FORMATS.values())
    served = [path for one in formats for path in (*one.paths, *(f"GET {page.path}" for page in one.pages))]
    assert len(served) == len(set(served))
    assert all(one.paths for one in formats)
    assert len(wire.FORMATS) == len(load_formats()), "a name is that of one format"


def test_every_path_is_in_the_documentation():
    said = SimulatedConfig.__doc__ or ""
    assert [path for one in wire.FORMATS.values() for path in one.paths if f"`{path}`" not in said] == []


CHAT = {"model": "m", "messages": [{"role": "user", "content": "a red kite"}]}
USAGE = (
    b'"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1}}}'
)
CHUNK = b'data: {"id":"cmpl-ID","object":"text_completion","created":5,"model":"m","choices":[{"index":0,"text":'
EXACT: dict[str, tuple[dict[str, Any], bytes]] = {
    "chat": (
        CHAT,
        b'{"id":"chatcmpl-ID","object":"chat.completion","created":5,"model":"m","choices":[{"index":0,'
        b'"message":{"role":"assistant","content":"fjord heron"},"finish_reason":"stop"}],' + USAGE,
    ),
    "completions": (
        {"model": "m", "prompt": "a red kite", "return_token_ids": True},
        b'{"id":"cmpl-ID","object":"text_completion","created":5,"model":"m","choices":[{"index":0,'
        b'"text":"fjord heron","finish_reason":"stop","token_ids":[15,37]}],' + USAGE,
    ),
    "completions-streamed": (
        {"model": "m", "prompt": "a red kite", "stream": True},
        CHUNK
        + b'"","finish_reason":null}]}\n\n'
        + CHUNK
        + b'"fjord","finish_reason":null}]}\n\n'
        + CHUNK
        + b'" heron","finish_reason":null}]}\n\n'
        + CHUNK
        + b'"","finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    ),
    "generate": (
        {"text": "a red kite"},
        (
            b'{"text":"fjord heron","output_ids":[15,37],"meta_info":{"id":"ID","finish_reason":{"type":"stop"},'
            b'"prompt_tokens":3,"completion_tokens":2,"cached_tokens":1}}'
        ),
    ),
    "video": ({"prompt": "a red kite"}, b'{"video_id":"video_ID","video_path":"/simulated/videos/ID.mp4"}'),
}


@pytest.mark.parametrize("case", EXACT)
def test_the_bytes_of_a_reply(case):
    document, expected = EXACT[case]
    assert reply_to(case.partition("-")[0], document).content == expected


class Tensors:
    """A format as KServe has it: the model in its path, JSON before raw bytes, headers both ways, a page, errors."""

    @staticmethod
    def read(request: Request) -> Ask:
        split = int(request.headers["inference-header-content-length"])
        if (model := request.parameters["model"]) == "nobody":
            raise BadRequestError("there is no such model", status=404)
        head = json.loads(request.body[:split])
        return request.ask(binary.text_of(request.body[split:]), model=model, stream=True, wants=head["id"])

    @staticmethod
    def reply(_config: SimulatedConfig, ask: Ask, answer: Answer) -> Body:
        return Body(answer.source[:4], "application/octet-stream", {"X-Model": ask.model, "X-Id": ask.wants})

    @staticmethod
    def page(config: SimulatedConfig, request: Request) -> Body:
        if request.parameters["model"] == "nobody":
            raise BadRequestError("there is no such model", status=404)
        return json_body({"name": request.parameters["model"], "n": config.output_tokens}, {"X-Page": "yes"})

    FORMAT = Format(
        name="tensors",
        paths=("/v9/models/{model}/infer", "/v9/models/{model}/versions/{version}/infer"),
        read=read,
        reply=reply,
        pages=(Page("/v9/models/{model}", page),),
        error=lambda message, kind: json.dumps({"error": f"{kind}: {message}"}).encode(),
    )


@pytest.fixture
def tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(wire.FORMATS, "tensors", Tensors.FORMAT)


HEAD = b'{"id":"7"}'
INFER = "/v9/models/resnet/infer"
SPLIT = {"Inference-Header-Content-Length": str(len(HEAD))}


@pytest.mark.usefixtures("tensors")
def test_a_format_with_the_model_in_its_path_and_headers_both_ways():
    versioned = INFER.replace("/infer", "/versions/1/infer?q=1")
    (plain, other), stats = sent(("POST", INFER, HEAD + b"abcd"), ("POST", versioned, HEAD + b"abce"), headers=SPLIT)
    assert [plain.status, other.status, stats["computed"]] == [200, 200, 2]
    for got in (plain, other):
        assert (got.headers["X-Model"], got.headers["X-Id"]) == ("resnet", "7")
        assert got.headers["Content-Type"] == "application/octet-stream", "one that cannot stream sends a whole reply"


@pytest.mark.usefixtures("tensors")
def test_an_exact_cache_is_of_any_format():
    alike, unlike = ("POST", INFER, HEAD + b"abcd"), ("POST", INFER, HEAD + b"abce")
    _got, stats = sent(alike, alike, unlike, headers=SPLIT, cache="exact")
    assert (stats["computed"], stats["cache_hits"]) == (2, 1)


@pytest.mark.usefixtures("tensors")
def test_errors_are_documents_of_the_format():
    nobody = INFER.replace("resnet", "nobody")
    (missing, empty), stats = sent(("POST", nobody, HEAD + b"abcd"), ("POST", INFER, HEAD), headers=SPLIT)
    assert (missing.status, missing.json()) == (404, {"error": "invalid_request_error: there is no such model"})
    assert (empty.status, empty.json()) == (400, {"error": "invalid_request_error: the prompt is empty"})
    assert stats["errors"] == 2
    (failed,), _stats = sent(("POST", INFER, HEAD + b"abcd"), headers=SPLIT, error_rate=1.0)
    assert (failed.status, failed.json()) == (500, {"error": "server_error: simulated failure"})


@pytest.mark.usefixtures("tensors")
def test_pages_are_no_queries():
    (page, missing, posted), stats = sent(
        ("GET", "/v9/models/resnet", b""), ("GET", "/v9/models/nobody", b""), ("POST", "/v9/models/resnet", b"")
    )
    assert (page.status, page.headers["X-Page"], page.json()) == (200, "yes", {"name": "resnet", "n": 16})
    assert (missing.status, posted.status) == (404, 405)
    assert missing.json() == {"error": "invalid_request_error: there is no such model"}
    assert stats["received"] == 0


def test_names_of_events():
    assert sse.event({"a": 1}) == b'data: {"a":1}\n\n'
    assert sse.event({"a": 1}, "said") == b'event: said\ndata: {"a":1}\n\n'


@pytest.mark.parametrize("n_bytes", [0, 1, 15, 16, 17, 1000, 4096])
def test_the_text_of_bytes_has_a_word_for_each_stretch(n_bytes):
    data = bytes(at % 251 for at in range(n_bytes))
    words = binary.text_of(data).split()
    assert len(words) == min(n_bytes, 16) or (len(words) < 16 < n_bytes)
    assert binary.text_of(memoryview(data)).split() == words


def test_the_text_of_bytes_tells_where_they_differ():
    data = bytes(itertools.islice(itertools.cycle(range(251)), 4096))
    changed = data[:-1] + b"\xff"
    words, others = binary.text_of(data).split(), binary.text_of(changed).split()
    assert words[:-1] == others[:-1]
    assert words[-1] != others[-1]
    assert binary.text_of(data, 4).count(" ") == 3
