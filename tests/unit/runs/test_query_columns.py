from __future__ import annotations

import tracemalloc
from collections import Counter
from contextlib import nullcontext
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.runs import columns as module
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.query import COMPLETED, REASONS, QueryRecord

times = st.integers(0, 2**62)
counts = st.none() | st.integers(0, 2**31 - 1)
records = st.builds(
    QueryRecord,
    query=st.integers(0, 2**40),
    sample=st.integers(0, 2**40),
    issued_ns=times,
    completed_ns=times,
    request=st.binary(min_size=16, max_size=16).map(bytes.hex)
    | st.sampled_from(["00" * 16, "ab" + "00" * 15, "00" * 15 + "ab"]),
    outcome=st.sampled_from([COMPLETED, *REASONS, "http_500", "http_503"]),
    first_token_ns=st.none() | times,
    tokens=counts,
    cached_tokens=counts,
)


#: How much of a column stays in memory, and how many digests are told apart at once: as it is, and next to nothing.
SIZES = [
    {},
    {"_MOST_IN_MEMORY": 5, "_WRITTEN_AT_ONCE": 3, "_MANY_DIGESTS": 2, "_DIGESTS_AT_ONCE": 4, "_BATCH": 2},
    {"_MOST_IN_MEMORY": 1, "_WRITTEN_AT_ONCE": 1, "_MANY_DIGESTS": 0, "_DIGESTS_AT_ONCE": 1, "_BATCH": 7},
]


@pytest.mark.parametrize("sizes", SIZES, ids=["memory", "files", "one_by_one"])
@given(st.lists(records, max_size=60))
def test_columns_say_what_the_records_say(sizes, given_records):
    with mock.patch.multiple(module, **sizes) if sizes else nullcontext():
        _require_alike(QueryColumns(given_records, may_spill=bool(sizes)), given_records)


def _require_alike(columns, given_records):
    ok = [record.outcome == COMPLETED for record in given_records]
    assert len(columns) == len(given_records)
    assert columns.issued_ns.tolist() == [record.issued_ns for record in given_records]
    assert columns.completed_ns.tolist() == [record.completed_ns for record in given_records]
    assert columns.samples.tolist() == [record.sample for record in given_records]
    assert columns.tokens.tolist() == [-1 if record.tokens is None else record.tokens for record in given_records]
    assert columns.first_token_ns.tolist() == [
        -1 if record.first_token_ns is None else record.first_token_ns for record in given_records
    ]
    assert columns.ok.tolist() == ok
    assert columns.latencies_s().tolist() == [
        (record.completed_ns - record.issued_ns) / 1e9 for record in given_records if record.ok
    ]
    assert columns.failures() == Counter(record.outcome for record in given_records if not record.ok)
    assert list(columns.failures()) == sorted(columns.failures())
    assert columns.distinct_requests() == len({record.request for record in given_records})
    assert columns.first_request() == (given_records[0].request if given_records else None)
    assert columns.cached_tokens == sum(record.cached_tokens or 0 for record in given_records)


@pytest.mark.parametrize("sizes", SIZES, ids=["memory", "files", "one_by_one"])
def test_appending_after_reading_is_possible(query, monkeypatch, sizes):
    for name, size in sizes.items():
        monkeypatch.setattr(module, name, size)
    columns = QueryColumns([query(0, 5)], may_spill=bool(sizes))
    view = columns.issued_ns
    assert columns.distinct_requests() == 1
    columns.append(query(7, 9, sample=1))
    assert view.tolist() == [0]
    assert columns.issued_ns.tolist() == [0, 7]
    assert columns.distinct_requests() == 2


def test_a_server_with_every_status_there_is_does_not_end_the_phase(query):
    columns = QueryColumns(query(outcome=f"http_{status}") for status in range(100, 1000) if status != 200)
    assert len(columns.failures()) == 899


def test_absurd_counts_of_an_endpoint_fit(query):
    columns = QueryColumns([query(tokens=10**30, cached_tokens=10**30), query(tokens=-5, cached_tokens=-5)])
    assert columns.tokens.tolist() == [2**31 - 1, 0]
    assert columns.cached_tokens == 2**31 - 1
    assert len(columns) == len(columns.ok) == 2


def test_memory_per_query(query):
    n = 50_000
    tracemalloc.start()
    try:
        columns = QueryColumns()
        record = query()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(n):
            columns.append(record)
        per_query = (tracemalloc.get_traced_memory()[0] - before) / n
    finally:
        tracemalloc.stop()
    assert 50 < per_query < 70
