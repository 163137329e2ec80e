"""TEST04 against a cache nobody here wrote: nginx `proxy_cache` on POST in front of a server that counts."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

NGINX_CONF = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s; client_body_buffer_size 1m; client_body_in_single_buffer on;
  proxy_cache_path {dir}/cache keys_zone=answers:10m;
  upstream sut {{ server 127.0.0.1:{backend}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 100000;
    location / {{
      proxy_pass http://sut; proxy_http_version 1.1; proxy_set_header Connection "";
      {cache}
    }}
  }}
}}
"""
CACHE = (
    "proxy_cache answers; proxy_cache_methods POST; proxy_cache_valid 10m; "
    'proxy_cache_key "$request_uri|$request_body";'
)

CONFIG = """
name: nginx
type: online
model_params: {name: wan22, streaming: "off"}
datasets: [{path: prompts.jsonl, type: performance}]
audit: {test: test04, only: true, samples: 32, sample_index: 3, probe: false}
settings: {load_pattern: {type: concurrency, target_concurrency: 8}}
endpoint_config: {api_type: videogen}
report_dir: report
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def backend() -> Iterator[int]:
    options = json.dumps({"service_ms": 100, "lanes": 8})
    command = [sys.executable, str(ROOT / "tests/support/sut.py"), options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        process.kill()


@pytest.fixture
def proxy(backend: int, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[int]:
    port = free_port()
    conf = tmp_path / "nginx.conf"
    conf.write_text(NGINX_CONF.format(dir=tmp_path, backend=backend, port=port, cache=request.param))
    assert NGINX
    with subprocess.Popen([NGINX, "-c", str(conf), "-p", str(tmp_path)], stderr=subprocess.DEVNULL) as process:
        for _ in range(200):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
        process.terminate()


def n_sent(run: Path) -> int:
    """Return the queries of all phases, blocks that confirm a ratio included."""
    return sum(len(log.read_text().splitlines()) for log in run.rglob("queries.jsonl"))


def computed(backend: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{backend}/counts") as reply:
        count: int = json.load(reply)["computed"]
        return count


def audit(port: int, folder: Path) -> tuple[int, dict[str, Any]]:
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "nginx.yaml").write_text(CONFIG)
    shutil.copy(ROOT / "conftest_examples/wan22_offline/prompts.jsonl", folder)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--mlperf-config=nginx.yaml",
        f"--mlperf-endpoint=http://127.0.0.1:{port}",
    ]
    result = subprocess.run(
        [*command, "-p", "no:randomly", "-p", "no:asyncio"],
        cwd=folder,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return result.returncode, json.loads((folder / "report/audit/audit_output_caching_test.json").read_text())


@pytest.mark.parametrize("proxy", [CACHE], indirect=True, ids=["cache"])
def test_a_cold_cache_fails(proxy: int, backend: int, tmp_path: Path) -> None:
    status, result = audit(proxy, tmp_path / "run")
    assert computed(backend) < 0.7 * n_sent(tmp_path / "run"), "the cache was at work, or this test shows nothing"
    assert (status, result["test"], result["passed"]) == (1, "output_caching_test", False)


@pytest.mark.parametrize("proxy", [""], indirect=True, ids=["no cache"])
def test_a_plain_proxy_passes(proxy: int, backend: int, tmp_path: Path) -> None:
    status, result = audit(proxy, tmp_path / "run")
    assert computed(backend) == n_sent(tmp_path / "run") >= 64
    assert (status, result["passed"]) == (0, True)
