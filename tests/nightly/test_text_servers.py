"""Responses, Messages, embeddings and rerank of servers that nobody here wrote: honest they pass, cached they fail.

    python -m tests.support.real_servers FOLDER
    REAL_SERVERS=FOLDER pytest -m nightly tests/nightly/test_text_servers.py -n 0

Each serves a model of random weights, so wide that a query takes tens of milliseconds of a quiet core. The cache is
nginx's, keyed on path and body, or LiteLLM's before llama.cpp, which knows Messages, and not Responses.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.support.real_cache import in_front_of
from tests.support.real_servers import (
    LITELLM,
    LLAMA,
    LLAMA_VECTORS,
    VLLM,
    VLLM_VECTORS,
    NotHereError,
    RealServer,
    installed,
    serving,
    write_model,
)

pytestmark = pytest.mark.nightly

SAMPLES, TOKENS = 64, 8
PROBE = {"test": "cache_probe", **dict.fromkeys(("samples", "sample_index", "threshold", "probe"))}
TEST04 = {"test": "test04", "samples": SAMPLES, "threshold": 0.9, "min_completion": 1.0, "probe": {}}
SUBJECTS = [f"Question {at}: what is thing {at * 7} made of, and who found it?" for at in range(SAMPLES)]


class Served(NamedTuple):
    """A server, how many times as wide as the smallest its model is, and the APIs that are asked of it."""

    server: RealServer
    times: int
    apis: tuple[str, ...]

    @property
    def name(self) -> str:
        """What a test calls it."""
        return self.server.name + ("-vectors" if self.server in (LLAMA_VECTORS, VLLM_VECTORS) else "")


SERVED = (
    Served(LLAMA, 4, ("openai_responses", "anthropic")),
    Served(LLAMA_VECTORS, 6, ("openai_embeddings",)),
    Served(VLLM, 1, ("openai_responses", "anthropic")),
    Served(VLLM_VECTORS, 4, ("openai_embeddings", "openai_rerank")),
)


def of_apis(several: Sequence[Served]) -> pytest.MarkDecorator:
    """Return what runs a test for each API of each server."""
    cases = [pytest.param(served, api, id=f"{served.name}-{api}") for served in several for api in served.apis]
    return pytest.mark.parametrize(("running", "api"), cases, indirect=["running"], scope="module")


of_each, of_texts = of_apis(SERVED), of_apis(SERVED[::2])


class Running(NamedTuple):
    """A server that runs, and what to call its model."""

    server: RealServer
    url: str
    model: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.url).port or 0


def real_servers() -> Path:
    """Return the folder of servers, or skip the test."""
    if not (named := os.environ.get("REAL_SERVERS")):
        pytest.skip("set REAL_SERVERS to a folder filled by python -m tests.support.real_servers FOLDER")
    return Path(named).absolute()


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server, for all the tests that need it; one runs at a time, since each wants the whole machine."""
    served: Served = request.param
    folder = tmp_path_factory.mktemp(served.name)
    try:
        bin_dir = installed(served.server, real_servers())
        model = str(write_model(served.server, bin_dir, folder, times=served.times))
        with serving(served.server, bin_dir, model, folder) as url:
            yield Running(served.server, url, model)
    except NotHereError as error:
        pytest.skip(str(error))


def row(at: int, api: str) -> dict[str, Any]:
    """Return a row; documents are short ones, so that a request stays far below what nginx keys on."""
    if api == "openai_rerank":
        return {"query": SUBJECTS[at], "documents": [SUBJECTS[at - step] for step in (1, 2, 3)], "top_n": 2}
    return {"prompt": SUBJECTS[at], **({} if api == "openai_embeddings" else {"system": "Be brief."})}


