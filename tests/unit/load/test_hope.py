from __future__ import annotations

import pytest

from pytest_mlperf_audit.load.hope import Hope, HopelessError
from pytest_mlperf_audit.runs.order import Scripted, without_replacement
from pytest_mlperf_audit.runs.query import COMPLETED, QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec


def hope(n=100, order=None):
    spec = RunSpec(
        label="phase",
        n_samples=n,
        order=order or without_replacement(1, wrap=True),
        load=Concurrency(target=4),
        query_timeout_s=2.0,
    )
    return Hope(spec, "http://here", "openai")


def refused(query, outcome):
    return QueryRecord(query=query, sample=0, issued_ns=0, completed_ns=1, request="0" * 32, outcome=outcome)


def told(hope, outcomes, in_flight=0):
    """Return why it is given up, and after how many records; None and all where it is not."""
    for number, outcome in enumerate(outcomes):
        reason, _, detail = outcome.partition(":")
        record = QueryRecord(query=number, sample=0, issued_ns=0, completed_ns=1, request="0" * 32, outcome=reason)
        record.detail = detail or None
        try:
            hope.require(record, in_flight)
        except HopelessError as error:
            return str(error), number + 1
    return None, len(outcomes)


def test_ten_refusals_in_one_way_are_enough():
    why, after = told(hope(), [f"http_400:no field seed, request id 7f3a-{number}" for number in range(50)])
    assert after == 10
    assert why.startswith(
        "the first 10 queries were all refused in one way: http_400 (no field seed, request id 7f3a-9)"
    )


@pytest.mark.parametrize("word", ["req_kYzQ{}xB", "no answer to 'Explain salt, {}'", "at 10:0{}", "{} of many"])
def test_what_a_server_says_in_other_words_each_time_is_one_way(word):
    why, after = told(hope(), [f"http_500:{word.format('abcdefghijklmnop'[number])}" for number in range(16)])
    assert after == 10
    assert why.endswith(f"http_500 ({word.format('j')}); see the server's log")


def test_a_short_phase_needs_no_ten():
    assert told(hope(4), ["server_error:died"] * 4)[1] == 4
    assert told(hope(1), ["empty"])[0].startswith("the only query was refused in one way: empty")


@pytest.mark.parametrize(
    "outcomes",
    [
        [COMPLETED, *["http_500:x"] * 40],
        [*["http_500:x"] * 9, COMPLETED, *["http_500:x"] * 40],
        [*["http_500:x"] * 9, *["http_502:x"] * 40],
        [*[COMPLETED] * 3, *["http_500:x", "http_503:overloaded"] * 40],
        [*["http_401:x"] * 9, COMPLETED] * 10,
        [COMPLETED, *["http_429:slow down"] * 29] * 4,
        [*["http_500:x"] * 9, *["empty:x"] * 40],
        ["connect:refused"] * 50,
        [*["timeout"] * 2, COMPLETED] * 10,
        [*["timeout"] * 2, "http_500:x"] * 1 + [COMPLETED] + ["timeout"] * 2,
    ],
)
def test_what_is_left_to_the_audit(outcomes):
    assert told(hope(), outcomes)[0] is None


def test_a_wave_of_timeouts_ends_a_phase_wherever_it_is():
    assert told(hope(), [COMPLETED] * 20 + ["timeout"] * 10)[1] == 23
    why, after = told(hope(), ["timeout"] * 50, in_flight=7)
    assert after == 8
    assert why == "the endpoint hangs: 8 queries in a row had no whole reply within 2 s"


def test_timeouts_among_queries_that_completed_are_no_wave():
    """All are sent at once, and the good replies are there long before the first time limit is over."""
    watched = hope()
    for query in (1, 3, 5, 7, 9):
        watched.require(QueryRecord(query=query, sample=0, issued_ns=0, completed_ns=1, request="0" * 32), 5)
    for query in (0, 2, 4, 6, 8):
        record = QueryRecord(query=query, sample=0, issued_ns=0, completed_ns=9, request="0" * 32, outcome="timeout")
        watched.require(record, 0)


@pytest.mark.parametrize(
    ("status", "after", "cure"),
    [(401, 10, "credentials"), (402, 10, "paid"), (403, 10, "credentials"), (429, 30, "quota")],
)
def test_access_that_ends_in_mid_phase_ends_it(status, after, cure):
    why, number = told(hope(), [*[COMPLETED] * 20, *[f"http_{status}:over"] * 60])
    assert number == 20 + after
    assert why.startswith(
        f"{after} queries were refused and none completed since, which says nothing of the system: "
        f"http_{status} (over); "
    )
    assert cure in why


def test_refusals_among_other_failures_count_on():
    assert told(hope(), [COMPLETED, *["http_401:over", "http_500:x"] * 20])[1] == 20


def test_rows_that_are_refused_while_many_are_in_flight_do_not_end_it():
    assert told(hope(), [COMPLETED, *["http_403:filtered"] * 40], in_flight=900)[0] is None


def test_replies_that_were_on_their_way_are_no_hope():
    """The good replies to queries sent before the key expired come after the first refusals."""
    watched = hope()
    for query in range(9, 18):
        watched.require(refused(query, "http_401"), 8)
        watched.require(QueryRecord(query=query - 9, sample=0, issued_ns=0, completed_ns=1, request="0" * 32), 8)
    with pytest.raises(HopelessError, match="10 queries were refused"):
        watched.require(refused(18, "http_401"), 8)


def test_a_script_gets_ten_records_however_short_it_is():
    assert told(hope(4, Scripted()), ["http_400:no"] * 4)[0] is None
