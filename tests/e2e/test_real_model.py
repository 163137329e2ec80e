"""Audits of a real server that really computes: llama.cpp's, with a model of random weights that the test writes.

Set LLAMA_VENV to a virtual environment with `llama-cpp-python[server]` and `gguf`; skipped without, since building the
first takes a quarter of an hour.
"""

from __future__ import annotations

import os
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SUPPORT = Path(__file__).parents[1] / "support"
CHAT: dict[str, Any] = {
    "type": "online",
    "model_params": {"name": "tiny", "temperature": 0.0, "max_new_tokens": 16, "streaming": "off"},
    "settings": {"load_pattern": {"type": "concurrency", "target_concurrency": 1}},
    "endpoint_config": {"api_type": "openai"},
}
NO_TEST04 = dict.fromkeys(("samples", "sample_index", "threshold", "probe"))


@pytest.fixture(params=["cache off", "cache on"])
def llama(request, tmp_path: Path, until) -> Iterator[str]:
    """A llama.cpp server, its prompt cache off or on."""
    venv = os.environ.get("LLAMA_VENV")
    if not venv:
        pytest.skip("set LLAMA_VENV to a virtual environment with llama-cpp-python[server] and gguf")
    python, model = Path(venv, "bin/python"), tmp_path / "tiny.gguf"
    subprocess.run([python, SUPPORT / "tiny_model.py", model], check=True, timeout=60)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(python), "-m", "llama_cpp.server", "--model", str(model), "--host", "127.0.0.1", "--port", str(port)]
    options = {"n_ctx": 512, "n_threads": 1, "verbose": "false", "cache": str(request.param == "cache on").lower()}
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    with (tmp_path / "llama.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _answers(f"{url}/v1/models"), "the server")
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def test_a_deterministic_model_gives_the_same_outputs_while_it_is_measured(audit, llama):
    """The model is real and tiny, and its times are the machine's noise: the band of the score is left wide."""
    audit.config(llama, audit={**NO_TEST04, "test": "test01", "threshold": 0.9}, **CHAT)
    audit.run("-m", "test01")
    (entry,) = audit.verdict()["audits"]
    checks = {check["name"]: (check["status"], check["reason"]) for check in entry["checks"]}
    for name in ("completion[accuracy]", "completion[performance]", "matches", "outputs_match"):
        assert checks[name][0] == "passed", checks


def test_a_server_without_token_ids_is_noticed_at_its_first_reply(audit, llama):
    audit.config(llama, audit={**NO_TEST04, "test": "test06", "eos_ids": [2]}, **CHAT)
    result = audit.run("-m", "test06")
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*token ids*"])
    assert len((audit.report() / "audit/test06/queries.jsonl").read_text().splitlines()) == 1


def test_the_probe_finds_no_replies_of_a_model_that_computes(audit, llama):
    """llama.cpp keeps the last prompt's state, cache or not, which is prefix reuse: replies are computed each time."""
    audit.config(llama, audit={**NO_TEST04, "test": "cache_probe", "design": "single"}, **CHAT)
    audit.run("-m", "cache_probe")
    (entry,) = audit.verdict()["audits"]
    assert entry["phases"][-1]["status"] == "complete", entry["reason"]
    assert "response" not in [finding["kind"] for finding in entry["findings"] if finding["found"]]
