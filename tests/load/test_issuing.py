"""How many queries are sent, how many at a time, and what ends a phase."""

from __future__ import annotations

import threading

import pytest

from pytest_mlperf_audit.load.loop import loop_name
from pytest_mlperf_audit.runs.order import sequential, single, with_replacement, without_replacement
from pytest_mlperf_audit.runs.spec import Concurrency, Keep, MaxThroughput

S = 10**9


@pytest.mark.parametrize("n", [1, 3, 64, 200])
@pytest.mark.parametrize("load", [Concurrency(target=1), Concurrency(target=8), MaxThroughput()])
def test_exactly_as_many_queries_as_asked_for(engine, start_sut, n, load):
    sut = start_sut(service_ms=0, lanes=64)
    ended = engine.drive(sut.url, n_samples=n, load=load)
    assert sut.received == len(ended.queries) == ended.record.figures.n_completed == n
    assert sorted(query.query for query in ended.queries) == list(range(n))
    assert (ended.record.status, ended.record.stopped_by) == ("complete", "count")


@pytest.mark.parametrize("target", [1, 3, 16])
def test_concurrency_is_reached_and_never_exceeded(engine, start_sut, target):
    sut = start_sut(service_ms=10, lanes=64)
    engine.drive(sut.url, n_samples=64, load=Concurrency(target=target))
    assert sut.counts()["most_in_flight"] == target


def test_concurrency_above_the_count_sends_no_more(engine, start_sut):
    sut = start_sut(service_ms=10, lanes=64)
    engine.drive(sut.url, n_samples=5, load=Concurrency(target=64))
    assert sut.counts()["most_in_flight"] == sut.received == 5


def test_max_throughput_has_everything_in_flight(engine, start_sut):
    sut = start_sut(service_ms=2000, lanes=2000)
    ended = engine.drive(sut.url, n_samples=600, load=MaxThroughput())
    assert sut.counts()["most_in_flight"] == 600
    assert ended.record.figures.n_completed == 600


def test_max_throughput_keeps_to_its_connections(engine, start_sut):
    sut = start_sut(service_ms=5, lanes=64)
    engine.drive(sut.url, n_samples=60, load=MaxThroughput(max_in_flight=6))
    assert sut.counts()["most_in_flight"] == 6


@pytest.mark.parametrize(
    "order", [single(3), sequential(), without_replacement(5), with_replacement(5), without_replacement(5, wrap=True)]
)
def test_the_order_asked_for_is_the_order_sent(engine, start_sut, order):
    sut = start_sut(service_ms=0)
    ended = engine.drive(sut.url, n_samples=40, order=order, load=Concurrency(target=1))
    expected = [next(drawn) for drawn in [order.indices(64)] for _ in range(40)]
    assert [query.sample for query in ended.queries] == expected
    assert sut.bodies() == [engine.source.body(row) for row in expected]


def test_a_distinct_order_ends_with_its_rows(engine, start_sut):
    sut = start_sut(service_ms=0, lanes=64)
    ended = engine.drive(sut.url, n_samples=100, order=without_replacement(1))
    assert (ended.record.status, ended.record.stopped_by) == ("complete", "samples_exhausted")
    assert sut.received == ended.record.figures.n_distinct_requests == 64


@pytest.mark.parametrize("target", [1, 4])
def test_the_floor_holds_beside_the_count(engine, start_sut, target):
    sut = start_sut(service_ms=5, lanes=64)
    ended = engine.drive(sut.url, n_samples=3, min_duration_ms=300, load=Concurrency(target=target))
    assert ended.record.figures.window_s >= 0.3
    assert sut.received == len(ended.queries) > 3
    assert ended.record.stopped_by == "count"
    # Once it is reached, only what is in flight comes in.
    assert 1 <= sum(query.completed_ns >= 0.3 * S for query in ended.queries) <= target


def test_the_count_holds_beside_the_floor(engine, start_sut):
    sut = start_sut(service_ms=5)
    ended = engine.drive(sut.url, n_samples=40, min_duration_ms=1, load=Concurrency(target=1))
    assert sut.received == 40
    assert ended.record.figures.window_s > 0.1


def test_a_failure_at_the_floor_does_not_cut_the_phase_short_of_it(engine, start_sut):
    sut = start_sut(service_ms=20, fault="500", fault_every=2)
    ended = engine.drive(sut.url, n_samples=1, min_duration_ms=250, load=Concurrency(target=1))
    assert ended.record.figures.window_s >= 0.25
    assert ended.queries[-1].ok


