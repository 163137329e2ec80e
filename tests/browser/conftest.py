"""Headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import runpy
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
]

_runs = runpy.run_path(str(Path(__file__).parents[1] / "unit/report/conftest.py"))
make_run = _runs["make_run"]
make_probe = _runs["make_probe"]
make_probed = _runs["make_probed"]


class Tab:
    """A page: send commands, and gather what it reports meanwhile."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    async def send(self, method: str, **params: object) -> dict[str, Any]:
        """Run a DevTools command and return its result."""
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json(timeout=30)
            if message.get("id") == number:
                assert "error" not in message, message
                return dict(message["result"])
            self.events.append(message)

    async def open(self, path: Path) -> None:
        """Load a file and wait until it has loaded."""
        for domain in ("Page", "Log", "Runtime", "Audits", "Network"):
            await self.send(f"{domain}.enable")
        self.events.clear()
        await self.send("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(await self._socket.receive_json(timeout=30))

    async def value(self, expression: str) -> Any:
        """Evaluate a JavaScript expression; DevTools may, though the page itself may not."""
        result = await self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"]["value"]

    async def size(self, width: int, height: int = 900) -> None:
        """Show the page on a screen of that size."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    async def media(self, scheme: str) -> None:
        """Prefer a `light` or `dark` page."""
        await self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    @property
    def complaints(self) -> list[str]:
        """Console messages, exceptions and security issues."""
        bad = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Audits.issueAdded"}
        return [str(event) for event in self.events if event["method"] in bad]

    @property
    def requested(self) -> list[str]:
        """Addresses that were asked for."""
        return [
            event["params"]["request"]["url"] for event in self.events if event["method"] == "Network.requestWillBeSent"
        ]


class Browser:
    """A running Chromium."""

    def __init__(self, port: int) -> None:
        self._port = port

    @contextlib.asynccontextmanager
    async def tab(self) -> AsyncIterator[Tab]:
        """Open a tab for a while."""
        base = f"http://127.0.0.1:{self._port}/json"
        async with aiohttp.ClientSession() as session:
            async with session.put(f"{base}/new?about:blank") as reply:
                address = (await reply.json())["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                yield Tab(socket)
            await asyncio.sleep(0)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start Chromium; skip where there is none."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    profile = tmp_path_factory.mktemp("chromium")
    with subprocess.Popen(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield Browser(_port(profile / "DevToolsActivePort", process))
        finally:
            process.terminate()


def _port(file: Path, process: subprocess.Popen[bytes]) -> int:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(file.read_text().splitlines()[0])
        time.sleep(0.05)
    raise RuntimeError(f"Chromium did not open its DevTools port (exit status {process.poll()})")
