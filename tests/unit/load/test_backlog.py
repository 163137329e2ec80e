"""The count of queries in flight, which says how many connections a server takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pytest_mlperf_audit.load.conversation import Books, Conversation
from pytest_mlperf_audit.load.transport import TransportError


class Closed:
    """A connection that the server has closed before the query was sent."""

    transport = None
    should_close = True
    _buffer = _tail = b""

    def __init__(self) -> None:
        self.protocol: Any = self

    def close(self) -> None:
        pass


def test_a_connection_closed_before_a_query_leaves_the_count_as_it_was():
    books, loop, connection = Books(), asyncio.new_event_loop(), Closed()
    try:
        with pytest.raises(TransportError), Conversation(connection, loop, None, books):  # type: ignore[arg-type]
            pass
    finally:
        loop.close()
    assert books.backlog.in_flight == 0
