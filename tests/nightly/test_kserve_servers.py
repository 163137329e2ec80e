"""Servers of the Open Inference Protocol that nobody here wrote, with their caches off and on: found only where on.

    python -m tests.support.kserve_servers FOLDER
    REAL_SERVERS=FOLDER pytest -m nightly tests/nightly/test_kserve_servers.py -n 0

Triton takes tensors as bytes, MLServer as numbers in JSON; a query of either takes 40 ms.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zlib import crc32

import numpy as np
import pytest

from tests.support.kserve_servers import KSERVE_SERVERS, MLSERVER, TRITON
from tests.support.real_servers import NotHereError, RealServer, installed, serving

pytestmark = pytest.mark.nightly

ROWS = 64
PROBE = {"test": "cache_probe", **dict.fromkeys(("samples", "sample_index", "threshold", "probe"))}
TEST04 = {"test": "test04", "samples": ROWS, "sample_index": 3, "threshold": 0.1, "probe": {}}
INPUT = {"name": "x", "shape": [3, 32, 32], "column": "image"}


class Running(NamedTuple):
    """A server that runs, and whether its cache is on."""

    server: RealServer
    url: str
    cached: bool

    @property
    def encoding(self) -> str:
        """What it takes."""
        return "binary" if self.server is TRITON else "json"

    @property
    def metrics(self) -> str:
        """Its metrics page, on the second port behind its own."""
        return f"http://127.0.0.1:{(urlsplit(self.url).port or 0) + 2}/metrics"


def _started(server: RealServer, cache: str, folder: Path, stack: ExitStack) -> Running:
    if not (named := os.environ.get("REAL_SERVERS")):
        pytest.skip("set REAL_SERVERS to a folder filled by python -m tests.support.kserve_servers FOLDER")
    try:
        url = stack.enter_context(serving(server, installed(server, Path(named).absolute()), cache, folder))
    except NotHereError as error:
        pytest.skip(str(error))
    return Running(server, url, cache == "on")


@pytest.fixture(scope="module", params=KSERVE_SERVERS, ids=lambda server: server.name)
def honest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Each server with its cache off."""
    with ExitStack() as stack:
        yield _started(request.param, "off", tmp_path_factory.mktemp("off"), stack)


@pytest.fixture(scope="module", params=KSERVE_SERVERS, ids=lambda server: server.name)
def cached(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Each server with its own cache of replies."""
    with ExitStack() as stack:
        yield _started(request.param, "on", tmp_path_factory.mktemp("on"), stack)


def ask(audit: Any, real: Running, block: dict[str, Any], **blocks: Any) -> pytest.RunResult:
    """Audit a model with rows of numpy files, which no other test sends."""
    numbers = np.random.default_rng(crc32(audit.path.name.encode()))
    for at in range(ROWS):
        np.save(audit.path / f"{at}.npy", numbers.standard_normal((3, 32, 32), dtype=np.float32))
    rows = "".join(json.dumps({"image": f"{at}.npy"}) + "\n" for at in range(ROWS))
    (audit.path / "images.jsonl").write_text(rows)
    params = {"name": "m1", "tensors": {"inputs": [INPUT], "encoding": real.encoding}, **blocks.pop("model_params", {})}
    endpoint = {"api_type": "kserve_v2", **({"metrics": [real.metrics]} if real.server is TRITON else {})}
    audit.config(
        real.url,
        type="online",
        model_params=params,
        datasets=[{"path": "images.jsonl"}],
        audit={**block, **blocks.pop("audit", {})},
        settings={"load_pattern": {"type": "concurrency", "target_concurrency": 2}},
        endpoint_config=endpoint,
    )
    result: pytest.RunResult = audit.run("-m", block["test"])
    return result


def figures(audit: Any) -> dict[str, Any]:
    """Return the figures of the one audit."""
    return dict(audit.verdict()["audits"][0]["figures"])


@pytest.mark.parametrize("block", [PROBE, TEST04], ids=["probe", "test04"])
def test_an_honest_server_passes(honest, audit, block):
    result = ask(audit, honest, block)
    assert (result.ret, figures(audit)["probe"]) == (0, "CLEAN"), result.outlines[-40:]


@pytest.mark.parametrize("block", [PROBE, TEST04], ids=["probe", "test04"])
def test_its_own_cache_is_found(cached, audit, block):
    result = ask(audit, cached, block)
    found = figures(audit)
    assert (result.ret, found["probe"], found["probe_kinds"]) == (1, "CACHE", "response"), result.outlines[-40:]


def test_batches_pass_and_fail_alike(honest, audit):
    result = ask(audit, honest, {**TEST04, "samples": 16}, model_params={"batch_size": 4})
    assert (result.ret, figures(audit)["probe"]) == (0, "CLEAN"), result.outlines[-40:]


def test_batches_are_found_in_a_cache(cached, audit):
    result = ask(audit, cached, {**TEST04, "samples": 16}, model_params={"batch_size": 4})
    found = figures(audit)
    assert (result.ret, found["probe"], found["probe_kinds"]) == (1, "CACHE", "response"), result.outlines[-40:]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": "nope"}, "*nope*"),
        ({"version": "7"}, "*7*"),
        ({"tensors": {"inputs": [{**INPUT, "name": "y"}]}}, "*has no input 'y'; its inputs are x*"),
        ({"tensors": {"inputs": [{**INPUT, "datatype": "FP64"}]}}, "*takes input 'x' as FP32, not FP64*"),
        ({"tensors": {"inputs": [{**INPUT, "shape": [3, 1024]}]}}, "*"),
        ({"tensors": {"inputs": [INPUT], "outputs": ["nope"]}}, "*has no output 'nope'; its outputs are *"),
    ],
    ids=["model", "version", "name", "datatype", "shape", "output"],
)
def test_what_it_does_not_take_is_said_in_one_line(honest, audit, params, words):
    if "tensors" in params:
        params = {**params, "tensors": {**params["tensors"], "encoding": honest.encoding}}
    result = ask(audit, honest, TEST04, model_params=params)
    assert result.ret == 4, result.outlines[-40:]
    (line,) = [line for line in result.errlines if line.startswith("ERROR: ")]
    pytest.LineMatcher([line]).fnmatch_lines([words])
