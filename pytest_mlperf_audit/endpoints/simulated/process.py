"""Starting and stopping the simulated endpoint's process. Imports nothing of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from typing_extensions import Self

from ...config.endpoint import SimulatedConfig
from ...errors import EndpointError

_START_TIMEOUT_S = 30.0
_URL_LINE = re.compile(rb'^\{"url".*\}$(?=\n)', re.MULTILINE)  # a sitecustomize may print lines of its own first
_ROOT = Path(__file__).resolve().parents[3]

# `-m` would put the working directory in front of sys.path, where a user's json.py or aiohttp/ may lie. The package's
# own directory goes last, for a package that is importable only through the starting process's sys.path.
_BOOT = (
    "import sys; sys.path[:] = [entry for entry in sys.path if entry] + [sys.argv.pop(1)]; "
    "from pytest_mlperf_audit.endpoints.simulated.__main__ import main; sys.exit(main())"
)


class SimulatedProcess:
    """A running simulated endpoint, at `url` under `pid`; a context manager that stops it."""

    def __init__(self, popen: subprocess.Popen[bytes], url: str) -> None:
        self._popen = popen
        self.url = url
        self.pid = popen.pid

    @property
    def running(self) -> bool:
        """Whether the process still runs."""
        return self._popen.poll() is None

    def stop(self) -> None:
        """End the process and wait for it; a second call does nothing."""
        _end(self._popen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def start(config: SimulatedConfig, *, watch_pid: int, log_file: Path | None = None) -> SimulatedProcess:
    """Start a simulated endpoint and wait until it listens; it ends by itself when process `watch_pid` is gone.

    Its stderr is appended to `log_file`, if given. Raises EndpointError, with what it said, when it does not start.
    """
    with _open_log(log_file) as log:
        log_start = log.seek(0, os.SEEK_END)
        popen = subprocess.Popen(  # noqa: S603 - our own module, our own arguments
            _command(config, watch_pid),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        try:
            url = _listening_url(popen)
        except BaseException:
            _end(popen)
            raise
        if url is None:
            status = popen.poll()
            _end(popen)
            log.seek(log_start)
            raise EndpointError(_not_started(status, log.read().decode(errors="replace")))
        return SimulatedProcess(popen, url)


def _command(config: SimulatedConfig, watch_pid: int) -> list[str]:
    options = ["--config-json", config.model_dump_json(), "--watch-pid", str(watch_pid)]
    return [sys.executable, "-c", _BOOT, str(_ROOT), *options]


def _open_log(log_file: Path | None) -> IO[bytes]:
    return tempfile.TemporaryFile() if log_file is None else log_file.open("a+b")


def _listening_url(popen: subprocess.Popen[bytes]) -> str | None:
    """Return the URL from the line that says it listens; None when it ended, or did not say so in time."""
    assert popen.stdout is not None
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    printed = b""
    with selectors.DefaultSelector() as selector:
        selector.register(popen.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline_s - time.monotonic())):
            piece = os.read(popen.stdout.fileno(), 4096)
            if not piece:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    popen.wait(1.0)  # for its exit status
                return None
            printed += piece
            if found := _URL_LINE.search(printed):
                return str(json.loads(found[0])["url"])
    return None


def _end(popen: subprocess.Popen[bytes]) -> None:
    if popen.stdout is not None:
        popen.stdout.close()
    popen.kill()  # it has nothing to save, and an orderly end takes 0.16 s longer
    popen.wait()


def _not_started(status: int | None, stderr: str) -> str:
    what = f"gave no sign within {_START_TIMEOUT_S:g} s" if status is None else f"ended with exit status {status}"
    words = " ".join(stderr.split())[-500:] or "nothing"
    return (
        f"the embedded simulated endpoint {what}; its stderr says: {words}. "
        "Put that right, or name an endpoint of your own in endpoint_config.endpoints"
    )