def test_an_endpoint_that_only_fails_cannot_hold_a_floor_open(engine, start_sut):
    sut = start_sut(service_ms=0, fault="500", fault_after=5)
    ended = engine.drive(sut.url, n_samples=1, min_duration_ms=200, load=Concurrency(target=1))
    assert ended.record.status == "complete"
    assert ended.record.figures.n_completed == 5
    assert ended.queries[-1].completed_ns >= 0.2 * S


def test_the_ceiling_ends_the_issuing_and_waits_for_replies(engine, start_sut):
    sut = start_sut(service_ms=50, lanes=64)
    ended = engine.drive(sut.url, n_samples=1000, max_duration_ms=200, load=Concurrency(target=4))
    assert (ended.record.status, ended.record.stopped_by) == ("complete", "ceiling")
    assert 4 <= len(ended.queries) == sut.received < 1000
    assert ended.outcomes == {"completed"}
    assert max(query.issued_ns for query in ended.queries) < max(query.completed_ns for query in ended.queries)


def test_a_drain_that_runs_out_leaves_no_verdict(engine, start_sut):
    sut = start_sut(service_ms=0, lanes=64, fault="hang", fault_after=6)
    ended = engine.drive(sut.url, n_samples=10, drain_timeout_s=0.3)
    assert ended.record.status == "undrained"
    assert "4 queries were still in flight" in ended.record.reason
    assert [query.outcome for query in ended.queries].count("completed") == 6
    assert [query.outcome for query in ended.queries].count("cancelled") == 4
    assert sut.received == 10


def test_a_drain_within_its_time_is_complete(engine, start_sut):
    sut = start_sut(service_ms=20, lanes=64)
    assert engine.drive(sut.url, drain_timeout_s=30.0).record.status == "complete"


def test_what_follows_an_incomplete_phase_is_not_sent(engine, start_sut):
    sut = start_sut(service_ms=0, fault="hang", fault_after=3)
    specs = [engine.spec("first", n_samples=5, drain_timeout_s=0.2), engine.spec("second")]
    [first] = engine.drive_all(sut.url, specs)
    assert first.record.status == "undrained"
    assert sut.received == 5


def test_outputs_are_kept_only_on_request(engine, start_sut):
    sut = start_sut(service_ms=0)
    assert all(query.output for query in engine.drive(sut.url, keep=Keep()).queries)
    assert not any(query.output for query in engine.drive(sut.url).queries)


def test_a_seeded_part_of_the_outputs_is_kept(engine, start_sut):
    sut = start_sut(service_ms=0)
    kept = [
        [
            query.query
            for query in engine.drive(sut.url, n_samples=40, keep=Keep(target=7, seed=seed)).queries
            if query.output
        ]
        for seed in (1, 1, 2)
    ]
    assert [len(numbers) for numbers in kept] == [7, 7, 7]
    assert sorted(kept[0]) == sorted(kept[1]) != sorted(kept[2])


def test_what_the_data_set_says_is_noted_beside_the_outputs(engine, start_sut):
    ended = engine.drive(start_sut(service_ms=0).url, keep=Keep(expected="prompt"))
    assert all(query.expected == engine.source.value(query.sample, "prompt") for query in ended.queries)


def test_an_order_that_the_rows_cannot_give_crashes_the_phase(engine, start_sut):
    ended = engine.drive(start_sut().url, order=single(99))
    assert ended.record.status == "crashed"
    assert "IndexError: row 99 of a data set of 64 rows" in ended.record.reason
    assert ended.queries == []


def test_another_thread_may_drive(engine, start_sut):
    sut = start_sut(service_ms=1, lanes=8)
    found = []
    thread = threading.Thread(target=lambda: found.append(engine.drive(sut.url)))
    thread.start()
    thread.join()
    assert found[0].record.status == "complete"


def test_plain_asyncio_will_do(phase_process, ended, start_sut):
    sut = start_sut(service_ms=1, lanes=8)
    assert ended(phase_process(sut.url, loop="asyncio", n=50)) | {"grown_mib": 0} == {
        "loop": "asyncio",
        "status": ["complete"],
        "grown_mib": 0,
    }
    assert sut.received == 50


def test_uvloop_is_used_where_it_is():
    pytest.importorskip("uvloop")
    assert loop_name() == "uvloop"
