"""Servers of speech that nobody here wrote, alone and behind LiteLLM's cache: honest they pass, cached they fail.

    python -m tests.support.real_servers FOLDER vllm transformers litellm
    REAL_SERVERS=FOLDER pytest -m nightly tests/nightly/test_audio_servers.py -n 0

Each serves a Whisper of random weights, whose transcripts are 24 tokens long. LiteLLM 1.80 keys its cache of
transcripts on the file's name.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.support import one_name
from tests.support.real_cache import in_front_of, litellm_python
from tests.support.real_servers import (
    AUDIO_SERVERS,
    LITELLM,
    SOUND_LIBRARIES,
    VLLM_AUDIO,
    NotHereError,
    RealServer,
    installed,
    serving,
    write_model,
)

pytestmark = pytest.mark.nightly

SOUNDS = Path(__file__).parents[2] / "conftest_examples" / "whisper_audio" / "sounds"
PROBE = {"test": "cache_probe", **dict.fromkeys(("samples", "sample_index", "threshold", "probe"))}
TEST04 = {"test": "test04", "samples": 32, "sample_index": 3, "threshold": 0.1, "probe": {}}
BOTH = pytest.mark.parametrize("block", [PROBE, TEST04], ids=["probe", "test04"])


class Running(NamedTuple):
    """A server that runs, and what to call its model."""

    server: RealServer
    url: str
    model: str


@pytest.fixture(scope="module", params=AUDIO_SERVERS, ids=lambda server: server.name)
def speech(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Each server, for all the tests that need it."""
    if not (named := os.environ.get("REAL_SERVERS")):
        pytest.skip("set REAL_SERVERS to a folder filled by python -m tests.support.real_servers FOLDER")
    server, folder = request.param, tmp_path_factory.mktemp(request.param.name)
    try:
        bin_dir = installed(server, Path(named).absolute())
        _require_sounds(server, bin_dir)
        model = str(write_model(server, bin_dir, folder))
        with serving(server, bin_dir, model, folder) as url:
            yield Running(server, url, "m" if server is VLLM_AUDIO else model)
    except NotHereError as error:
        pytest.skip(str(error))


def _require_sounds(server: RealServer, bin_dir: Path) -> None:
    """Raise NotHereError where a server was installed before it had what it needs to read sounds."""
    asked = [str(bin_dir / "python"), "-c", "import av, soundfile, soxr"]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        raise NotHereError(f"{server.name} cannot read sounds; {bin_dir / 'pip'} install {' '.join(SOUND_LIBRARIES)}")


def ask(
    audit: Any, real: Running, block: dict[str, Any], *, streaming: str = "off", api: str = "openai_audio", **model: Any
) -> pytest.RunResult:
    """Audit a server with the 32 sounds of the example."""
    shutil.copytree(SOUNDS, audit.path / "sounds", dirs_exist_ok=True)
    rows = [{"audio": f"sounds/{at:02}.wav"} for at in range(32)]
    (audit.path / "sounds.jsonl").write_text("\n".join(map(json.dumps, rows)))
    audit.config(
        real.url,
        type="online",
        model_params={"name": real.model, "streaming": streaming, "audio": {"language": "en"}, **model},
        datasets=[{"path": "sounds.jsonl"}],
        audit=block,
        settings={
            "load_pattern": {"type": "concurrency", "target_concurrency": 2},
            "warmup": {"enabled": True, "n_requests": 8, "salt": True, "drain": True},
        },
        endpoint_config={"api_type": api},
    )
    result: pytest.RunResult = audit.run("-m", block["test"])
    return result


@pytest.mark.parametrize("streaming", ["on", "off"])
@BOTH
def test_an_honest_server_passes(speech, audit, block, streaming):
    result = ask(audit, speech, block, streaming=streaming)
    assert result.ret == 0, result.outlines[-40:]
    assert audit.verdict()["audits"][0]["figures"]["probe"] == "CLEAN"
    if block is TEST04:
        lines = (audit.report() / "audit" / "reference" / "queries.jsonl").read_text().splitlines()
        queries = [json.loads(line) for line in lines]
        assert not any("outcome" in query for query in queries), queries
        assert all(("first_token_ns" in query) == (streaming == "on") for query in queries), queries


@pytest.fixture
def cached(speech: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """LiteLLM before vLLM, its cache on."""
    monkeypatch.setenv("LITELLM_VENV", str(LITELLM.home(Path(os.environ["REAL_SERVERS"]).absolute())))
    if speech.server is not VLLM_AUDIO:
        pytest.skip("one server behind it is enough")
    if litellm_python() is None:
        pytest.skip("LiteLLM 1.80.0 is not installed in REAL_SERVERS")
    with in_front_of(urlsplit(speech.url).port or 0, "litellm", "on") as url:
        yield Running(speech.server, url, "m")


@BOTH
def test_a_cache_before_it_is_found(cached, audit, block):
    """Names are made of bytes, so this cache is an exact one to us."""
    result = ask(audit, cached, block)
    figures = audit.verdict()["audits"][0]["figures"]
    assert (result.ret, figures["probe"], figures["probe_kinds"]) == (1, "CACHE", "response"), result.outlines[-40:]


@BOTH
def test_a_cache_that_takes_every_sound_for_one_never_passes(cached, audit, block):
    """No client of ours names all sounds alike; of one that does, headers and replies tell."""
    (audit.path / "conftest.py").write_text(Path(one_name.__file__).read_text())
    result = ask(audit, cached, block, api="one_name")
    assert result.ret == 1, result.outlines[-40:]
    assert audit.verdict()["audits"][0]["figures"]["probe"] == "CACHE"


def test_a_wrong_model_is_said_in_one_line(speech, audit):
    result = ask(audit, speech._replace(model="no-such-model"), PROBE)
    assert result.ret == 4
    (line,) = [line for line in result.errlines if line.startswith("ERROR: endpoint ")]
    assert "answers 404" in line if speech.server is VLLM_AUDIO else "answers 500" in line


def test_a_field_that_is_not_known_is_named(speech, audit):
    if speech.server is VLLM_AUDIO:
        pytest.skip("vLLM ignores what it does not know")
    result = ask(audit, speech, PROBE, audio={"language": "en", "fields": {"wibble": 1}})
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: endpoint *: answers 422 to the first query (*wibble*); take wibble out of*"])
