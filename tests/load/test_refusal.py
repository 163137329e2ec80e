"""Is a lost endpoint told from one that only broke connections? A dying process's system still takes new ones."""

from __future__ import annotations

import asyncio

import pytest

from pytest_mlperf_audit.load.http import HttpTransport
from pytest_mlperf_audit.load.target import Target


def refusal(behaviours):
    """Return what a transport makes of a server that treats its first, second, ... connection so, then is gone."""

    async def scenario():
        left = list(behaviours)
        held = []

        async def take(_reader, writer):
            if left.pop(0) == "hold":
                held.append(writer)
            else:
                writer.close()
            if not left:
                server.close()

        server = await asyncio.start_server(take, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport = HttpTransport(Target(urls=(f"http://127.0.0.1:{port}",)), "/", {}, 1024)
        try:
            return await transport.refusal()
        finally:
            for writer in held:
                writer.close()
            server.close()
            await transport.close()
            await asyncio.sleep(0.01)

    return asyncio.run(scenario())


def test_a_server_that_holds_the_connection_is_there():
    assert refusal(["hold", "hold"]) is None


@pytest.mark.parametrize("before_it_is_gone", [1, 2])
def test_a_server_that_goes_in_this_moment_is_lost(before_it_is_gone):
    assert refusal(["close"] * before_it_is_gone).reason == "connect"


def test_a_server_that_closes_every_connection_is_lost():
    assert "every new connection is closed" in refusal(["close"] * 9).detail


def test_a_server_that_closed_one_connection_is_there():
    assert refusal(["close", "hold", "hold"]) is None
