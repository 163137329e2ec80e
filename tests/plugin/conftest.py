"""`finished_run` and `finished_simulation` are report directories of real runs; a test gets a copy of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.sut_process import Sut

SAMPLES = 8
#: A run that passed is wanted, not a judgement: the probe accuses one honest server in a hundred by chance.
_TRIES = 3


def _config(url: str | None) -> dict[str, object]:
    return {
        "type": "offline",
        "model_params": {"name": "wan22", "streaming": "off"},
        "datasets": [{"path": "prompts.jsonl"}],
        "audit": {"test": "test04", "samples": SAMPLES, "sample_index": 3, "threshold": 0.9},
        "settings": {"warmup": {"enabled": True, "n_requests": 2}},
        "endpoint_config": {
            "api_type": "videogen",
            # Long beside what a busy machine adds.
            **({"endpoints": [url]} if url else {"simulated": {"service_time_ms": 50, "lanes": 1}}),
        },
    }


def _run(folder: Path, url: str | None) -> Path:
    rows = (json.dumps({"prompt": f"scene {row}"}) + "\n" for row in range(SAMPLES))
    (folder / "prompts.jsonl").write_text("".join(rows))
    (folder / "wan22.yaml").write_text(yaml.safe_dump(_config(url)))
    support = Path(__file__).parents[1] / "support"
    plugins = [part for name in ("mlperf_audit", "xdist", "no_pictures") for part in ("-p", name)]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(support)}
    command = [sys.executable, "-m", "pytest", *plugins, "-p", "no:cacheprovider", "--mlperf-config=wan22.yaml"]
    for _ in range(_TRIES):
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return folder / "mlperf-reports" / "wan22"
    raise AssertionError(done.stdout)


@pytest.fixture(scope="session")
def _finished_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    sut = Sut({"service_ms": 1, "lanes": 1, "repeat_ms": 20})
    try:
        yield _run(tmp_path_factory.mktemp("finished"), sut.url)
    finally:
        sut.kill()


@pytest.fixture(scope="session")
def _finished_simulation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _run(tmp_path_factory.mktemp("simulated"), None)


@pytest.fixture
def finished_run(_finished_run: Path, tmp_path: Path) -> Path:
    """A run against a server that is not ours: warm-ups, main run, test04 with its probe, all passed."""
    return Path(shutil.copytree(_finished_run, tmp_path / "run"))


@pytest.fixture
def finished_simulation(_finished_simulation: Path, tmp_path: Path) -> Path:
    """The same against the embedded simulated endpoint."""
    return Path(shutil.copytree(_finished_simulation, tmp_path / "simulated"))


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]  # bound, not listening: connections are refused, and nobody else gets it


@pytest.fixture
def reseal() -> Callable[[Path], None]:
    """Give a verdict.json that was edited the digest of its bytes, as somebody would who wants to be believed."""

    def write(path: Path) -> None:
        from pytest_mlperf_audit.verdicts.files import UNSEALED, sealed

        content = json.loads(path.read_text())
        content["digest"] = UNSEALED
        path.write_bytes(sealed(json.dumps(content, indent=2).encode() + b"\n"))

    return write
