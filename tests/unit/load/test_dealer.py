"""Which positions one process deals, and what ends the dealing."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.load import dealer as dealer_module
from pytest_mlperf_audit.load.dealer import LocalDealer
from pytest_mlperf_audit.load.tally import Tally
from pytest_mlperf_audit.runs.order import sequential, without_replacement
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec

MS = 1_000_000


def spec(**changed) -> RunSpec:
    given = {"label": "phase", "n_samples": 4, "order": sequential(wrap=True), "load": Concurrency(target=1), **changed}
    return RunSpec(**given)


def ended(number: int, at_ms: float, outcome: str = "completed") -> QueryRecord:
    return QueryRecord(
        query=number, sample=0, issued_ns=0, completed_ns=int(at_ms * MS), request="0" * 32, outcome=outcome
    )


@pytest.fixture
def deal(monkeypatch):
    """Deal as one sender would whose queries take 10 ms each; return how many positions there were, and why no more."""

    def run(planned: RunSpec, outcome: str = "completed", n_rows: int = 10, failing_from: int = 0):
        tally = Tally()
        tally.zero_ns = 1
        dealer = LocalDealer(planned, n_rows, tally)
        monkeypatch.setattr(dealer_module, "perf_counter_ns", lambda: 1 + tally.latest_ns)
        dealt = 0
        while (position := dealer.take()) is not None:
            assert position == dealt
            dealt += 1
            tally.n_issued += 1
            tally.note(ended(position, 10 * dealt, outcome if position >= failing_from else "completed"))
            assert dealt < 500
        assert dealer.over
        assert dealer.take() is None
        assert dealer.is_due_to_end()
        return dealt, dealer.stopped_by

    return run


def test_a_count_ends_it(deal):
    assert deal(spec()) == (4, "count")


def test_a_duration_floor_goes_beyond_the_count(deal):
    assert deal(spec(min_duration_ms=95)) == (10, "count")


@pytest.mark.parametrize(("floor_ms", "n_queries"), [(0, 4), (30, 4), (41, 8), (95, 12), (120, 12), (125, 16)])
def test_a_phase_of_whole_passes_goes_on_to_the_end_of_one(deal, floor_ms, n_queries):
    assert deal(spec(min_duration_ms=floor_ms, multiple_of=4)) == (n_queries, "count")


def test_a_ceiling_ends_a_pass(deal):
    assert deal(spec(min_duration_ms=41, max_duration_ms=60, multiple_of=4)) == (6, "ceiling")


def test_at_its_floor_a_phase_waits_for_a_completion_but_not_for_ever(deal):
    assert deal(spec(min_duration_ms=25), "http_500", failing_from=2) == (12, "count")


def test_a_ceiling_ends_it_below_the_count(deal):
    assert deal(spec(n_samples=100, max_duration_ms=55)) == (6, "ceiling")


def test_the_end_of_the_order_ends_it(deal):
    assert deal(spec(n_samples=100, order=without_replacement(1))) == (10, "samples_exhausted")
    assert deal(spec(order=without_replacement(1, wrap=True), n_samples=25)) == (25, "count")


def test_an_endpoint_that_takes_no_connection_ends_it(deal):
    assert deal(spec(n_samples=400), "connect") == (100, "abort")


def test_time_is_up_without_anybody_asking():
    tally = Tally()
    dealer = LocalDealer(spec(max_duration_ms=1), 10, tally)
    assert not dealer.is_due_to_end(), "the clock starts with the first query"
    tally.zero_ns = 1
    assert dealer.is_due_to_end()
