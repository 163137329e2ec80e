"""Transcriptions through LiteLLM's in-memory cache, which is keyed on the file's name and not on its bytes.

Skipped unless LITELLM_VENV names a virtual environment with LiteLLM 1.80.0, or it is installed here.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated import process
from tests.support import one_name
from tests.support.real_cache import in_front_of, litellm_python

pytestmark = pytest.mark.skipif(litellm_python() is None, reason="LiteLLM 1.80.0 is not installed; see LITELLM_VENV")

SOUNDS = Path(__file__).parents[2] / "conftest_examples" / "whisper_audio" / "sounds"
PROBE = {"test": "cache_probe", **dict.fromkeys(("samples", "sample_index", "threshold", "probe"))}
TEST04 = {"test": "test04", "samples": 32, "sample_index": 3, "threshold": 0.1, "probe": {}}
BOTH = pytest.mark.parametrize("block", [PROBE, TEST04], ids=["probe", "test04"])


class Said(NamedTuple):
    """What a session said, and what replies' headers said of a cache."""

    status: int
    word: str
    kinds: str
    headers: set[str]


Ask = Callable[..., Said]


@pytest.fixture
def ask(audit: Any) -> Ask:
    """Return a function that audits a simulated endpoint behind LiteLLM with the 32 sounds of the example."""

    def send(cache: str, block: dict[str, Any], *, api: str = "openai_audio") -> Said:
        shutil.copytree(SOUNDS, audit.path / "sounds")
        rows = [{"audio": f"sounds/{at:02}.wav"} for at in range(32)]
        (audit.path / "sounds.jsonl").write_text("\n".join(map(json.dumps, rows)))
        sut = process.start(SimulatedConfig(service_time_ms=60.0, output_tokens=12, lanes=4), watch_pid=os.getpid())
        try:
            with in_front_of(urlsplit(sut.url).port or 0, "litellm", cache) as url:
                return _asked(audit, url, block, api)
        finally:
            sut.stop()

    return send


def _asked(audit: Any, url: str, block: dict[str, Any], api: str) -> Said:
    audit.config(
        url,
        type="online",
        model_params={"name": "m", "streaming": "off", "audio": {"language": "en"}},
        datasets=[{"path": "sounds.jsonl"}],
        audit=block,
        settings={"load_pattern": {"type": "concurrency", "target_concurrency": 2}},
        endpoint_config={"api_type": api},
    )
    status = audit.run("-m", block["test"]).ret
    records = [
        line for file in (audit.report() / "audit").rglob("queries.jsonl") for line in file.read_text().splitlines()
    ]
    figures = audit.verdict()["audits"][0]["figures"]
    headers = {header for record in records if (header := json.loads(record).get("cache_header"))}
    return Said(status, figures["probe"], figures["probe_kinds"], headers)


@BOTH
def test_without_its_cache_it_is_clean(ask, block):
    said = ask("off", block)
    assert (said.status, said.word, said.headers) == (0, "CLEAN", set())


@BOTH
def test_its_cache_is_found(ask, block):
    """Names are made of bytes, so that it is an exact cache to us."""
    said = ask("on", block)
    assert (said.status, said.word, said.kinds) == (1, "CACHE", "response")


@BOTH
def test_one_name_for_all_sounds_never_passes(ask, audit, block):
    """Nothing of ours sends that. One key then stands on every reply, and no contrast is left between times."""
    (audit.path / "conftest.py").write_text(Path(one_name.__file__).read_text())
    said = ask("on", block, api="one_name")
    assert len(said.headers) == 1
    assert (said.status, said.word) == (1, "CACHE")
