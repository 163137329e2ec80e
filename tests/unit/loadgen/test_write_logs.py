"""A phase of ours as LoadGen's two logs: what is in them, and that a figure which is not there is not made up."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit import __version__
from pytest_mlperf_audit.loadgen.detail import read_detail
from pytest_mlperf_audit.loadgen.fields import FIELDS
from pytest_mlperf_audit.loadgen.phase_log import PERCENTILES, Declared, phase_log
from pytest_mlperf_audit.loadgen.summary import parse_summary
from pytest_mlperf_audit.loadgen.write import detail_text, summary_text
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.order import single, without_replacement
from pytest_mlperf_audit.runs.phase import PhaseRecord, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput, Poisson, RunSpec

ONE, ALL, PACED = Concurrency(target=1), MaxThroughput(), Poisson(target_qps=50.0, seed=7)
DECLARED = Declared("wan at http://sut", "prompts", 248, 11, 2**64 - 1, 13)


def log_of(latencies_ns, load=ALL, *, outcomes=(), duration_met=True, queries_met=True, declared=DECLARED, **asked):
    """The log of a phase whose queries follow each other; `outcomes` are those of the first."""
    records, clock_ns = [], 0
    for query, latency_ns in enumerate(latencies_ns):
        outcome = outcomes[query] if query < len(outcomes) else "completed"
        records.append(
            QueryRecord(
                query=query, sample=query, issued_ns=clock_ns, completed_ns=clock_ns + latency_ns,
                request=f"{query:032x}", outcome=outcome,
            )
        )  # fmt: skip
        clock_ns += latency_ns
    spec = RunSpec(**{"label": "x", "n_samples": len(records), "order": without_replacement(1), "load": load, **asked})
    columns = QueryColumns(records)
    record = PhaseRecord(
        label="x", spec=spec, status="complete", figures=figures(columns, load), stopped_by="count",
        started_at="2026-11-23T12:00:00.250000+01:00",
    )  # fmt: skip
    return phase_log(record, columns, declared, duration_met=duration_met, queries_met=queries_met)


def entries(log):
    lines = detail_text(log).splitlines()
    assert all(line.startswith(":::MLLOG {") for line in lines)
    return [json.loads(line.removeprefix(":::MLLOG ")) for line in lines]


def values(log):
    found = {}
    for entry in entries(log):
        assert entry["key"] not in found or entry["metadata"]["is_error"]
        found[entry["key"]] = entry["value"]
    return found


def test_offline_is_one_query_of_all_samples():
    log = log_of([10**7] * 100)
    summary, detail = summary_text(log).splitlines(), values(log)
    assert "Scenario : Offline" in summary
    assert f"Samples per second: {log.record.figures.qps!r}" in summary
    assert "Result is : VALID" in summary
    assert not any("Early Stopping Result" in line for line in summary)
    assert detail["result_samples_per_second"] == log.record.figures.qps == 100.0
    assert (detail["generated_query_count"], detail["generated_samples_per_query"]) == (1, 100)
    assert (detail["effective_samples_per_query"], detail["effective_min_query_count"]) == (100, 1)
    assert (detail["requested_min_query_count"], detail["effective_min_sample_count"]) == (100, 100)
    assert detail["test_datetime"] == "2026-11-23T11:00:00Z"


def test_several_in_flight_are_scored_as_offline():
    log = log_of([10**7] * 20, Concurrency(target=8))
    assert log.scenario == "Offline"
    assert values(log)["effective_max_async_queries"] == 8
    assert "8 in flight at any time" in values(log)["generic_message"]


def test_the_repeated_row_and_the_seeds_stand_in_both_logs():
    log = log_of([10**7] * 5, order=single(3), min_duration_ms=600_000, max_duration_ms=14_400_000)
    summary, detail = summary_text(log).splitlines(), values(log)
    for name, value in {
        "performance_issue_same": 1,
        "performance_issue_same_index": 3,
        "performance_issue_unique": 0,
        "qsl_rng_seed": 11,
        "sample_index_rng_seed": 2**64 - 1,
        "schedule_rng_seed": 13,
        "performance_sample_count": 248,
    }.items():
        assert f"{name} : {value}" in summary
        assert detail[f"effective_{name}"] == value
    assert detail["effective_performance_issue_same"] is True
    assert "min_duration (ms): 600000" in summary
    assert detail["effective_min_duration_ms"] == 600_000
    assert detail["effective_max_duration_ms"] == 14_400_000


def test_distinct_rows_are_unique_and_rows_drawn_anew_are_not():
    assert values(log_of([1] * 4))["effective_performance_issue_unique"] is True
    assert (
        values(log_of([1] * 4, order=without_replacement(1, wrap=True)))["effective_performance_issue_unique"] is False
    )


def test_single_stream_has_loadgens_estimate():
    latencies = [10**6 + 17 * query for query in range(100)]
    log = log_of(latencies, ONE)
    summary, detail = summary_text(log), values(log)
    assert " * Processed at least 64 queries (100).\n * Would discard 2 highest latency queries.\n" in summary
    assert f" * Early stopping 90.0th percentile estimate: {latencies[97]}\n" in summary
    assert detail["early_stopping_latency_ss"] == latencies[97]
    assert "least 662 total queries" in summary
    assert "early_stopping_latency_ms" not in detail
    assert f"90.0th percentile latency (ns) : {latencies[90]}\n" in summary
    assert detail["effective_target_latency_percentile"] == 0.9
    assert detail["result_qps_without_loadgen_overhead"] == pytest.approx(1e9 / np.mean(latencies))


def test_single_stream_of_662_queries_has_the_99th_percentile_as_well():
    latencies = list(range(10**6, 10**6 + 662))
    detail = values(log_of(latencies, ONE))
    assert detail["early_stopping_latency_ms"] == latencies[661]


def test_single_stream_below_64_queries_has_no_estimate_and_is_invalid():
    log = log_of([10**6] * 63, ONE)
    summary, detail = summary_text(log), values(log)
    assert " * Only processed 63 queries.\n * Need to process at least 64 queries for early stopping." in summary
    assert "estimate" not in summary
    assert "early_stopping_latency_ss" not in detail
    assert (detail["result_validity"], detail["early_stopping_met"]) == ("INVALID", False)
    assert "  Early stopping satisfied: NO" in summary


def test_server_has_its_rates_and_cannot_be_valid_without_a_latency_bound():
    log = log_of([10**7] * 100, PACED)
    summary, detail = summary_text(log), values(log)
    assert "target_qps : 50.0\n" in summary
    assert "Completed samples per second    : 99.0\n" in summary
    assert detail["result_completed_samples_per_sec"] == 99.0
    assert detail["result_scheduled_samples_per_sec"] == 100.0
    assert "Result is : INVALID\n  Performance constraints satisfied : NO" in summary
    assert "latency bound" in detail["result_invalid_reason"]
    assert detail["early_stopping_met"] is False


@pytest.mark.parametrize(
    ("missed", "line"),
    [("duration_met", "  Min duration satisfied : NO"), ("queries_met", "  Min queries satisfied : NO")],
)
def test_a_phase_that_is_too_short_is_invalid(missed, line):
    log = log_of([10**7] * 100, **{missed: False})
    summary = summary_text(log).splitlines()
    assert {"Result is : INVALID", line, "Recommendations:"} <= set(summary)
    assert values(log)["result_validity"] == "INVALID"


def test_failed_queries_are_errors_by_class_and_count_nowhere_else():
    log = log_of([10**9] * 3 + [10**7] * 97, ONE, outcomes=["timeout", "http_500", "timeout"])
    summary, found = summary_text(log), entries(log)
    errors = [entry for entry in found if entry["metadata"]["is_error"]]
    assert [entry["value"] for entry in errors] == [
        "1 of 100 queries failed: http_500",
        "2 of 100 queries failed: timeout (no whole reply within the per-query time limit)",
    ]
    assert summary.endswith("\n2 ERRORS encountered. See detailed log.\n")
    assert (values(log)["num_errors"], values(log)["result_max_latency_ns"]) == (2, 10**7)
    assert "(97)" in summary
    assert summary_text(log_of([1, 1], outcomes=["empty"])).endswith("\n1 ERROR encountered. See detailed log.\n")
    assert summary_text(log_of([1, 1])).endswith("\nNo errors encountered during test.\n")


@pytest.mark.parametrize("load", [ONE, ALL, PACED])
def test_a_phase_without_completions_has_no_figures(load):
    log = log_of([10**7] * 4, load, outcomes=["timeout"] * 4, queries_met=False)
    summary, detail = summary_text(log), values(log)
    assert not any(word in summary for word in ("per second: ", "latency (ns)  ", "percentile latency", "QPS"))
    assert not any("latency_ns" in key for key in detail if key.startswith("result_"))
    assert "Result is : INVALID" in summary
    assert not [value for value in detail.values() if value is None]


@pytest.mark.parametrize("load", [ONE, ALL, PACED])
def test_a_phase_that_sent_nothing_has_logs(load):
    log = log_of([], load, queries_met=False)
    assert "Result is : INVALID" in summary_text(log)
    assert values(log)["result_validity"] == "INVALID"


def test_the_logs_do_not_pretend_to_be_loadgens():
    log = log_of([10**7] * 5)
    assert f"Written by : pytest-mlperf-audit {__version__}" in summary_text(log)
    detail = values(log)
    assert detail["loadgen_version"] == f"pytest-mlperf-audit {__version__}"
    assert not [key for key in detail if key.startswith("loadgen_") and key != "loadgen_version"]


def test_names_from_outside_can_forge_nothing():
    forged = Declared("w\nResult is : INVALID\r\n \u2028\u00e9", "q\n:::MLLOG {}", 5)
    log = log_of([10**7] * 5, declared=forged)
    summary = summary_text(log)
    assert summary.isascii()
    assert [line for line in summary.splitlines() if line.startswith("Result is")] == ["Result is : VALID"]
    assert values(log)["sut_name"] == "w Result is : INVALID \\xe9"
    assert all(line.startswith(":::MLLOG {") for line in detail_text(log).splitlines())


@given(st.lists(st.integers(1, 2**44), min_size=1, max_size=300))
def test_latency_figures_are_order_statistics_and_whole_nanoseconds(latencies):
    detail = values(log_of(latencies))
    ordered = sorted(latencies)
    for percentile in PERCENTILES:
        assert detail[f"result_{percentile * 100:.2f}_percentile_latency_ns"] == ordered[int(len(ordered) * percentile)]
    assert detail["result_mean_latency_ns"] == sum(latencies) // len(latencies)
    assert (detail["result_min_latency_ns"], detail["result_max_latency_ns"]) == (ordered[0], ordered[-1])


@pytest.mark.parametrize("load", [ONE, ALL, Concurrency(target=8), PACED])
@pytest.mark.parametrize("outcomes", [(), ["timeout", "http_500"]])
def test_our_readers_find_in_both_logs_what_was_written(tmp_path, load, outcomes):
    log = log_of([10**6 + 17 * query for query in range(100)], load, outcomes=outcomes, order=single(3))
    (tmp_path / "detail").write_text(detail_text(log))
    summary, detail = parse_summary(summary_text(log).encode(), "summary"), read_detail(tmp_path / "detail")
    assert (summary.whole, detail.whole, summary.problems, detail.problems) == (True, True, (), ())
    assert summary.n_errors == detail.n_errors == len(outcomes)
    known = {name: field for name, field in FIELDS.items() if field.key and hasattr(summary, name)}
    assert len(known) > 15
    for name, field in known.items():
        assert getattr(summary, name) == detail.values.get(field.key), name
    assert {**log.settings(), **log.rates()}.items() >= {
        (name, value) for name in known if isinstance(value := getattr(summary, name), int | float)
    }
    assert dict(log.latencies()).items() == set(summary.latencies_ns)
