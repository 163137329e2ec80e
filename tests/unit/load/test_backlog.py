"""The count of queries in flight, which says how many connections a server takes."""

from __future__ import annotations

import asyncio

import pytest

from pytest_mlperf_audit.load.http import HttpTransport, _StatusOnly
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.load.transport import TransportError
from pytest_mlperf_audit.load.wire import Connection


def test_a_connection_closed_before_a_query_leaves_the_count_as_it_was():
    async def ask() -> int:
        transport = HttpTransport(Target(urls=("http://127.0.0.1:9",)), "/", {}, 1024)
        closed = Connection(asyncio.get_running_loop(), transport._addresses[0], lambda: None, lambda _: None)
        closed.connection_lost(None)
        with pytest.raises(TransportError, match="closed before the query was sent"):
            await transport._carrier.ask(closed, b"", _StatusOnly(), 5.0, 1024)
        await transport.close()
        return transport._backlog.in_flight

    assert asyncio.run(ask()) == 0
