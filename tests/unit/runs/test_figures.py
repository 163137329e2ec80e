from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.phase import figures
from pytest_mlperf_audit.runs.query import COMPLETED, QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput, Poisson

S = 10**9
OFFLINE = MaxThroughput()

queries = st.builds(
    lambda issued, took, outcome, sample, first, tokens: QueryRecord(
        query=0,
        sample=sample,
        issued_ns=issued,
        completed_ns=issued + took,
        request=f"{sample:032x}",
        outcome=outcome,
        first_token_ns=None if first is None else issued + round(first * took),
        tokens=tokens,
    ),
    st.integers(0, 100 * S),
    st.integers(1, 10 * S),
    st.sampled_from([COMPLETED, COMPLETED, COMPLETED, "timeout", "http_500"]),
    st.integers(0, 9),
    st.none() | st.floats(0, 1),
    st.none() | st.integers(0, 1000),
)


@given(st.lists(queries, max_size=80))
def test_figures_agree_with_a_naive_computation(records):
    found = figures(QueryColumns(records), OFFLINE)
    done = [record for record in records if record.ok]
    assert found.n_issued == len(records)
    assert found.n_completed == len(done)
    assert found.n_failed == len(records) - len(done)
    assert sum(found.failures.values()) == found.n_failed
    assert found.n_distinct_samples == found.n_distinct_requests == len({record.sample for record in records})
    assert found.issue_span_s == pytest.approx(
        (max(r.issued_ns for r in records) - min(r.issued_ns for r in records)) / S if records else 0.0
    )
    if not done:
        assert [found.window_s, found.qps, found.latency, found.time_to_first_token] == [None] * 4
        return
    window_s = (max(record.completed_ns for record in done) - min(record.issued_ns for record in records)) / S
    assert found.window_s == pytest.approx(window_s)
    assert found.qps == (pytest.approx(len(done) / window_s) if window_s > 0 else None)
    latencies = [(record.completed_ns - record.issued_ns) / S for record in done]
    assert found.latency is not None
    assert found.latency.n == len(done)
    assert found.latency.mean_s == pytest.approx(statistics.fmean(latencies))
    assert found.latency.p50_s == pytest.approx(statistics.median(latencies))
    assert (found.latency.min_s, found.latency.max_s) == pytest.approx((min(latencies), max(latencies)))
    firsts = [(r.first_token_ns - r.issued_ns) / S for r in done if r.first_token_ns is not None]
    if firsts:
        assert found.time_to_first_token is not None
        assert found.time_to_first_token.mean_s == pytest.approx(statistics.fmean(firsts), abs=1e-12)
    counted = [record.tokens for record in done if record.tokens is not None]
    assert found.output_tokens == (sum(counted) if counted else None)


def test_no_query_at_all():
    found = figures(QueryColumns(), Concurrency(target=1))
    assert (found.n_issued, found.n_completed, found.failures) == (0, 0, {})
    nothing = [found.window_s, found.qps, found.latency, found.early_stopping_p90_s, found.first_request]
    assert nothing == [None] * 5
    assert found.n_distinct_requests == found.n_distinct_samples == found.cached_tokens == 0
    assert found.issue_span_s == 0.0


def test_all_failed(query):
    found = figures(QueryColumns(query(at, at + 5, outcome="timeout") for at in range(70)), Concurrency(target=1))
    assert found.n_completed == 0
    assert found.failures == {"timeout": 70}
    assert [found.window_s, found.qps, found.latency, found.early_stopping_p90_s] == [None] * 4
    assert found.n_distinct_requests == 1


def test_one_query(query):
    found = figures(QueryColumns([query(0, 2 * S)]), OFFLINE)
    assert found.window_s == 2.0
    assert found.qps == 0.5
    assert found.latency is not None
    assert found.latency.cv is None
    assert found.latency.p99_s == 2.0


def test_completion_order_does_not_matter(query):
    records = [query(0, 9 * S), query(S, 3 * S, sample=1), query(2 * S, 4 * S, sample=2, outcome="http_500")]
    forth = figures(QueryColumns(records), OFFLINE)
    back = figures(QueryColumns(reversed(records)), OFFLINE)
    assert forth.window_s == back.window_s == 9.0
    assert forth.qps == back.qps == pytest.approx(2 / 9)
    assert forth.latency == back.latency


def test_a_late_failure_does_not_stretch_the_window(query):
    done = [query(0, S), query(0, 2 * S)]
    assert figures(QueryColumns([*done, query(S, 100 * S, outcome="timeout")]), OFFLINE).window_s == 2.0


def test_the_window_opens_with_the_first_issue_of_any_query(query):
    assert figures(QueryColumns([query(0, S, outcome="http_500"), query(S, 3 * S)]), OFFLINE).window_s == 3.0


@pytest.mark.parametrize(
    ("load", "n", "there"),
    [
        (Concurrency(target=1), 64, True),
        (Concurrency(target=1), 63, False),
        (Concurrency(target=2), 64, False),
        (MaxThroughput(), 64, False),
        (Poisson(target_qps=1.0, seed=1), 64, False),
    ],
)
def test_the_early_stopping_percentile_belongs_to_single_stream(query, load, n, there):
    found = figures(QueryColumns(query(at, 2 * at + 1) for at in range(n)), load)
    assert (found.early_stopping_p90_s is not None) == there


@given(st.lists(queries, max_size=40))
def test_queries_in_flight_and_tenths_agree_with_a_naive_computation(records):
    found = figures(QueryColumns(records), OFFLINE)
    flights = [sum(one.issued_ns <= other.issued_ns < one.completed_ns for one in records) for other in records]
    assert found.most_in_flight == max(flights, default=0)
    done = [record for record in records if record.ok]
    if not done:
        assert found.qps_by_tenth == ()
        return
    assert len(found.qps_by_tenth) == 10
    assert found.window_s is not None
    assert sum(found.qps_by_tenth) * found.window_s / 10 == pytest.approx(len(done))


def test_a_slow_start_shows_in_the_first_tenths():
    ends = [2, *(2 + 0.1 * number for number in range(1, 81))]  # one in two seconds, then ten a second
    records = [
        QueryRecord(query=at, sample=0, issued_ns=0, completed_ns=round(end * S), request="0" * 32, outcome=COMPLETED)
        for at, end in enumerate(ends)
    ]
    by_tenth = figures(QueryColumns(records), OFFLINE).qps_by_tenth
    assert by_tenth[:2] == pytest.approx((0, 0), abs=1)
    assert by_tenth[3:] == pytest.approx([10] * 7, abs=1.01)