def ask(audit: Any, url: str, model: str, api: str, block: dict[str, Any], streaming: str = "on") -> pytest.RunResult:
    """Audit a server that is warm."""
    (audit.path / "prompts.jsonl").write_text("\n".join(json.dumps(row(at, api)) for at in range(SAMPLES)))
    audit.config(
        url,
        type="online",
        model_params={"name": model, "streaming": streaming, "max_new_tokens": TOKENS, "temperature": 0.0},
        audit=block,
        settings={
            "load_pattern": {"type": "concurrency", "target_concurrency": 2},
            "warmup": {"enabled": True, "n_requests": 16, "salt": True, "drain": True},
        },
        endpoint_config={"api_type": api},
    )
    result: pytest.RunResult = audit.run("-m", block["test"])
    return result


def require_found(audit: Any, result: pytest.RunResult) -> None:
    """Require that a cache of whole replies was proved."""
    figures = audit.verdict()["audits"][0]["figures"]
    assert (result.ret, figures["probe"]) == (1, "CACHE"), result.outlines[-40:]
    assert "response" in figures["probe_kinds"].split(", "), result.outlines[-40:]


@pytest.mark.parametrize("block", [PROBE, TEST04], ids=["probe", "test04"])
@of_each
def test_an_honest_server_passes(running, audit, api, block):
    result = ask(audit, running.url, running.model, api, block)
    assert result.ret == 0, result.outlines[-40:]
    assert audit.verdict()["audits"][0]["figures"]["probe"] == "CLEAN"


@pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="nginx is not installed")
@pytest.mark.parametrize("block", [PROBE, TEST04], ids=["probe", "test04"])
@of_each
def test_a_cache_before_it_is_found(running, audit, api, block):
    with in_front_of(running.port, "nginx", "on") as url:
        result = ask(audit, url, running.model, api, block)
    require_found(audit, result)


@pytest.mark.parametrize("running", SERVED[:1], ids=["llama.cpp"], indirect=True, scope="module")
@pytest.mark.parametrize("cache", ["off", "on"])
@pytest.mark.parametrize("streaming", ["on", "off"])
@pytest.mark.parametrize("block", [PROBE, TEST04], ids=["probe", "test04"])
def test_litellm_caches_messages(running, audit, monkeypatch, block, streaming, cache):
    """Its replies say nothing of a hit: the reply's id is the first one's, or a new one in a stream."""
    try:
        installed(LITELLM, real_servers())
    except NotHereError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("LITELLM_VENV", str(LITELLM.home(real_servers())))
    with in_front_of(running.port, "litellm", cache) as url:
        result = ask(audit, url, "m", "anthropic", block, streaming)
    if cache == "on":
        require_found(audit, result)
    else:
        assert result.ret == 0, result.outlines[-40:]


@pytest.mark.parametrize("streaming", ["on", "off"])
@of_texts
def test_replies_are_read_whole(running, audit, api, streaming):
    """None is lost, and each has its tokens and, streamed, its first one. llama.cpp tells no response's cut."""
    ask(audit, running.url, running.model, api, {**TEST04, "probe": False}, streaming)
    queries = [json.loads(line) for line in (audit.report() / "audit/reference/queries.jsonl").read_text().splitlines()]
    assert len(queries) == SAMPLES
    ends = "stop" if (running.server, api) == (LLAMA, "openai_responses") else "length"
    for query in queries:
        assert "outcome" not in query, query
        assert (query["tokens"], query["finish_reason"]) == (TOKENS, ends), query
        assert ("first_token_ns" in query) == (streaming == "on"), query


@of_each
def test_a_wrong_model_is_said_in_one_line(running, audit, api):
    result = ask(audit, running.url, "no-such-model", api, {**TEST04, "samples": 2, "probe": False})
    if running.server is LLAMA_VECTORS:  # it answers, and calls itself what it is called
        assert result.ret != 4
        return
    if running.server is LLAMA:  # it answers, whatever model is asked for, and says who it is
        result.stdout.fnmatch_lines(["*warning: *repl* from model '*tiny.gguf', not 'no-such-model'*"])
        return
    assert result.ret == 4
    (line,) = [line for line in result.errlines if line.startswith("ERROR: endpoint ")]
    assert running.model in line
    assert line.endswith("correct model_params.name")
