from __future__ import annotations

import itertools
import statistics

import pytest

from pytest_mlperf_audit.load.pattern import arrivals
from pytest_mlperf_audit.runs.spec import Poisson


def schedule(load, n):
    return list(itertools.islice(arrivals(load, 0), n))


def test_arrivals_are_reproducible_by_seed():
    assert schedule(Poisson(target_qps=50.0, seed=1), 500) == schedule(Poisson(target_qps=50.0, seed=1), 500)
    assert schedule(Poisson(target_qps=50.0, seed=1), 500) != schedule(Poisson(target_qps=50.0, seed=2), 500)


@pytest.mark.parametrize("qps", [0.5, 30.0, 4000.0])
def test_gaps_are_exponential_at_the_rate_asked_for(qps):
    n = 20_000
    times = schedule(Poisson(target_qps=qps, seed=3), n)
    gaps = [(after - before) / 1e9 for before, after in itertools.pairwise(times)]
    assert times[0] == 0
    assert statistics.fmean(gaps) == pytest.approx(1 / qps, rel=5 / n**0.5)
    assert statistics.stdev(gaps) == pytest.approx(1 / qps, rel=0.05)  # an exponential's deviation is its mean
    assert statistics.median(gaps) == pytest.approx(0.6931 / qps, rel=0.05)


def test_queries_are_sent_when_they_are_due_and_never_before(engine, start_sut):
    sut = start_sut(service_ms=1, lanes=64)
    load = Poisson(target_qps=300.0, seed=4)
    ended = engine.drive(sut.url, n_samples=150, load=load)
    assert sut.received == ended.record.figures.n_completed == 150
    queries = sorted(ended.queries, key=lambda query: query.query)
    late = [query.issued_ns - query.due_ns for query in queries]
    assert min(late) >= 0
    assert statistics.median(late) < 50e6
    # Due times are counted from the first issue, which is a moment after it was due itself.
    planned = schedule(load, 150)
    shift = planned[0] - queries[0].due_ns
    assert [query.due_ns for query in queries] == [at - shift for at in planned]


def test_slow_replies_delay_no_arrival(engine, start_sut):
    sut = start_sut(service_ms=1500, lanes=1000)
    ended = engine.drive(sut.url, n_samples=100, load=Poisson(target_qps=200.0, seed=5))
    # All were issued before the first was answered.
    assert max(query.issued_ns for query in ended.queries) < min(query.completed_ns for query in ended.queries)
    assert sut.counts()["most_in_flight"] == 100
    assert ended.record.figures.n_completed == 100


def test_a_poisson_phase_keeps_floor_and_ceiling(engine, start_sut):
    sut = start_sut(service_ms=1, lanes=64)
    load = Poisson(target_qps=100.0, seed=6)
    floor = engine.drive(sut.url, n_samples=1, min_duration_ms=300, load=load)
    assert floor.record.figures.window_s >= 0.3
    ceiling = engine.drive(sut.url, n_samples=10_000, max_duration_ms=300, load=load)
    assert ceiling.record.stopped_by == "ceiling"
    assert ceiling.record.figures.issue_span_s < 0.3
    assert {*floor.outcomes, *ceiling.outcomes} == {"completed"}


def test_a_poisson_phase_drains_within_its_time(engine, start_sut):
    sut = start_sut(service_ms=1, lanes=64, fault="hang", fault_after=8)
    ended = engine.drive(sut.url, n_samples=12, load=Poisson(target_qps=200.0, seed=7), drain_timeout_s=0.3)
    assert ended.record.status == "undrained"
    assert [query.outcome for query in ended.queries].count("cancelled") == 4


def test_a_server_that_dies_ends_a_poisson_phase(engine, start_sut):
    sut = start_sut(service_ms=0, lanes=64, fault="die", fault_after=5)
    ended = engine.drive(sut.url, n_samples=100_000, load=Poisson(target_qps=2000.0, seed=8))
    assert ended.record.status == "endpoint_lost"
    assert len(ended.queries) < 1000
