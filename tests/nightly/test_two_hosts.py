"""Two sshd on this machine as hosts: exact counts, a known clock, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.datasets import load_dataset
from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
from pytest_mlperf_audit.endpoints.source import RequestSource
from pytest_mlperf_audit.errors import HostError
from pytest_mlperf_audit.load.group import PlannedPhase, run_group
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.load.workers.crew import Crew
from pytest_mlperf_audit.records.log import read_queries
from pytest_mlperf_audit.runs.order import without_replacement
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec
from tests.support.sshd import program, two_hosts

pytestmark = [pytest.mark.nightly, pytest.mark.skipif(program() is None, reason="needs Debian's openssh-server")]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    with two_hosts(tmp_path_factory.mktemp("sshd")) as found:
        yield found


@pytest.fixture
def source(tmp_path: Path) -> RequestSource:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": f"scene {row}"}) + "\n" for row in range(64)))
    dataset = load_dataset(DatasetConfig(name="prompts", path=prompts), [tmp_path])
    return RequestSource(dataset, VideoGenAdapter(ModelParams(name="x")))


def _spec(n_samples: int) -> RunSpec:
    order = without_replacement(1, wrap=True)
    return RunSpec(label="phase", n_samples=n_samples, order=order, load=Concurrency(target=32), query_timeout_s=60.0)


def _processes() -> set[int]:
    """The Python processes that execnet has started."""
    found = set()
    for one in psutil.process_iter(["cmdline"]):
        if any("sys.stdin.readline" in word for word in one.info["cmdline"] or ()):
            found.add(one.pid)
    return found


def test_ten_thousand_queries(hosts: list[str], source: RequestSource, start_sut: Any, tmp_path: Path, until: Any):
    before = _processes()
    sut = start_sut(lanes=32, service_ms=1, repeat_ms=0)
    spec = _spec(10_000)
    crew = Crew(hosts)
    try:
        crew.equip([(source, spec)], Target(urls=(sut.url,)))
        [record] = run_group([PlannedPhase(spec, tmp_path / "phase")], source, Target(urls=(sut.url,)), crew=crew)
    finally:
        crew.close()
    assert record.status == "complete", record.reason
    queries = list(read_queries(tmp_path / "phase" / "queries.jsonl"))
    assert sorted(query.query for query in queries) == list(range(10_000))
    assert sut.received == 10_000
    assert [part.n_queries > 0 for part in record.workers] == [True, True]
    for part in record.workers:  # one machine, so that the truth is 0
        assert abs(part.clock_offset_ns) <= part.clock_error_ns
    until(lambda: _processes() <= before, "the end of all that was started")


def test_clocks_are_within_what_is_claimed(hosts: list[str], source: RequestSource):
    import asyncio

    crew = Crew(hosts)
    try:
        crew.equip([(source, _spec(1))], None)
        readings = asyncio.run(crew.read_clocks(crew.members))
    finally:
        crew.close()
    for reading in readings:
        assert abs(reading.offset) <= reading.error


@pytest.mark.parametrize("which", ["worker", "client"])
def test_a_link_that_is_cut(
    hosts: list[str], source: RequestSource, start_sut: Any, tmp_path: Path, until: Any, which: str
):
    before = _processes()
    sut = start_sut(lanes=32, service_ms=2, repeat_ms=0)
    spec, crew = _spec(1_000_000), Crew(hosts)
    client = crew.members[1].gateway.made._io.popen.pid
    workers = _processes() - before
    cut = False

    def report(progress: Any) -> None:
        nonlocal cut
        if progress.completed and not cut:
            cut = True
            os.kill(client if which == "client" else max(workers - {client}), signal.SIGKILL)

    try:
        crew.equip([(source, spec)], None)
        [record] = run_group(
            [PlannedPhase(spec, tmp_path / "phase")], source, Target(urls=(sut.url,)), crew=crew, report=report
        )
    finally:
        crew.close()
    assert record.status == "crashed"
    assert record.figures.n_issued == len(list(read_queries(tmp_path / "phase" / "queries.jsonl"))) > 0
    until(lambda: _processes() <= before, "the end of all that was started")


def test_a_host_without_our_package(hosts: list[str]):
    other = hosts[0].replace(f"//python={sys.executable}", "//python=/usr/bin/python3")
    with pytest.raises(HostError, match=r"has Python|has pytest-mlperf-audit none|no Python"):
        Crew([other])
