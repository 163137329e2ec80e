"""Chunks of a reply that are broken in a way of which aiohttp tells nobody who reads the body."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
STARTED = b'28\r\n{"id": "c", "choices": [{"index": 0, '
#: The end of the first chunk, then one that is longer than it says.
BROKEN = b'"me\r\n28\r\nssage": {"es": [{"index": 0, "me\r\n28\r\nssage": {"role": "assistant", "content":\r\n25\r\n'


@pytest.fixture
def url() -> Iterator[str]:
    """A server that sends the same broken reply to every query, and keeps its connections open."""
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection:
            while b"POST" not in (asked := connection.recv(65536)):
                if not asked:
                    return
                connection.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            for part in (HEAD + STARTED, BROKEN, b'"first"}'):
                connection.sendall(part)
                over.wait(0.05)
            over.wait()

    def serve(listener: socket.socket) -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()


def test_a_query_with_a_broken_chunk_fails_and_does_not_wait_for_ever(engine, url):
    ended = engine.drive(url, n_samples=3, query_timeout_s=20.0)
    assert ended.outcomes == {"protocol"}
    assert ended.record.status == "refused", "all of them, in one way"
    assert all("Expected LF after chunk data" in query.detail for query in ended.queries)
