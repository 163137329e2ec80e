"""Servers that nobody here wrote, honest ones, each audited as a user would: none may fail, none may be unusable.

    python -m tests.support.real_servers FOLDER
    REAL_SERVERS=FOLDER pytest -m nightly tests/nightly/test_real_servers.py -n 0

Each serves a model of random weights that the test writes, with its caches off; LiteLLM is a proxy before llama.cpp.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.real_servers import (
    LITELLM,
    LLAMA,
    SERVERS,
    TRANSFORMERS,
    VLLM,
    NotHereError,
    RealServer,
    installed,
    serving,
    write_model,
)

pytestmark = pytest.mark.nightly

#: Queries of a phase, some seconds of work; llama.cpp is the fastest by far.
SAMPLES = {LLAMA: 512, TRANSFORMERS: 64, VLLM: 64, LITELLM: 64}
TOKENS = 8
#: One query of a model this small takes milliseconds, so the ratio is the noise of whatever else the machine does.
TEST04 = {"threshold": 0.9, "min_completion": 1.0, "probe": {"max_output_tokens": TOKENS}}
FORMATS = [("openai", "on"), ("openai_completions", "on"), ("openai", "off")]


class Running(NamedTuple):
    """A server that runs, and what to call its model."""

    server: RealServer
    url: str
    model: str


@pytest.fixture(scope="module", params=SERVERS, ids=lambda server: server.name)
def real(request, tmp_path_factory):
    """Each server, for all the tests that need it."""
    if not (named := os.environ.get("REAL_SERVERS")):
        pytest.skip("set REAL_SERVERS to a folder filled by python -m tests.support.real_servers FOLDER")
    folder = tmp_path_factory.mktemp(request.param.name)
    with ExitStack() as stack:
        try:
            started = start(request.param, Path(named).absolute(), folder, stack)
        except NotHereError as error:
            pytest.skip(str(error))
        yield started


def start(server: RealServer, where: Path, folder: Path, stack: ExitStack) -> Running:
    """Start a server, and the one behind it."""
    bin_dir = installed(server, where)
    if server is LITELLM:
        serves, model = start(LLAMA, where, folder, stack).url, "tiny"
    else:
        serves = model = str(write_model(server, bin_dir, folder))
    url = stack.enter_context(serving(server, bin_dir, serves, folder))
    return Running(server, url, model)


def ask(audit, real: Running, api: str, streaming: str, **test: Any) -> pytest.RunResult:
    """Run an audit on a server that is warm, test04 unless it is named; every query has the same length."""
    samples = SAMPLES[real.server]
    rows = [{"prompt": f"Question {i}: what is thing {i * 7} made of, and who found it?"} for i in range(samples)]
    (audit.path / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    model = {"name": real.model, "streaming": streaming, "max_new_tokens": TOKENS, "temperature": 0.0}
    audit.config(
        real.url,
        type="online",
        model_params=model,
        audit={"samples": samples, **(test or TEST04)},
        settings={
            "load_pattern": {"type": "concurrency", "target_concurrency": 4},
            "warmup": {"enabled": True, "n_requests": 64, "salt": True, "drain": True},
        },
        endpoint_config={"api_type": api},
    )
    result: pytest.RunResult = audit.run("-m", test.get("test", "test04"))
    return result


@pytest.mark.parametrize(("api", "streaming"), FORMATS)
def test_an_honest_server_passes(real, api, streaming, audit):
    """Its replies are read whole: none is lost or sent twice, each with its tokens, its end and its first token."""
    result = ask(audit, real, api, streaming)
    (entry,) = audit.verdict()["audits"]
    assert result.ret == 0, result.outlines[-40:]
    assert {check["name"] for check in entry["checks"]} >= {"cache_probe", "throughput_ratio"}
    for phase in ("reference", "output_caching"):
        lines = (audit.report() / "audit" / phase / "queries.jsonl").read_text().splitlines()
        queries = [json.loads(line) for line in lines]
        assert len(queries) == SAMPLES[real.server]
        for query in queries:
            assert "outcome" not in query, query
            assert (query["tokens"], query["finish_reason"]) == (TOKENS, "length"), query
            assert ("first_token_ns" in query) == (streaming == "on"), query


def test_output_lengths_convict_nobody(real, audit):
    """vLLM gives token ids. Random weights put bytes into texts that are no character, which no tokenizer can count."""
    if real.server not in (TRANSFORMERS, VLLM):
        pytest.skip(f"{real.server.name} gives no token ids, and its model has no tokenizer.json")
    bounds: dict[str, Any] = {"min_output_tokens": TOKENS, "max_output_tokens": TOKENS}
    if real.server is TRANSFORMERS:
        bounds["tokenizer"] = str(Path(real.model, "tokenizer.json"))
    no_test04 = dict.fromkeys(("sample_index", "threshold", "probe"))
    result = ask(audit, real, "openai", "on", test="test09", **bounds, **no_test04)
    assert result.ret in ((0,) if real.server is VLLM else (0, 6)), result.outlines[-40:]


def test_a_wrong_path_is_said_in_one_line(real, audit):
    result = ask(audit, real._replace(url=f"{real.url}/nowhere"), "openai", "on")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: endpoint *: answers 404 to the first query*"])


def test_a_wrong_model_is_said_in_one_line_with_those_served(real, audit):
    result = ask(audit, real._replace(model="no-such-model"), "openai", "on")
    if real.server is LLAMA:  # it answers, whatever model is asked for, and says who it is
        assert result.ret == 0
        result.stdout.fnmatch_lines(["*warning: the reply comes from model '*tiny.gguf', not 'no-such-model'*"])
        return
    assert result.ret == 4
    (line,) = [line for line in result.errlines if line.startswith("ERROR: endpoint ")]
    assert real.model in line
    assert line.endswith("correct model_params.name")
