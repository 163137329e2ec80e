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
from zlib import crc32

import numpy as np
import pytest

from tests.support.kserve_servers import KSERVE_SERVERS, MLSERVER, TRITON, metrics_page
from tests.support.real_servers import NotHereError, RealServer, installed, serving

pytestmark = pytest.mark.nightly

ROWS = 64
PROBE = {"test": "cache_probe", **dict.fromkeys(("samples", "sample_index", "threshold", "probe"))}
TEST04 = {"test": "test04", "samples": ROWS, "sample_index": 3, "threshold": 0.1, "probe": {}}
INPUT = {"name": "x", "shape": [3, 32, 32], "column": "image"}


class Running(NamedTuple):
    """A server that runs, and its metrics page."""

    server: RealServer
    url: str
    metrics: str

    @property
    def encoding(self) -> str:
        """What it takes."""
        return "binary" if self.server is TRITON else "json"


def _started(server: RealServer, cache: str, folder: Path, stack: ExitStack) -> Running:
    if not (named := os.environ.get("REAL_SERVERS")):
        pytest.skip("set REAL_SERVERS to a folder filled by python -m tests.support.kserve_servers FOLDER")
    try:
        url = stack.enter_context(serving(server, installed(server, Path(named).absolute()), cache, folder))
    except NotHereError as error:
        pytest.skip(str(error))
    return Running(server, url, metrics_page(folder))


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


def ask(audit: Any, real: Running, block: dict[str, Any], *, poison: bool = False, **params: Any) -> pytest.RunResult:
    """Audit a model with rows of numpy files, which no other test sends; poison: the model fails at every third."""
    tensors = {"inputs": [INPUT], "encoding": real.encoding, **params.pop("tensors", {})}
    numbers = np.random.default_rng(crc32(audit.path.name.encode()))
    for at in range(ROWS):
        row = numbers.standard_normal(tensors["inputs"][0]["shape"], dtype=np.float32)
        if poison and at % 3 == 0:
            row[0, 0, 0] = 1000
        np.save(audit.path / f"{at}.npy", row)
    (audit.path / "images.jsonl").write_text("".join(json.dumps({"image": f"{at}.npy"}) + "\n" for at in range(ROWS)))
    audit.config(
        real.url,
        type="online",
        model_params={"name": "m1", "tensors": tensors, **params},
        datasets=[{"path": "images.jsonl"}],
        audit=block,
        settings={"load_pattern": {"type": "concurrency", "target_concurrency": 2}},
        endpoint_config={"api_type": "kserve_v2", "metrics": [real.metrics]},
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
    result = ask(audit, honest, {**TEST04, "samples": 16}, batch_size=4)
    assert (result.ret, figures(audit)["probe"]) == (0, "CLEAN"), result.outlines[-40:]


def test_batches_are_found_in_a_cache(cached, audit):
    result = ask(audit, cached, {**TEST04, "samples": 16}, batch_size=4)
    found = figures(audit)
    assert (result.ret, found["probe"], found["probe_kinds"]) == (1, "CACHE", "response"), result.outlines[-40:]


def test_tritons_own_counters_tell_of_its_hits(cached, audit):
    if cached.server is not TRITON:
        pytest.skip("MLServer counts no hits of its cache")
    ask(audit, cached, {**TEST04, "probe": False})
    added = {phase: audit.phase(phase)["counters"]["added"] for phase in ("reference", "output_caching")}
    assert added["reference"]["nv_cache_num_misses_per_model"] == ROWS
    assert added["output_caching"]["nv_cache_num_hits_per_model"] >= ROWS - 2  # at once, the first two both miss
    assert "nv_cache_num_hits_per_model rose by" in "".join(audit.verdict()["audits"][0]["notes"])


def test_a_cache_that_does_not_look_at_the_model_is_named(cached, audit):
    if cached.server is not MLSERVER:
        pytest.skip("Triton's cache looks at the model")
    ask(audit, cached, TEST04)
    result = ask(audit, cached, TEST04, name="m2")
    (check,) = (one for one in audit.verdict()["audits"][0]["checks"] if one["name"] == "cache_probe")
    assert (result.ret, check["status"]) == (1, "failed")
    assert "rows of the data set name model 'm1', and none of" in check["reason"]


def test_what_the_model_fails_at_are_failed_queries(honest, audit):
    ask(audit, honest, {**TEST04, "sample_index": 1, "probe": False}, poison=True)
    lines = (audit.report() / "audit" / "reference" / "queries.jsonl").read_text().splitlines()
    failed = [query for query in map(json.loads, lines) if "outcome" in query]
    assert sorted(query["sample"] for query in failed) == list(range(0, ROWS, 3))
    assert {(query["outcome"], query["status"]) for query in failed} == {("http_500", 500)}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": "nope"}, "*answers 404 *nope*; correct model_params.name"),
        ({"version": "7"}, "*answers 404 *7*; correct model_params.name or version"),
        ({"tensors": {"inputs": [{**INPUT, "name": "y"}]}}, "*has no input 'y'; its inputs are x*"),
        ({"tensors": {"inputs": [{**INPUT, "datatype": "FP64"}]}}, "*takes input 'x' as FP32, not FP64*"),
        (
            {"tensors": {"inputs": [{**INPUT, "shape": [3, 1024]}]}},
            "*takes input 'x' of shape [[]-1, 3, 32, 32], and [[]1, 3, 1024] would be sent*",
        ),
        ({"tensors": {"inputs": [INPUT], "outputs": ["nope"]}}, "*has no output 'nope'; its outputs are *"),
    ],
    ids=["model", "version", "name", "datatype", "shape", "output"],
)
def test_what_it_does_not_take_is_said_in_one_line(honest, audit, params, words):
    result = ask(audit, honest, TEST04, **params)
    assert_said(result, words)


def test_a_batch_above_tritons_limit_and_bytes_for_mlserver_are_said_with_the_cure(honest, audit):
    block = {**TEST04, "samples": 4, "probe": False}
    if honest.server is TRITON:
        result = ask(audit, honest, block, batch_size=16)
        assert_said(result, "*batch-size must be <= 8*; lower model_params.batch_size")
    else:
        result = ask(audit, honest, block, tensors={"encoding": "binary"})
        assert_said(result, "*answers 500 *Internal Server Error*model_params.tensors.encoding: json*")


def assert_said(result: pytest.RunResult, words: str) -> None:
    """Assert that one line says it, and that nothing was sent for the audit."""
    assert result.ret == 4, result.outlines[-40:]
    (line,) = [line for line in result.errlines if line.startswith("ERROR: ")]
    pytest.LineMatcher([line]).fnmatch_lines([words])
