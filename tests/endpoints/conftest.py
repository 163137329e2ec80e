from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated import process
from tests.support import forked

CHAT = "/v1/chat/completions"
VIDEO = "/v1/videos/generations"


class Answered:
    """What one request was answered with."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.media_type = response.headers.get_content_type()
        self.body = response.read()

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A plain client of a simulated endpoint: http.client, one connection per request."""

    def __init__(self, running: process.SimulatedProcess) -> None:
        self.process = running
        self.address = (urlsplit(running.url).hostname or "", urlsplit(running.url).port or 0)

    def send(self, method: str, path: str, body: bytes | None = None) -> Answered:
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            return Answered(connection.getresponse())
        finally:
            connection.close()

    def video(self, prompt: str, **fields: Any) -> Answered:
        return self.send("POST", VIDEO, json.dumps({"prompt": prompt, **fields}).encode())

    def chat(self, prompt: str, **fields: Any) -> Answered:
        messages = [{"role": "user", "content": prompt}]
        return self.send("POST", CHAT, json.dumps({"model": "m", "messages": messages, **fields}).encode())

    def at_once(self, prompts: list[str]) -> list[Answered]:
        """Ask for a video of each prompt, all in flight together."""
        with ThreadPoolExecutor(len(prompts)) as pool:
            return list(pool.map(self.video, prompts))

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self.send("GET", "/simulated/stats").json()
        return stats

    def log(self) -> list[list[int]]:
        rows: list[list[int]] = self.send("GET", "/simulated/log").json()
        return rows

    def counts(self) -> tuple[int, int, int, int]:
        """Return received, computed, cache hits, errors."""
        stats = self.stats()
        return stats["received"], stats["computed"], stats["cache_hits"], stats["errors"]


Start = Callable[..., Client]


class Pool:
    """Simulated endpoints by configuration, so that tests that ask for the same one share its process.

    What is asked for alone is started as users start it, what is shared from a Python that has imported all.
    """

    def __init__(self) -> None:
        self._running: dict[SimulatedConfig, list[process.SimulatedProcess]] = {}

    def get(self, config: SimulatedConfig, *, alone: bool) -> process.SimulatedProcess:
        idle = [one for one in self._running.get(config, ()) if one.running]
        if idle and not alone:
            return idle[0]
        with pytest.MonkeyPatch.context() as monkeypatch:
            if not alone:
                forked.simulated_endpoints(monkeypatch)
            started = process.start(config, watch_pid=os.getpid())
        self._running.setdefault(config, []).append(started)
        return started

    def stop(self) -> None:
        for processes in self._running.values():
            for one in processes:
                one.stop()


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.stop()


@pytest.fixture
def simulated(pool: Pool) -> Start:
    """Give a client of a simulated endpoint as SimulatedConfig's keywords ask, freshly reset.

    `alone` gives one whose process nobody used before.
    """

    def start(*, alone: bool = False, **config: Any) -> Client:
        client = Client(pool.get(SimulatedConfig(**{"service_time_ms": 1.0, **config}), alone=alone))
        assert client.send("POST", "/simulated/reset").status == 200
        return client

    return start
