"""The real LoadGen (PyPI's mlcommons-loadgen) with a sleeping SUT: we read its logs whole, and have its figures."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from pytest_mlperf_audit.audits.published.case import verify
from pytest_mlperf_audit.audits.published.tree import find_audits
from pytest_mlperf_audit.loadgen.detail import read_detail
from pytest_mlperf_audit.loadgen.phase_log import Declared, phase_log
from pytest_mlperf_audit.loadgen.summary import read_summary
from pytest_mlperf_audit.loadgen.write import detail_text, summary_text
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.order import with_replacement
from pytest_mlperf_audit.runs.phase import PhaseRecord, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput, RunSpec
from pytest_mlperf_audit.stats.percentiles import percentile_estimate

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mlperf_loadgen") is None, reason="LoadGen is not installed: pip install mlcommons-loadgen"
)

SCENARIOS = ["Offline", "SingleStream", "Server", "MultiStream"]
#: Enough for a valid result: early stopping needs 64 queries for p90, and 662 for MultiStream's p99. SingleStream's
#: estimate is then the fifth highest latency, MultiStream's the highest.
QUERIES = {"Offline": 100, "SingleStream": 130, "Server": 100, "MultiStream": 670}
TAIL_EVERY = {"MultiStream": 150}
QUICK = {"service_ms": 0.1, "tail_ms": 0.1}
SUT = Path(__file__).parents[1] / "support/loadgen_sut.py"
SEEDS = [2085463073848966840, 2747215439041700203, 16159082839903944936]


def loadgen(directory, scenario, *, audited=False, **options):
    """Run LoadGen once; return the directory of its logs."""
    directory.mkdir(parents=True, exist_ok=True)
    if audited:
        same = {
            "mode": 2,
            "performance_issue_unique": 0,
            "performance_issue_same": 1,
            "performance_issue_same_index": 3,
        }
        lines = (f"*.{scenario}.{key} = {value}\n" for key, value in same.items())
        (directory / "audit.config").write_text("".join(lines))
    asked = {"scenario": scenario, "queries": QUERIES[scenario], "rows": 100_000, "seeds": SEEDS}
    asked["samples_per_query"] = 1
    asked |= {"percentile": 0.9 if scenario == "Server" else None, "tail_every": TAIL_EVERY.get(scenario, 20)}
    command = [sys.executable, "-W", "ignore", str(SUT), json.dumps(asked | options)]
    subprocess.run(command, cwd=directory, check=True, timeout=120, capture_output=True)
    return directory


def latencies_ns(directory):
    """The latencies that LoadGen itself measured, by sample and by query, out of its trace."""
    trace = (directory / "mlperf_log_trace.json").read_text()  # not JSON as a whole
    samples = [json.loads(args) for args in re.findall(r'"name":"Sample".*"ph":"b".*"args":({[^}]*})', trace)]
    by_query = groupby(sorted(samples, key=lambda args: args["query_seq"]), key=lambda args: args["query_seq"])
    return (
        np.array([args["complete_ns"] for args in samples]),
        np.array([max(args["complete_ns"] for args in parts) for _, parts in by_query]),
    )


def logged(directory):
    """The figures of LoadGen's detail log, read with no code of ours; its git messages are no JSON."""
    lines = (directory / "mlperf_log_detail.txt").read_text().splitlines()
    wanted = re.compile(r':::MLLOG {"key": "(?:result_|early_stopping|num_errors)')
    return {entry["key"]: entry["value"] for entry in (json.loads(line[8:]) for line in lines if wanted.match(line))}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A submission: each scenario plain, audited with an honest SUT and with one that caches, 12 runs of LoadGen."""
    root = tmp_path_factory.mktemp("submission")
    for scenario in SCENARIOS:
        plain = root / "plain" / scenario
        loadgen(plain, scenario)
        for submitter, repeat in (("Honest", 2.0), ("Caching", 0.0)):
            results = root / "closed" / submitter / "results/our_system/stable-diffusion-xl" / scenario
            place(plain, results / "performance/run_1")
            scratch = root / submitter / scenario
            place(loadgen(scratch, scenario, audited=True, repeat=repeat), results / "TEST04/performance/run_1")
    return root / "closed"


def place(logs, directory):
    """Copy what a submission holds of a run."""
    directory.mkdir(parents=True)
    for name in ("mlperf_log_summary.txt", "mlperf_log_detail.txt"):
        (directory / name).write_bytes((logs / name).read_bytes())


@pytest.mark.parametrize("queries", [64, 100, 661, 662, 1000])
def test_the_single_stream_estimates_are_loadgens_to_the_nanosecond(tmp_path, queries):
    directory = loadgen(tmp_path, "SingleStream", queries=queries, **QUICK)
    measured, _ = latencies_ns(directory)
    assert len(measured) == queries
    found = logged(directory)
    assert percentile_estimate(measured.astype(float), 0.90) == found["early_stopping_latency_ss"]
    # LoadGen writes 0 for an estimate that it does not have.
    assert (percentile_estimate(measured.astype(float), 0.99) or 0) == found["early_stopping_latency_ms"]


def test_the_multi_stream_estimate_is_loadgens_to_the_nanosecond(tmp_path):
    directory = loadgen(tmp_path, "MultiStream", queries=700, samples_per_query=3, **QUICK)
    samples, measured = latencies_ns(directory)
    assert (len(samples), len(measured)) == (2100, 700)
    assert percentile_estimate(measured.astype(float), 0.99) == logged(directory)["early_stopping_latency_ms"]


def test_below_64_queries_neither_has_an_estimate(tmp_path):
    directory = loadgen(tmp_path, "SingleStream", queries=63, **QUICK)
    measured, _ = latencies_ns(directory)
    assert percentile_estimate(measured.astype(float), 0.90) is None
    assert logged(directory)["early_stopping_met"] is False
    assert read_summary(directory / "mlperf_log_summary.txt").needed_queries[""] == 64


@pytest.mark.parametrize(("scenario", "queries"), [("SingleStream", 63), ("SingleStream", 700), ("Offline", 100)])
def test_our_logs_of_the_same_latencies_say_what_loadgens_say(tmp_path, scenario, queries):
    directory = loadgen(tmp_path, scenario, queries=queries, **QUICK)
    measured, _ = latencies_ns(directory)
    log = _as_ours(measured, scenario)
    theirs, ours = (directory / "mlperf_log_summary.txt").read_text(), summary_text(log)
    told = re.compile(
        r"^(?:Scenario|Mode|Result is|  \w.* satisfied| \*| [a-z]|\d.*percentile|M\w+ latency).*$", re.MULTILINE
    )
    assert told.findall(ours) == told.findall(theirs)
    assert len(told.findall(ours)) >= 15
    found = logged(directory)
    own = {json.loads(line[8:])["key"]: json.loads(line[8:])["value"] for line in detail_text(log).splitlines()}
    exact = {
        key for key in found if key.startswith(("result_", "early_stopping_latency")) and key.endswith(("ns", "ss"))
    }
    assert len(exact) >= 9
    # LoadGen writes 0 for an estimate that it does not have, and we write nothing.
    assert {key: own.get(key, 0) for key in exact} == {key: found[key] for key in exact}


def _as_ours(measured, scenario):
    """One of our phases with these latencies: Offline issues all at once, SingleStream one after another."""
    records, clock_ns = [], 0
    for query, latency_ns in enumerate(map(int, measured)):
        records.append(
            QueryRecord(
                query=query,
                sample=query,
                issued_ns=clock_ns,
                completed_ns=clock_ns + latency_ns,
                request=f"{query:032x}",
            )
        )
        clock_ns += latency_ns if scenario == "SingleStream" else 0
    load = Concurrency(target=1) if scenario == "SingleStream" else MaxThroughput()
    spec = RunSpec(label="x", n_samples=len(records), order=with_replacement(1), load=load)
    columns = QueryColumns(records)
    record = PhaseRecord(label="x", spec=spec, status="complete", figures=figures(columns, load), stopped_by="count")
    return phase_log(record, columns, Declared("sut", "qsl", 8), duration_met=True, queries_met=True)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_loadgens_logs_are_read_whole_and_say_what_was_configured(tree, scenario):
    results = tree / "Honest/results/our_system/stable-diffusion-xl" / scenario
    for run, same in (("performance/run_1", False), ("TEST04/performance/run_1", True)):
        summary = read_summary(results / run / "mlperf_log_summary.txt")
        detail = read_detail(results / run / "mlperf_log_detail.txt")
        assert summary.whole
        assert detail.whole
        assert summary.problems == detail.problems == ()
        assert (summary.scenario, summary.mode, summary.validity) == (scenario, "PerformanceOnly", "VALID")
        assert (summary.performance_issue_same, summary.performance_issue_same_index) == (same, 3 if same else 0)
        assert detail.values["effective_performance_issue_same"] is same
        assert [summary.qsl_rng_seed, summary.sample_index_rng_seed, summary.schedule_rng_seed] == SEEDS
        assert summary.min_query_count == (1 if scenario == "Offline" else QUERIES[scenario])
        assert summary.min_duration_ms == 0
        # LoadGen calls it an error when its two clocks differ by 1 %, which the millisecond of one is in a short run.
        assert summary.n_errors == detail.n_errors == detail.number("num_errors")
        if scenario in ("SingleStream", "MultiStream"):
            wanted = {"SingleStream": ("90", "ss"), "MultiStream": ("99", "ms")}[scenario]
            assert summary.early_stopping_ns[wanted[0]] == detail.number(f"early_stopping_latency_{wanted[1]}")


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(("submitter", "status"), [("Honest", "PASS"), ("Caching", "FAIL")])
def test_loadgens_runs_are_judged_right_and_upstream_agrees(tree, upstream, tmp_path, scenario, submitter, status):
    found = next(
        audit
        for audit in find_audits(tree)
        if (audit.submitter, audit.scenario, audit.test) == (submitter, scenario, "test04")
    )
    judged = verify(found)
    assert (judged.status, judged.differences) == (status, ()), judged.reason
    ran = subprocess.run(
        [
            sys.executable, str(upstream / "compliance/TEST04/verify_performance.py"),
            "-r", str(found.results / "performance/run_1/mlperf_log_summary.txt"),
            "-t", str(found.path / "performance/run_1/mlperf_log_summary.txt"),
        ], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True,
    )  # fmt: skip
    assert ran.stdout.splitlines()[-1].startswith(f"TEST {status}")
