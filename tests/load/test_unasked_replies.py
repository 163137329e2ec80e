"""A reply that nobody asked for is no answer: the next query on its connection would take it for its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.runs.spec import Concurrency

_NOT_ALLOWED = b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"
_BODY = b'{"video_path": "/unasked.mp4"}'
_REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, extra_after: str) -> None:
    """Answer one request at a time, and `extra_after` a method once more than asked; "late": in a first query."""
    ahead, greeted = extra_after == "late", False
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method = head.partition(b" ")[0].decode()
            if method == "POST":
                await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
            reply = _REPLY if method == "POST" else _NOT_ALLOWED
            if b"/metrics" in head:
                await asyncio.sleep(0.1)
                reply = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na_b 1"
            elif method == "GET" and extra_after == "limit" and greeted:
                reply = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"
            greeted = greeted or method == "GET"
            if method == "POST":
                await asyncio.sleep(0.02)
                if ahead:  # from here on each query gets the reply of the one before it, at once
                    writer.write(_REPLY)
                    ahead = False
                    await asyncio.sleep(0.02)
            writer.write(reply + (_REPLY if method == extra_after else b""))
            if method == "POST" and extra_after == "behind":
                await asyncio.sleep(0.03)
                writer.write(_REPLY)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _serve_until(stop: asyncio.Event, urls: list[str], ready: threading.Event) -> None:
    servers = [
        await asyncio.start_server(partial(_serve, extra_after=extra), "127.0.0.1", 0)
        for extra in ("GET", "POST", "late", "behind", "limit", "")
    ]
    urls += [f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers]
    ready.set()
    await stop.wait()
    for server in servers:
        server.close()
    connections = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    await asyncio.wait(connections, timeout=5) if connections else None


@pytest.fixture
def talkative() -> Iterator[list[str]]:
    """Servers that send a reply too many: after each GET, after each POST, once in mid-query, a while after each POST.

    Two are honest; the first of them answers later GETs with 429.
    """
    urls: list[str] = []
    ready, stop, loops = threading.Event(), asyncio.Event(), []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        await _serve_until(stop, urls, ready)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(10)
    yield urls
    loops[0].call_soon_threadsafe(stop.set)
    thread.join()


def test_a_server_that_answers_unasked_gives_no_verdict(engine, talkative):
    *unasked, _, limiting, honest = talkative
    for url in unasked:
        ended = engine.drive(url, n_samples=8, load=Concurrency(target=2))
        record = ended.record
        assert record.status == "refused"
        assert record.figures.n_completed == 0
        assert record.figures.failures == {"protocol": 8}
        assert not [query for query in ended.queries if query.ok]
        assert "answers what was not asked" in (record.reason or "")
    for url in (limiting, honest):
        assert engine.drive(url, n_samples=8, load=Concurrency(target=2)).record.status == "complete"


def test_a_reply_that_comes_while_the_metrics_page_is_read_is_found(engine, talkative):
    behind = talkative[3]
    target = Target(urls=(behind,), metrics=(f"{behind}/metrics",))
    record = engine.drive(target, n_samples=2, load=Concurrency(target=2)).record
    assert (record.status, record.figures.n_completed) == ("refused", 0)
