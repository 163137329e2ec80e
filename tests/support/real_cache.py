"""A cache that nobody here wrote, in front of a backend: nginx's proxy_cache on POST, or LiteLLM's in-memory cache.

`in_front_of` starts one for a test, as does

    python real_cache.py '{"kind": "nginx", "cache": "lock", "backend": 8000}'

Prints its port as one line when it answers, serves until its standard input is closed, and leaves nothing behind.
`cache` is on, off, or, for nginx, lock: identical requests then wait for the first one's reply; or filed: bodies go
to files, as those do that its buffer has no room for, so that the key lacks them, and a header tells of hits. LiteLLM
is the one in the virtual environment that LITELLM_VENV names, or else in this one, and must be 1.80.0: later ones were
compromised.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LITELLM = "1.80.0"
_PATIENCE_S = 180.0

_NGINX = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s; client_body_buffer_size 1m; client_body_in_single_buffer on;
  proxy_cache_path {dir}/cache keys_zone=answers:10m;
  upstream sut {{ server 127.0.0.1:{backend}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 100000;
    location = /ready {{ return 200; }}
    location / {{
      proxy_pass http://sut; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_next_upstream error timeout non_idempotent;
      {cache}
    }}
  }}
}}
"""
#: Of the headers that are ignored the first keeps llama.cpp's streams from being cached.
_ON = (
    "proxy_cache answers; proxy_cache_methods POST; proxy_cache_valid 10m; "
    'proxy_cache_key "$request_uri|$request_body"; '
    "proxy_ignore_headers X-Accel-Buffering Cache-Control Expires;"
)
_CACHE = {"off": "", "on": _ON, "lock": f"{_ON} proxy_cache_lock on; proxy_cache_lock_timeout 30s;"}
_CACHE["filed"] = f"{_ON} client_body_in_file_only clean; add_header X-Cache-Status $upstream_cache_status;"


def nginx(folder: Path, port: int, backend: int, cache: str) -> tuple[list[str], str]:
    """Return the command of an nginx, and the path that answers when it is ready."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        raise SystemExit("nginx is not installed; install Debian's nginx-light")
    conf = folder / "nginx.conf"
    conf.write_text(_NGINX.format(dir=folder, backend=backend, port=port, cache=_CACHE[cache]))
    return [found, "-c", str(conf), "-p", str(folder)], "/ready"


def litellm(folder: Path, port: int, backend: int, cache: str) -> tuple[list[str], str]:
    """Return the command of a LiteLLM proxy, and the path that answers when it is ready."""
    python = litellm_python()
    if python is None:
        raise SystemExit(f"LiteLLM {LITELLM} is not installed; install it, and name its virtual env in LITELLM_VENV")
    conf = folder / "litellm.yaml"
    params = {"model": "openai/m", "api_base": f"http://127.0.0.1:{backend}/v1", "api_key": "none"}
    settings = {"telemetry": False, "cache": cache == "on", "cache_params": {"type": "local"}}
    # JSON is YAML.
    conf.write_text(
        json.dumps({"model_list": [{"model_name": "m", "litellm_params": params}], "litellm_settings": settings})
    )
    command = [str(python.with_name("litellm")), "--config", str(conf), "--host", "127.0.0.1", "--port", str(port)]
    return [*command, "--telemetry", "False"], "/health/liveliness"


def litellm_python() -> Path | None:
    """Return the Python that has LiteLLM of the right version, None if there is none."""
    venv = os.environ.get("LITELLM_VENV")
    python = Path(venv, "bin", "python") if venv else Path(sys.executable)
    ask = "from importlib.metadata import version; print(version('litellm'))"
    try:
        said = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return python if said == LITELLM else None


@contextmanager
def in_front_of(backend: int, kind: str, cache: str) -> Iterator[str]:
    """Start a kind of proxy with its cache on, off or lock in front of a port; give its URL, and stop it at the end."""
    options = json.dumps({"kind": kind, "cache": cache, "backend": backend})
    command = [sys.executable, __file__, options]
    # The end of its standard input stops it; leaving the context waits for that.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def main(kind: str, backend: int, cache: str) -> None:
    """Serve until standard input is closed."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="real-cache-") as name:
        folder = Path(name)
        command, ready = {"nginx": nginx, "litellm": litellm}[kind](folder, port, backend, cache)
        # LiteLLM would fetch a list of prices from the internet.
        environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONWARNINGS": "ignore"}
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
        try:
            _await(f"http://127.0.0.1:{port}{ready}", process, folder / "log")
            print(port, flush=True)
            sys.stdin.read()
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while not _answers(url):
        if time.monotonic() > deadline_s or process.poll() is not None:
            raise SystemExit(f"{url} does not answer; its log ends: {log.read_text()[-1000:]}")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    main(options["kind"], options["backend"], options.get("cache", "on"))
