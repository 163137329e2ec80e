"""What MLPerf's own script would say of TEST04's phases, where that is not what the verdict says."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.audits.test04.rule import limit_ratio, notes, score, script_passes
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.order import single, without_replacement
from pytest_mlperf_audit.runs.phase import MeasuredPhase, PhaseRecord, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput, RunSpec


def run_of(service_ms, load, *, row=None, pause_ms=0):
    """A phase of one query after another, with a pause between them that no latency shows."""
    records, clock_ns = [], 0
    for query, took_ms in enumerate(service_ms):
        done_ns = clock_ns + int(took_ms * 1e6)
        sample = query if row is None else row
        records.append(
            QueryRecord(query=query, sample=sample, issued_ns=clock_ns, completed_ns=done_ns, request=f"{sample:032x}")
        )
        clock_ns = done_ns + int(pause_ms * 1e6)
    order = without_replacement(1) if row is None else single(row)
    spec = RunSpec(label="x", n_samples=len(records), order=order, load=load)
    measured = figures(QueryColumns(records), load)
    record = PhaseRecord(label="x", spec=spec, status="complete", figures=measured, stopped_by="count")
    return MeasuredPhase.of(record, records)


ONE, ALL = Concurrency(target=1), MaxThroughput()


def test_offline_is_scored_by_throughput_and_has_ten_percent():
    before, after = run_of([10] * 70, ALL), run_of([10 / 1.15] * 70, ALL, row=3)
    assert score(before.record) == before.figures.qps
    assert limit_ratio(before.record) == 1.1
    assert script_passes(before.record, after.record) is False


def test_single_stream_is_scored_by_latency_and_has_twenty_percent():
    before, after = run_of([10] * 70, ONE), run_of([10 / 1.15] * 70, ONE, row=3)
    assert score(before.record) == pytest.approx(100)
    assert limit_ratio(before.record) == 1.2
    assert script_passes(before.record, after.record) is True


@pytest.mark.parametrize("short", ["reference", "audit"])
def test_below_64_queries_there_is_no_score(short):
    before = run_of([10] * (63 if short == "reference" else 64), ONE)
    after = run_of([10] * (63 if short == "audit" else 64), ONE, row=3)
    assert script_passes(before.record, after.record) is None
    assert notes(before, {"output_caching": after}, 0.2) == ()


@pytest.mark.parametrize(
    ("faster", "threshold", "said"), [(1.15, 0.2, "TEST FAIL"), (1.05, 0.04, "TEST PASS"), (1.05, 0.1, None)]
)
def test_another_threshold_than_mlperfs_is_told_where_it_matters(faster, threshold, said):
    before, after = run_of([10] * 70, ALL), run_of([10 / faster] * 70, ALL, row=3)
    told = notes(before, {"output_caching": after}, threshold)
    assert (said in told[0] and "fixed limit 1.1;" in told[0]) if said else told == ()


def test_latency_and_throughput_may_differ():
    """Pauses of the client count for throughput alone: here repeats are twice as quick, and throughput hides it."""
    before, after = run_of([10] * 70, ONE, pause_ms=200), run_of([5] * 70, ONE, row=3, pause_ms=200)
    (note,) = notes(before, {"output_caching": after}, 0.2)
    assert note.startswith("output_caching: MLPerf's own script says TEST FAIL: it compares 1 / early-stopping 90th")
    assert "ratio 2, with its fixed limit 1.2" in note


def test_a_phase_without_completions_has_no_score():
    before, after = run_of([], ALL), run_of([10] * 70, ALL, row=3)
    assert script_passes(before.record, after.record) is None
    assert notes(before, {"output_caching": after}, 0.1) == ()
