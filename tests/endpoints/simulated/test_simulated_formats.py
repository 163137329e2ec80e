"""What every wire format of the simulated endpoint has, and what one may have: a format of the test's own, served."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import aiohttp
import pytest

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated import wire
from pytest_mlperf_audit.endpoints.simulated.exchange import Answer, Ask
from pytest_mlperf_audit.endpoints.simulated.formats import binary, sse
from pytest_mlperf_audit.endpoints.simulated.formats.contract import (
    BadRequestError,
    Body,
    Format,
    Page,
    Request,
    json_body,
)
from pytest_mlperf_audit.endpoints.simulated.server import Server


def test_every_path_belongs_to_one_format():
    formats = list(wire.FORMATS.values())
    served = [path for one in formats for path in (*one.paths, *(f"GET {page.path}" for page in one.pages))]
    assert len(served) == len(set(served))
    assert all(one.paths for one in formats)
    assert len(wire.FORMATS) == len({one.name for one in formats}), "a name is that of one format"


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


def reply_to(name: str, document: dict[str, Any], **config: Any) -> Body:
    """Return the reply to a document under a fixed id and time."""
    ask = wire.read(Request(name, "/", "/", json.dumps(document).encode()))
    answer = Answer("ID", 5, ask.prompt.encode(), len(ask.prompt.split()), cached_words=1)
    return wire.reply(SimulatedConfig(output_tokens=2, **config), ask, answer)


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
        paths=("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"),
        read=read,
        reply=reply,
        pages=(Page("/v2/models/{model}", page),),
        error=lambda message, kind: json.dumps({"error": f"{kind}: {message}"}).encode(),
    )


@pytest.fixture
def tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(wire.FORMATS, "tensors", Tensors.FORMAT)


Got = tuple[int, dict[str, str], bytes]


def sent(*requests: tuple[str, str, bytes], **config: Any) -> tuple[list[Got], dict[str, Any]]:
    """Send (method, path, body) in turn to a server of this process; return what came, and the counters."""

    async def run() -> tuple[list[Got], dict[str, Any]]:
        server = Server(SimulatedConfig(service_time_ms=0.0, **config))
        url = await server.listen(0)
        try:
            async with aiohttp.ClientSession() as session:
                got = []
                for method, path, body in requests:
                    headers = {"Inference-Header-Content-Length": str(len(HEAD))}
                    async with session.request(method, url + path, data=body or None, headers=headers) as response:
                        got.append((response.status, dict(response.headers), await response.read()))
                async with session.get(f"{url}/simulated/stats") as response:
                    return got, await response.json()
        finally:
            await server.close()

    return asyncio.run(run())


HEAD = b'{"id":"7"}'
INFER = "/v2/models/resnet/infer"


@pytest.mark.usefixtures("tensors")
def test_a_format_with_the_model_in_its_path_and_headers_both_ways():
    versioned = INFER.replace("/infer", "/versions/1/infer?q=1")
    (plain, other), stats = sent(("POST", INFER, HEAD + b"abcd"), ("POST", versioned, HEAD + b"abce"))
    assert [plain[0], other[0], stats["computed"]] == [200, 200, 2]
    for _status, headers, _body in (plain, other):
        assert (headers["X-Model"], headers["X-Id"]) == ("resnet", "7")
        assert headers["Content-Type"] == "application/octet-stream", "one that cannot stream sends a whole reply"


@pytest.mark.usefixtures("tensors")
def test_an_exact_cache_is_of_any_format():
    alike, unlike = ("POST", INFER, HEAD + b"abcd"), ("POST", INFER, HEAD + b"abce")
    _got, stats = sent(alike, alike, unlike, cache="exact")
    assert (stats["computed"], stats["cache_hits"]) == (2, 1)


@pytest.mark.usefixtures("tensors")
def test_errors_are_documents_of_the_format():
    nobody = INFER.replace("resnet", "nobody")
    (missing, empty), stats = sent(("POST", nobody, HEAD + b"abcd"), ("POST", INFER, HEAD))
    assert (missing[0], json.loads(missing[2])) == (
        404,
        {"error": "invalid_request_error: there is no such model"},
    )
    assert (empty[0], json.loads(empty[2])) == (400, {"error": "invalid_request_error: the prompt is empty"})
    assert stats["errors"] == 2
    ((status, _headers, body),), _stats = sent(("POST", INFER, HEAD + b"abcd"), error_rate=1.0)
    assert (status, json.loads(body)) == (500, {"error": "server_error: simulated failure"})


@pytest.mark.usefixtures("tensors")
def test_pages_are_no_queries():
    (page, missing, posted), stats = sent(
        ("GET", "/v2/models/resnet", b""), ("GET", "/v2/models/nobody", b""), ("POST", "/v2/models/resnet", b"")
    )
    assert (page[0], page[1]["X-Page"], json.loads(page[2])) == (200, "yes", {"name": "resnet", "n": 16})
    assert (missing[0], posted[0]) == (404, 405)
    assert json.loads(missing[2]) == {"error": "invalid_request_error: there is no such model"}
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
