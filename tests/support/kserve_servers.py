"""Servers of the Open Inference Protocol that nobody here wrote, each with a small model of random weights.

    python -m tests.support.kserve_servers FOLDER [NAME ...]

installs them (700 MB): Triton, which comes with nvidia-pytriton and needs a Python 3.12 with its shared library on
PATH as `python3.12`, and MLServer. What they serve is `on` or `off`: whether their own cache keeps replies.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.real_servers import SUPPORT, RealServer, installed_or_why_not

#: What a query takes beside the work of the server, milliseconds.
SERVICE_MS = 40
_INPUT = {"name": "x", "datatype": "FP32", "shape": [-1, 3, 32, 32]}
_OUTPUTS = [
    {"name": "label", "datatype": "INT64", "shape": [-1, 1]},
    {"name": "scores", "datatype": "FP32", "shape": [-1, 10]},
]


def metrics_page(folder: Path) -> str:
    """Return the URL of the metrics page of the server whose files are in a folder."""
    return (folder / "metrics").read_text()


def _more_ports(folder: Path) -> tuple[int, int]:
    """Return free ports for GRPC, which nobody asks, and for the metrics page, whose URL is left in a file."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        grpc, metrics = one.getsockname()[1], other.getsockname()[1]
    (folder / "metrics").write_text(f"http://127.0.0.1:{metrics}/metrics")
    return grpc, metrics


def _triton(bin_dir: Path, cache: str, port: int, folder: Path) -> list[str]:
    """Return a command. Triton's Python backend links the library of Python 3.12."""
    ask = [str(bin_dir / "python"), "-c", "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"]
    library = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    ports = map(str, (port, *_more_ports(folder)))
    script = [str(bin_dir / "python"), str(SUPPORT / "triton_server.py"), *ports, cache, str(SERVICE_MS)]
    return ["env", f"LD_LIBRARY_PATH={library}", *script]


def _mlserver(bin_dir: Path, cache: str, port: int, folder: Path) -> list[str]:
    """Return a command, and write what it serves: `m1` and `m2`, alike but for their weights."""
    grpc, metrics = _more_ports(folder)
    ports = {"http_port": port, "grpc_port": grpc, "metrics_port": metrics}
    kept = {"cache_enabled": True} if cache == "on" else {}
    settings = {"host": "127.0.0.1", **ports, "parallel_workers": 0, "debug": False, "cache_size": 10_000, **kept}
    (folder / "settings.json").write_text(json.dumps(settings))
    shutil.copy(SUPPORT / "mlserver_tiny.py", folder)
    for seed, name in enumerate(("m1", "m2")):
        own = {"version": "1", "extra": {"seed": seed, "service_s": SERVICE_MS / 1000}}
        about = {"name": name, "implementation": "mlserver_tiny.Tiny", "inputs": [_INPUT], "outputs": _OUTPUTS}
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "model-settings.json").write_text(json.dumps({**about, **kept, "parameters": own}))
    return ["env", f"PYTHONPATH={folder}", str(bin_dir / "mlserver"), "start", str(folder)]


TRITON = RealServer(
    "triton", "0.7.0", ("nvidia-pytriton==0.7.0",), None, _triton, "/v2/models/last/ready", python="python3.12"
)
MLSERVER = RealServer("mlserver", "1.7.1", ("mlserver==1.7.1",), None, _mlserver, "/v2/models/m2/ready")
KSERVE_SERVERS = (TRITON, MLSERVER)


def main(folder: Path, names: list[str]) -> None:
    """Install servers, both where none is named, and say what could not be had."""
    for server in (one for one in KSERVE_SERVERS if not names or one.name in names):
        print(installed_or_why_not(server, folder), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2:])
