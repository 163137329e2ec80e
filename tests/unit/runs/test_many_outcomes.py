"""A log in which every query failed in another way, as only a forged one does, is counted all the same."""

from __future__ import annotations

from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.query import QueryRecord


def test_many_outcomes_are_counted():
    n = 60_000
    queries = QueryColumns(
        QueryRecord(query=k, sample=0, issued_ns=0, completed_ns=1, request="0" * 32, outcome=f"http_{k // 2}")
        for k in range(n)
    )
    found = queries.failures()
    assert len(found) == n // 2
    assert set(found.values()) == {2}
    assert not queries.ok.any()


def test_no_query_has_no_failures():
    assert QueryColumns().failures() == {}
