"""Time per output token, tokens a second, and goodput: by hand, and where a reply has nothing to measure."""

import pytest

from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.tokens import Limits, goodput, token_figures

MS = 1_000_000


def query(number, *, first_ms=100, took_ms=300, tokens=11, outcome="completed"):
    return QueryRecord(
        query=number, sample=number, issued_ns=0, completed_ns=took_ms * MS, request=f"{number:032x}", outcome=outcome,
        first_token_ns=None if first_ms is None else first_ms * MS, tokens=tokens,
    )  # fmt: skip


def test_time_per_output_token_is_loadgens_and_leaves_out_replies_that_have_none():
    queries = [
        query(0),  # 200 ms over 10 tokens: 20 ms
        query(1, took_ms=500),  # 40 ms
        query(2, tokens=1),  # a reply of one token has no time between two
        query(3, first_ms=None),  # not streamed
        query(4, tokens=None),  # reports none
        query(5, outcome="timeout"),
    ]
    found = token_figures(QueryColumns(queries), 2.0)
    assert found is not None
    per_token = found.time_per_output_token
    assert per_token is not None
    assert [per_token.n, per_token.min_s, per_token.max_s] == pytest.approx([2, 0.02, 0.04])
    assert (found.n, found.mean, found.tokens_per_s) == (4, 34 / 4, 17.0)
    assert found.tokens_per_s_per_user == pytest.approx(1 / 0.03)


def test_tokens_that_all_came_in_one_piece_have_no_rate_per_user():
    found = token_figures(QueryColumns([query(0, first_ms=300)]), 1.0)
    assert found is not None
    assert found.time_per_output_token is not None
    assert (found.time_per_output_token.p50_s, found.tokens_per_s_per_user) == (0.0, None)


def test_a_stream_that_reports_no_tokens_has_no_token_figures():
    assert token_figures(QueryColumns([query(0, tokens=None)]), 1.0) is None
    assert token_figures(QueryColumns(), None) is None


@pytest.mark.parametrize(
    ("limits", "n_good", "n_unmeasured"),
    [
        (Limits(latency_ms=300), 3, 0),
        (Limits(ttft_ms=100), 3, 1),
        (Limits(tpot_ms=20), 2, 2),
        (Limits(ttft_ms=99), 0, 1),
        (Limits(latency_ms=299), 0, 0),
    ],
)
def test_goodput_counts_queries_that_keep_every_limit(limits, n_good, n_unmeasured):
    queries = [
        query(0),
        query(1, tokens=1),
        query(2, first_ms=None),
        query(3, took_ms=900, tokens=None),
        query(4, outcome="reset"),
    ]
    found = goodput(QueryColumns(queries), limits, 2.0)
    assert found is not None
    assert (found.n, found.n_good, found.n_unmeasured) == (5, n_good, n_unmeasured)
    assert (found.share, found.qps) == (n_good / 5, n_good / 2)


def test_goodput_says_nothing_where_no_reply_has_what_its_limit_is_about():
    found = goodput(QueryColumns([query(0, first_ms=None)]), Limits(ttft_ms=1), 1.0)
    assert found is not None
    assert (found.n_unmeasured, found.share, found.qps) == (1, None, None)
    assert goodput(QueryColumns([query(0)]), None, 1.0) is None


def test_queries_that_all_failed_are_a_goodput_of_nothing():
    found = goodput(QueryColumns([query(0, outcome="reset")]), Limits(ttft_ms=1), None)
    assert found is not None
    assert (found.share, found.qps) == (0.0, None)
