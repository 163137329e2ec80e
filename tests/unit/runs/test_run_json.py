from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.order import Sequential, Single, WithoutReplacement, WithReplacement
from pytest_mlperf_audit.runs.phase import PhaseRecord, Status, StoppedBy, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, Keep, MaxThroughput, Poisson, RunSpec

ints = st.integers(0, 2**53)
seconds = st.none() | st.floats(1e-6, 1e9)
orders = st.one_of(
    st.builds(WithoutReplacement, seed=ints, wrap=st.booleans()),
    st.builds(WithReplacement, seed=ints),
    st.builds(Single, index=ints),
    st.builds(Sequential, wrap=st.booleans()),
)
loads = st.one_of(
    st.builds(MaxThroughput, max_in_flight=st.integers(-1, 10**6)),
    st.builds(Concurrency, target=st.integers(1, 10**6)),
    st.builds(Poisson, target_qps=st.floats(1e-3, 1e6), seed=ints),
)
specs = st.builds(
    RunSpec,
    label=st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])),
    n_samples=st.integers(1, 10**9),
    order=orders,
    load=loads,
    min_duration_ms=ints,
    max_duration_ms=ints,
    drain_timeout_s=seconds,
    query_timeout_s=seconds,
    nonce=st.sampled_from(["none", "prefix", "suffix"]),
    nonce_seed=st.none() | ints,
    keep=st.none() | st.builds(Keep, target=st.none() | st.integers(1, 10**6), seed=ints),
)


@given(specs)
def test_a_spec_survives_json(spec):
    assert msgspec.json.decode(msgspec.json.encode(spec), type=RunSpec) == spec


@given(specs, st.sampled_from(get_args(Status)), st.sampled_from(get_args(StoppedBy)), st.none() | st.just("why"))
def test_a_phase_record_survives_json(spec, status, stopped_by, reason):
    queries = QueryColumns(
        QueryRecord(query=n, sample=n, issued_ns=n, completed_ns=n + 10, request=f"{n:032x}", tokens=n)
        for n in range(3)
    )
    record = PhaseRecord(
        label=spec.label,
        spec=spec,
        status=status,
        figures=figures(queries, spec.load),
        stopped_by=stopped_by,
        reason=reason,
    )
    again = msgspec.json.decode(msgspec.json.encode(record), type=PhaseRecord)
    assert again == record
    assert again.complete == (status == "complete")


@pytest.mark.parametrize("digest", ["", "xyz", "A" * 32, "a" * 31, "a" * 33, "a" * 31 + "g"])
def test_a_query_record_with_a_wrong_digest_is_refused(digest):
    text = msgspec.json.encode({"query": 0, "sample": 0, "issued_ns": 0, "completed_ns": 1, "request": digest})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=QueryRecord)


def test_a_query_record_is_short_on_disk():
    record = QueryRecord(query=1, sample=2, issued_ns=3, completed_ns=4, request="0" * 32)
    assert set(msgspec.json.decode(msgspec.json.encode(record))) == {
        "query",
        "sample",
        "issued_ns",
        "completed_ns",
        "request",
    }
