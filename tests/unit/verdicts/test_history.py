"""A history of runs keeps every whole line, whoever wrote beside it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_mlperf_audit.stats.estimates import Estimate
from pytest_mlperf_audit.verdicts.history import PastRun, append, figures_of, read


def _run(name: str = "a", value: float = 1.0, workload: str = "w") -> PastRun:
    figure = Estimate(value=value, low=value * 0.9, high=value * 1.1, n=64)
    return PastRun(
        finished_at="2026-11-30T00:00:00+00:00",
        workload=workload,
        name=name,
        model="m",
        endpoint="http://h",
        status="PASS",
        phase="performance performance",
        figures={"throughput": figure},
    )


def test_runs_come_back_in_their_order(tmp_path: Path):
    path = tmp_path / "deep" / "history.jsonl"
    for name in "abc":
        append(path, _run(name))
    append(path, _run("other", workload="v"))
    found = read(path)
    assert [run.name for run in found.of("w")] == ["a", "b", "c"]
    assert found.unreadable == 0
    assert figures_of(found.runs, "throughput") == [1.0] * 4
    assert figures_of(found.runs, "latency_p50") == []


@pytest.mark.parametrize(
    "line",
    [
        b'{"finished_at": "2026',
        b"[]",
        b"\xff\xfe",
        b'{"schema_version": 2}',
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_none_is_counted_and_left_out(tmp_path: Path, line: bytes):
    path = tmp_path / "history.jsonl"
    append(path, _run("a"))
    with path.open("ab") as file:
        file.write(line)  # cut short: without its end
    append(path, _run("b"))
    found = read(path)
    assert [run.name for run in found.runs] == ["a", "b"]
    assert found.unreadable == 1


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_figure_that_cannot_be_is_left_out(tmp_path: Path, value: float):
    append(tmp_path / "h", _run("a", value))
    assert read(tmp_path / "h").unreadable == 1


def test_runs_that_end_together_do_not_mix(tmp_path: Path):
    path = tmp_path / "history.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: append(path, _run(str(index) * 500)), range(64)))
    found = read(path)
    assert len(found.runs) == 64
    assert found.unreadable == 0
