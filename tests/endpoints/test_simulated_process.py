from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated import process
from pytest_mlperf_audit.errors import EndpointError

MODULE = [sys.executable, "-m", "pytest_mlperf_audit.endpoints.simulated"]
CONFIG = SimulatedConfig(service_time_ms=1.0)


def eventually(condition: Callable[[], bool], within_s: float = 15.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_start_and_stop():
    with process.start(CONFIG, watch_pid=os.getpid()) as running:
        assert running.running
        assert running.url.startswith("http://127.0.0.1:")
        assert psutil.Process(running.pid).ppid() == os.getpid()
        assert os.getsid(running.pid) == running.pid, "a session of its own, out of reach of the terminal"
    assert is_gone(running.pid)
    running.stop()


def test_the_configuration_arrives_whole():
    config = SimulatedConfig(service_time_ms=3.5, cache="exact", output_tokens=3, seed=9)
    with process.start(config, watch_pid=os.getpid()) as running:
        command = psutil.Process(running.pid).cmdline()
    assert SimulatedConfig.model_validate_json(command[command.index("--config-json") + 1]) == config


def test_ctrl_c_is_not_for_the_endpoint(simulated):
    client = simulated(alone=True)
    os.kill(client.process.pid, signal.SIGINT)
    assert client.video("p").status == 200
    assert client.process.running


@pytest.mark.parametrize("how", ["stop", "sigterm"])
def test_the_end_with_requests_in_flight(simulated, how):
    client = simulated(alone=True, service_time_ms=60_000.0)
    with socket.create_connection(client.address) as connection:
        connection.sendall(
            b'POST /v1/videos/generations HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{"prompt": "p"}'
        )
        assert eventually(lambda: client.stats()["max_in_flight"] == 1)
        if how == "stop":
            client.process.stop()
        else:
            os.kill(client.process.pid, signal.SIGTERM)
        assert connection.recv(100) == b"", "no reply is made up at the end"
    assert eventually(lambda: not client.process.running)


def test_it_ends_when_the_watched_process_is_gone():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as watched:
        running = process.start(CONFIG, watch_pid=watched.pid)
        try:
            assert running.running
            watched.kill()  # stays a zombie until the block ends, as with a parent that does not wait
            assert eventually(lambda: not running.running)
        finally:
            running.stop()


def test_it_ends_when_its_parent_is_killed():
    script = """
import os, time
from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated import process
running = process.start(SimulatedConfig(), watch_pid=os.getpid())
print(running.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        parent.kill()
        assert eventually(lambda: is_gone(pid))


def test_a_process_that_is_gone_before_it_starts():
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    running = process.start(CONFIG, watch_pid=gone.pid)
    try:
        assert eventually(lambda: not running.running)
    finally:
        running.stop()


def test_the_module_on_its_own_obeys_sigterm():
    with subprocess.Popen([*MODULE, "--config-json", '{"lanes": 2}'], stdout=subprocess.PIPE) as popen:
        assert popen.stdout is not None
        said = json.loads(popen.stdout.readline())
        assert said["pid"] == popen.pid
        assert said["url"].startswith("http://127.0.0.1:")
        popen.terminate()
        assert popen.wait(15) == 0
        assert popen.stdout.read() == b"", "one line and no more"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--config-json", '{"cache": "magic"}'], 2, "--config-json is not a configuration"),
        (["--config-json", "{"], 2, "--config-json is not a configuration"),
        (["--port", "99999"], 2, "a port is a number from 0"),
        (["--port", "x"], 2, "argument --port"),
        (["--colour"], 2, "unrecognized arguments"),
    ],
)
def test_wrong_arguments(arguments, status, message):
    done = subprocess.run([*MODULE, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([*MODULE, "--port", str(port)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


def test_a_start_that_fails_says_what_its_stderr_said(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "_BOOT", "import sys; sys.exit('no such luck')")
    log_file = tmp_path / "endpoint.log"
    log_file.write_text("from before\n")
    for log in (None, log_file):
        with pytest.raises(EndpointError, match=r"ended with exit status 1; its stderr says: no such luck\. Put"):
            process.start(CONFIG, watch_pid=os.getpid(), log_file=log)
    assert log_file.read_text().splitlines() == ["from before", "no such luck"]


def test_a_start_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(process, "_BOOT", "import time; time.sleep(60)")
    monkeypatch.setattr(process, "_START_TIMEOUT_S", 0.2)
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(EndpointError, match=r"gave no sign within 0\.2 s; its stderr says: nothing"):
        process.start(CONFIG, watch_pid=os.getpid())
    assert {child.pid for child in psutil.Process().children()} == before


def test_a_file_in_the_working_directory_shadows_nothing(monkeypatch, tmp_path):
    for name in ("json.py", "aiohttp.py", "pytest_mlperf_audit.py"):
        (tmp_path / name).write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    with process.start(CONFIG, watch_pid=os.getpid()) as running:
        assert running.running


def test_starting_imports_no_http_library():
    script = """
import sys
import pytest_mlperf_audit.endpoints.simulated.process
import pytest_mlperf_audit.endpoints.registry
print(sorted({"aiohttp", "uvloop", "numpy", "pytest"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_others_print_first_is_skipped(monkeypatch):
    monkeypatch.setattr(process, "_BOOT", "print('hello'); print('{}');" + process._BOOT)
    with process.start(CONFIG, watch_pid=os.getpid()) as running:
        assert running.url.startswith("http://127.0.0.1:")


def test_a_log_file_takes_stderr(tmp_path):
    log_file = Path(tmp_path / "endpoint.log")
    with process.start(CONFIG, watch_pid=os.getpid(), log_file=log_file) as running:
        assert running.running
    assert log_file.read_text() == ""
