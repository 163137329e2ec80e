"""Vision chat of servers that nobody here wrote: a cache of images is found in vLLM, and not where it is off.

    python -m tests.support.real_servers FOLDER vllm transformers
    REAL_SERVERS=FOLDER pytest -m nightly tests/nightly/test_vision_servers.py -n 0

They serve a BLIP-2 and a LLaVA of random weights. vLLM keeps what it prepared of an image, and what its encoder made of
it, under a digest of its pixels, unless it is told not to; its counters of prefixes do not show it, and those of
`mm_cache` do.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any, NamedTuple

import pytest
from PIL import Image, ImageDraw

from tests.support.real_servers import TRANSFORMERS, VLLM, NotHereError, RealServer, installed, serving, write_model

pytestmark = pytest.mark.nightly

ROWS, TOKENS, SIDE = 16, 4, 512
#: How many times as wide as the smallest a tower of vision is, so that a new image takes tens of milliseconds.
WIDE = 6


def _vllm(bin_dir: Path, model: str, port: int, folder: Path, *further: str) -> list[str]:
    return [*VLLM.command(bin_dir, model, port, folder), *further]


def _without(bin_dir: Path, model: str, port: int, folder: Path) -> list[str]:
    return _vllm(bin_dir, model, port, folder, "--mm-processor-cache-gb", "0")


CACHED = VLLM._replace(model_writer="tiny_blip_model.py")
PLAIN = CACHED._replace(command=_without)
SMOKE = TRANSFORMERS._replace(model_writer="tiny_llava_model.py")
BY_NAME = {"cached": CACHED, "plain": PLAIN, "transformers": SMOKE}


class Running(NamedTuple):
    """A server that runs, and what to call its model."""

    server: RealServer
    url: str
    model: str


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server, for all the tests that need it; one runs at a time, since each wants the whole machine."""
    if not (named := os.environ.get("REAL_SERVERS")):
        pytest.skip("set REAL_SERVERS to a folder filled by python -m tests.support.real_servers FOLDER")
    server, folder = BY_NAME[request.param], tmp_path_factory.mktemp(request.param)
    try:
        bin_dir = installed(server, Path(named).absolute())
        model = str(write_model(server, bin_dir, folder, times=WIDE))
        with serving(server, bin_dir, model, folder) as url:
            yield Running(server, url, model)
    except (NotHereError, CalledProcessError) as error:  # installed without pillow, before it was asked for
        pytest.skip(str(error))


def draw(path: Path, row: int) -> None:
    """Draw an image unlike the others, of a photograph's size."""
    image = Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB")
    ImageDraw.Draw(image).ellipse((10 * row, 20, 10 * row + 200, 300), fill=(15 * row, 100, 200))
    image.save(path, quality=90)


def ask(audit: Any, running: Running, block: dict[str, Any]) -> pytest.RunResult:
    """Audit a server that is warm, streamed."""
    of_vllm = running.server.name == VLLM.name
    least = {"min_tokens": TOKENS} if of_vllm else {}  # others refuse what they do not know
    rows = [{"prompt": f"What is product {at} of shelf {at * 7}?", "image": f"{at}.jpg", **least} for at in range(ROWS)]
    for at in range(ROWS):
        draw(audit.path / f"{at}.jpg", at)
    (audit.path / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    metrics = [f"{running.url}/metrics"] if of_vllm else []
    audit.config(
        running.url,
        type="online",
        model_params={"name": running.model, "streaming": "on", "temperature": 0.0, "max_new_tokens": TOKENS},
        audit=block,
        settings={
            "load_pattern": {"type": "concurrency", "target_concurrency": 2},
            "warmup": {"enabled": True, "n_requests": 8, "salt": True, "drain": True},
        },
        endpoint_config={"api_type": "openai", "metrics": metrics},
    )
    result: pytest.RunResult = audit.run("-m", block["test"])
    return result


def probe(audit: Any, running: Running) -> tuple[pytest.RunResult, dict[str, str], str]:
    """Send the cache probe; return how it ended, the states of kinds, and its notes."""
    nothing = dict.fromkeys(("samples", "sample_index", "threshold", "probe"))
    result = ask(audit, running, {"test": "cache_probe", **nothing})
    (entry,) = audit.verdict()["audits"]
    return result, {kind["kind"]: kind["state"] for kind in entry["kinds"]}, "\n".join(entry["notes"])


@pytest.mark.parametrize("running", ["cached"], indirect=True)
def test_a_cache_of_images_is_found_and_named(running, audit):
    result, states, notes = probe(audit, running)
    assert (result.ret, states["multimodal"]) == (1, "found"), result.outlines[-40:]
    assert "vllm:mm_cache_hits_total rose by " in notes


@pytest.mark.parametrize("running", ["plain"], indirect=True)
def test_without_it_nothing_is_found(running, audit):
    result, states, notes = probe(audit, running)
    assert result.ret in (0, 6), result.outlines[-40:]
    assert "found" not in states.values()
    assert "vllm:mm_cache_hits_total rose" not in notes


@pytest.mark.parametrize("running", ["plain", "transformers"], indirect=True)
def test_prompts_with_images_are_answered(running, audit):
    ask(audit, running, {"test": "test04", "samples": 4, "threshold": 0.9, "probe": False})
    queries = [json.loads(line) for line in (audit.report() / "audit/reference/queries.jsonl").read_text().splitlines()]
    assert len(queries) == 4
    for query in queries:
        assert "outcome" not in query, query
        assert (query["tokens"], query["finish_reason"]) == (TOKENS, "length"), query
