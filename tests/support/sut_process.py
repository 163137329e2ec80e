"""sut.py in a process, and what tests learn from it."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import psutil

from . import forked

#: Long enough for a busy machine; nothing is measured with it.
PATIENCE_S = 60.0


class Sut:
    """A server under test in its own process. Its counters are the ground truth of what was sent."""

    def __init__(self, options: dict[str, Any]) -> None:
        factory = forked.start("sut.py")
        assert factory.stdin is not None
        assert factory.stdout is not None
        print(json.dumps(options), file=factory.stdin, flush=True)
        pid, self.port = map(int, factory.stdout.readline().split())
        self._process = psutil.Process(pid)
        self.url = f"{'https' if options.get('tls') else 'http'}://127.0.0.1:{self.port}"

    def counts(self) -> dict[str, int]:
        return dict(self._get("counts"))

    @property
    def received(self) -> int:
        return int(self.counts()["received"])

    def times(self) -> list[tuple[int, int]]:
        """When each answered query came and when its answer left, in nanoseconds."""
        return [(begin, end) for begin, end in self._get("log")]

    def bodies(self) -> list[bytes]:
        """The body of every query, as they came."""
        return [base64.b64decode(raw).partition(b"\r\n\r\n")[2] for raw in self._get("wire")]

    def wait_for(self, received: int) -> None:
        until(lambda: self.received >= received, f"{received} queries at the server")

    def kill(self) -> None:
        """End the server, if it has not ended by itself, and wait until it is gone."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.kill()
            self._process.wait()

    def _get(self, what: str) -> Any:
        context = ssl._create_unverified_context() if self.url.startswith("https") else None
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
        with urllib.request.build_opener(*handlers).open(f"{self.url}/{what}", timeout=PATIENCE_S) as reply:
            return json.load(reply)


def until(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.02)
