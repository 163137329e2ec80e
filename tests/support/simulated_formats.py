"""The simulated endpoint's wire formats without its process: requests read and answered, or sent to a server here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
import msgspec

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated import wire
from pytest_mlperf_audit.endpoints.simulated.exchange import Answer, Ask
from pytest_mlperf_audit.endpoints.simulated.formats.contract import Body, Request
from pytest_mlperf_audit.endpoints.simulated.server import Server


def ask_of(name: str, document: Any) -> Ask:
    """Return what a document asks for in the format of that name."""
    return wire.read(Request(name, "/", "/", json.dumps(document).encode()))


def reply_to(name: str, document: Any, **config: Any) -> Body:
    """Return the reply to a document under a fixed id and time, with two output tokens and one cached word."""
    settings = SimulatedConfig(**{"output_tokens": 2, **config})
    ask = ask_of(name, document)
    answer = Answer.to(ask, 1, dishonest=settings.dishonest)
    return wire.reply(settings, ask, msgspec.structs.replace(answer, id="ID", created_s=5))


class Got(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def sent(
    *requests: tuple[str, str, bytes], headers: Mapping[str, str] | None = None, **config: Any
) -> tuple[list[Got], dict[str, Any]]:
    """Send (method, path, body) in turn to a server of this process; return what came, and the counters."""

    async def run() -> tuple[list[Got], dict[str, Any]]:
        server = Server(SimulatedConfig(**{"service_time_ms": 0.0, **config}))
        url = await server.listen(0)
        try:
            async with aiohttp.ClientSession() as session:
                got = []
                for method, path, body in requests:
                    async with session.request(method, url + path, data=body or None, headers=headers) as response:
                        got.append(Got(response.status, response.headers, await response.read()))
                async with session.get(f"{url}/simulated/stats") as response:
                    return got, await response.json()
        finally:
            await server.close()

    return asyncio.run(run())
