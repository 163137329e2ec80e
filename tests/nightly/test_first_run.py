"""The first run as a newcomer has it: a wheel in an empty environment, an empty folder, one command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lane_process import LaneProcesses

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.nightly, pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment that has the wheel and what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("newcomer")
    environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}

    def uv(*args: str | Path) -> None:
        subprocess.run(["uv", *map(str, args)], check=True, env=environ)

    uv("build", "--quiet", "--wheel", "--out-dir", folder, ROOT)
    uv("venv", "--quiet", "--python", sys.executable, folder / "venv")
    uv("pip", "install", "--quiet", "--python", folder / "venv" / "bin" / "python", next(folder.glob("*.whl")))
    return folder / "venv" / "bin"


def run(commands: Path, folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [str(commands / "pytest"), *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_an_endpoint_alone_comes_to_a_verdict(commands, tmp_path):
    with LaneProcesses() as servers:
        server = servers.start(kind="exact", lanes=8, service_ms=20)
        done = run(commands, tmp_path, f"--mlperf-endpoint={server.url}")
        server.stop()
    assert done.returncode == 1, done.stdout
    assert "FAIL cache_probe" in done.stdout


def test_what_init_writes_passes(commands, tmp_path):
    assert run(commands, tmp_path, "--mlperf-init").returncode == 0
    done = run(commands, tmp_path, "--mlperf-config=wan22.yaml", "-k", "completion")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
