"""A server whose threads are fewer than the connections of the load: each thread stays with one until it is closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pytest_mlperf_audit.load import backlog, http
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput

_BODY = b'{"video_path": "/1.mp4"}'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    slow_s: Iterator[float] = iter(())

    def do_GET(self):
        self.send_response(405)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        time.sleep(next(self.slow_s, 0.01))
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(_BODY)))
        self.end_headers()
        self.wfile.write(_BODY)

    def log_message(self, *args):
        pass


class _Pool(HTTPServer):
    request_queue_size = 64


class _Closing(_Handler):
    """As Python's own server does, it closes a connection on which it sent an error."""

    def do_GET(self):
        self.send_error(405)


@pytest.fixture
def pool():
    """Start a server with so many threads; returns its URL."""
    servers: list[_Pool] = []
    threads: list[threading.Thread] = []
    stopped = threading.Event()

    def work(server):
        while not stopped.is_set():
            server.handle_request()

    def start(n_threads, handler=_Handler):
        server = _Pool(("127.0.0.1", 0), handler)
        server.timeout = 0.1
        server.socket.settimeout(0.1)
        servers.append(server)
        started = [threading.Thread(target=work, args=(server,), daemon=True) for _ in range(n_threads)]
        threads.extend(started)
        for thread in started:
            thread.start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    stopped.set()
    for thread in threads:
        thread.join(5)
    for server in servers:
        server.server_close()


LOADS = pytest.mark.parametrize("load", [Concurrency(target=4), MaxThroughput()], ids=["concurrency", "max_throughput"])


@LOADS
def test_connections_that_a_server_does_not_take_are_noticed_and_cost_no_query(engine, pool, monkeypatch, load):
    monkeypatch.setattr(http, "_PATIENCE_S", 0.3)
    specs = [engine.spec(label, n_samples=12, load=load, query_timeout_s=5.0) for label in ("reference", "audit")]
    for ended in engine.drive_all(pool(2), specs):
        assert ended.record.status == "complete"
        assert ended.record.figures.n_completed == 12
        assert ended.record.connections_taken == 2
        assert (ended.record.client.opened, ended.record.client.reused) == (0, 12), "no more than it takes"


@LOADS
def test_kept_connections_are_given_up_for_queries_that_starve(engine, pool, monkeypatch, load):
    monkeypatch.setattr(backlog, "_PATIENCE_S", 0.05)
    specs = [engine.spec(label, n_samples=12, load=load, query_timeout_s=5.0) for label in ("reference", "audit")]
    first, second = engine.drive_all(pool(2, _Closing), specs)
    assert first.record.figures.n_completed == second.record.figures.n_completed == 12
    assert first.record.starved > 0
    assert first.record.connections_taken == second.record.connections_taken == 2
    assert second.record.starved == 0, "the client has learnt how many it takes"


def test_a_slow_reply_is_no_starving_query(engine, pool, monkeypatch):
    monkeypatch.setattr(backlog, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(_Closing, "slow_s", iter([0.8]))
    record = engine.drive(pool(8, _Closing), n_samples=12, load=Concurrency(target=4), query_timeout_s=5.0).record
    assert (record.figures.n_completed, record.connections_taken, record.starved) == (12, None, 0)
    assert record.figures.latency.max_s > 0.7


def test_a_server_that_takes_all_is_not_held_back(engine, pool):
    record = engine.drive(pool(4), n_samples=12, load=Concurrency(target=4)).record
    assert (record.figures.n_completed, record.connections_taken, record.starved) == (12, None, 0)
