"""Whatever a server does fails a query with its reason; only a server that is gone ends a phase."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import pytest

from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
from pytest_mlperf_audit.load import tally as tally_module
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.runs.query import REASONS
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput

FAULTS = {
    "500": "http_500",
    "503": "http_503",
    "redirect": "http_307",
    "truncated": "truncated",
    "cut": "truncated",
    "malformed": "malformed",
    "html": "malformed",
    "empty": "empty",
    "not_http": "protocol",
    "header_bomb": "protocol",
    "bad_chunk": "protocol",
    "echo_200": "server_error",
    "hang": "timeout",
    "drip": "timeout",
    "slow_head": "timeout",
    "continues": "timeout",
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.items())
@pytest.mark.parametrize("load", [Concurrency(target=2), MaxThroughput()], ids=["concurrency", "max_throughput"])
def test_a_fault_fails_its_query_and_no_other(engine, start_sut, fault, reason, load):
    sut = start_sut(service_ms=1, lanes=64, fault=fault, fault_every=4)
    ended = engine.drive(sut.url, n_samples=12, load=load, query_timeout_s=0.6)
    assert (ended.record.status, ended.record.stopped_by) == ("complete", "count")
    assert ended.record.figures.n_completed == 9
    assert ended.record.figures.failures == {reason: 3}
    assert reason in REASONS or reason.startswith("http_")
    assert sut.received == 12
    for query in ended.queries:
        assert query.completed_ns > query.issued_ns
        assert (query.reply is not None) == query.ok
        assert (query.detail is None) == query.ok or reason == "http_307"


def test_a_query_whose_kept_connection_closes_before_a_reply_is_sent_once_more(engine, start_sut):
    sut = start_sut(service_ms=1, lanes=64, fault="reset", fault_every=4)
    ended = engine.drive(sut.url, n_samples=12, load=Concurrency(target=1))
    resent = sum(query.resent for query in ended.queries)
    assert ended.record.figures.n_completed == 12
    assert resent == sut.received - 12 > 0


def test_a_server_that_closes_every_connection_is_asked_at_most_twice(engine, start_sut):
    sut = start_sut(service_ms=0, fault="reset", lanes=64)
    ended = engine.drive(sut.url, n_samples=8, query_timeout_s=0.3)
    assert ended.record.figures.failures == {"reset": 8}
    assert 8 <= sut.received <= 16


@pytest.mark.parametrize("fault", ["500", "hang"])
def test_a_server_that_never_answers_well_completes_nothing(engine, start_sut, fault):
    sut = start_sut(service_ms=0, fault=fault, lanes=64)
    ended = engine.drive(sut.url, n_samples=64, query_timeout_s=0.3)
    assert ended.record.status == "refused"
    assert ended.record.figures.n_completed == 0
    assert ended.record.figures.qps is None
    assert len(ended.queries) < 24, "it does not go on for long"


def test_what_a_server_said_is_quoted_and_counted(engine, start_sut):
    sut = start_sut(service_ms=0, fault="500")
    [query] = engine.drive(sut.url, n_samples=1).queries
    assert (query.status, query.reply_bytes, query.detail) == (500, 16, '{"error":"boom"}')


def test_text_from_outside_is_made_fit_to_show(engine, start_sut):
    sut = start_sut(service_ms=0, fault="malformed")
    [query] = engine.drive(sut.url, n_samples=1).queries
    assert query.detail.isprintable()
    assert len(query.detail) <= 200


def test_a_server_that_dies_leaves_the_records_and_no_verdict(engine, start_sut):
    sut = start_sut(service_ms=1, lanes=64, fault="die", fault_after=20)
    ended = engine.drive(sut.url, n_samples=64, load=Concurrency(target=4))
    assert ended.record.status == "endpoint_lost"
    assert "takes no connection any more" in ended.record.reason
    assert ended.record.figures.n_completed == sum(query.ok for query in ended.queries) <= 20
    assert "20 of 64 queries had completed" in ended.record.reason or ended.record.figures.n_completed < 20
    assert ended.outcomes <= {"completed", "reset", "connect", "truncated"}


def test_a_server_killed_in_mid_phase(engine, start_sut):
    sut = start_sut(service_ms=20, lanes=64)
    killer = threading.Thread(target=lambda: (sut.wait_for(8), sut.kill()))
    killer.start()
    ended = engine.drive(sut.url, n_samples=10_000, load=Concurrency(target=4))
    killer.join()
    assert ended.record.status == "endpoint_lost"
    assert ended.record.stopped_by == "abort"
    refused = ended.record.figures.failures["connect"]
    assert 100 <= refused < 120  # nobody sends ten thousand queries to a dead server
    assert len(ended.queries) < 10_000


def test_nobody_there(engine):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        ended = engine.drive(f"http://127.0.0.1:{taken.getsockname()[1]}", n_samples=500, load=Concurrency(target=1))
    assert ended.record.status == "endpoint_lost"
    assert ended.record.figures.failures == {"connect": 100}


@contextmanager
def deaf():
    """A port whose backlog is full, so that a further connection is neither taken nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        crowd = [socket.socket() for _ in range(3)]
        try:
            for one in crowd:
                one.setblocking(False)
                one.connect_ex(listener.getsockname())
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for one in crowd:
                one.close()


def test_an_endpoint_that_drops_connections_is_given_up_in_time(engine, monkeypatch):
    monkeypatch.setattr(tally_module, "_PATIENCE_NS", 10**9)
    with deaf() as url:
        target = Target(urls=(url,), connect_timeout_s=0.4)
        ended = engine.drive(target, n_samples=500, load=Concurrency(target=1))
    assert ended.record.status == "endpoint_lost"
    assert ended.record.stopped_by == "abort"
    assert set(ended.record.figures.failures) == {"connect"}
    assert 2 <= len(ended.queries) <= 4


def test_a_query_timeout_covers_connecting(engine):
    with deaf() as url:
        ended = engine.drive(Target(urls=(url,), connect_timeout_s=1.0), n_samples=1, query_timeout_s=0.3)
    assert ended.outcomes == {"connect"}
    assert ended.queries[0].completed_ns < 0.9e9


@pytest.mark.parametrize("fault", ["endless", "header_bomb", "continues"])
def test_a_flood_neither_hangs_nor_fills_memory(phase_process, ended, start_sut, fault):
    sut = start_sut(service_ms=0, lanes=64, fault=fault)
    found = ended(phase_process(sut.url, n=4, target=4, query_timeout_s=2.0))
    # Whether each reply ends at its size or at its time is the machine's: refused in one way, or in two and complete.
    assert found["status"] in (["refused"], ["complete"])
    assert found["grown_mib"] < 64


def test_an_endless_body_ends_at_the_limit_of_its_format(engine, start_sut):
    class Short(VideoGenAdapter):
        max_reply_bytes = 200_000

    engine.adapter = Short(engine.adapter.params)
    sut = start_sut(service_ms=0, fault="endless")

    ended = engine.drive(sut.url, n_samples=2)
    assert ended.outcomes == {"too_large"}
    assert all(query.reply_bytes < 600_000 for query in ended.queries)
    assert ended.queries[0].detail == "the reply exceeds 200000 bytes"
