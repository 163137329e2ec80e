"""What a group of phases leaves on disk."""

from __future__ import annotations

import errno
import os
import subprocess

import pytest

from pytest_mlperf_audit.load.group import PlannedPhase, run_group
from pytest_mlperf_audit.load.progress import Progress
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.records.log import QueryLog, read_columns, read_queries
from pytest_mlperf_audit.records.store import read_phase
from pytest_mlperf_audit.runs.phase import figures
from pytest_mlperf_audit.runs.spec import Concurrency


def test_what_is_returned_is_what_is_on_disk(engine, start_sut):
    sut = start_sut(service_ms=1, lanes=8, fault="500", fault_every=5)
    planned = engine.planned([engine.spec("reference", n_samples=30), engine.spec("again", n_samples=20)])
    records = run_group(planned, engine.source, Target(urls=(sut.url,), simulated=True))
    for phase, record in zip(planned, records, strict=True):
        assert read_phase(phase.directory) == record
        assert figures(read_columns(phase.directory / "queries.jsonl"), phase.spec.load) == record.figures
        assert record.simulated
        assert record.endpoint == sut.url
        assert record.figures.window_s is not None
        assert record.duration_s >= record.figures.window_s
        assert record.started_at.endswith("+00:00")
    assert records[0].started_at < records[1].started_at


def test_the_clock_starts_with_the_first_query(engine, start_sut):
    ended = engine.drive(start_sut(service_ms=1).url)
    assert min(query.issued_ns for query in ended.queries) == 0
    [first] = [query for query in ended.queries if query.query == 0]  # records stand as queries ended
    assert first.issued_ns == 0


def test_the_throughput_is_the_servers_own(engine, start_sut):
    sut = start_sut(service_ms=20, lanes=8)
    ended = engine.drive(sut.url, n_samples=64, load=Concurrency(target=8))
    times = sut.times()
    span_s = (max(end for _, end in times) - min(begin for begin, _ in times)) / 1e9
    assert ended.record.figures.qps == pytest.approx(64 / span_s, rel=0.1)


def test_an_earlier_attempt_is_kept(engine, start_sut):
    sut = start_sut(service_ms=0)
    [planned] = engine.planned([engine.spec()])
    with QueryLog(planned.directory / "queries.jsonl"):
        pass
    [record] = run_group([planned], engine.source, Target(urls=(sut.url,)))
    assert record.attempt == 2
    assert (planned.directory / "attempt-1" / "queries.jsonl").exists()
    assert len(list(read_queries(planned.directory / "queries.jsonl"))) == 16


def test_all_phases_of_a_group_have_the_same_attempt(engine, start_sut):
    planned = engine.planned([engine.spec("reference"), engine.spec("again")])
    with QueryLog(planned[0].directory / "queries.jsonl"):
        pass
    records = run_group(planned, engine.source, Target(urls=(start_sut(service_ms=0).url,)))
    assert [record.attempt for record in records] == [2, 2]


def test_progress_is_reported_up_to_the_end(engine, start_sut):
    sut = start_sut(service_ms=60, lanes=8, fault="500", fault_every=8)
    seen: list[Progress] = []
    engine.drive_all(sut.url, [engine.spec(n_samples=64)], title="TEST04", report=seen.append)
    assert len(seen) > 2
    assert [snapshot.over for snapshot in seen] == [False] * (len(seen) - 1) + [True]
    assert (seen[-1].issued, seen[-1].completed, seen[-1].failed, seen[-1].requested) == (64, 56, 8, 64)
    assert [snapshot.completed for snapshot in seen] == sorted(snapshot.completed for snapshot in seen)
    assert {snapshot.title for snapshot in seen} == {"TEST04"}
    assert seen[-1].elapsed_s > 0


def test_a_report_directory_that_cannot_be_made(engine, start_sut, tmp_path):
    sut = start_sut()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        run_group([PlannedPhase(engine.spec(), tmp_path / "file" / "phase")], engine.source, Target(urls=(sut.url,)))
    assert sut.received == 0


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid():
        pytest.skip("only root may mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], check=False).returncode:
        pytest.skip("this machine mounts no tmpfs")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_ends_the_phase_with_whole_lines(engine, start_sut, small_disk):
    sut = start_sut(service_ms=0, lanes=8)
    planned = PlannedPhase(engine.spec(n_samples=100_000), small_disk / "phase")
    with pytest.raises(OSError, match="No space left"):
        run_group([planned], engine.source, Target(urls=(sut.url,)))
    kept = read_columns(planned.directory / "queries.jsonl")
    assert 100 < len(kept) <= sut.received < 2000
    assert [path.name for path in planned.directory.iterdir()] == ["queries.jsonl"]


def test_a_disk_that_is_full_for_the_last_record_ends_no_phase_well(engine, start_sut, monkeypatch):
    def write(descriptor: int, data: bytes) -> int:  # noqa: ARG001 - os.write
        raise OSError(errno.ENOSPC, "No space left on device")

    planned = PlannedPhase(engine.spec(n_samples=1), engine.directory / "phase")
    url = start_sut(service_ms=20).url
    with monkeypatch.context() as patched:
        patched.setattr("pytest_mlperf_audit.records.log.os.write", write)
        planned.directory.parent.mkdir(exist_ok=True)
        [record] = run_group([planned], engine.source, Target(urls=(url,)))
    assert record.status == "crashed"
    assert record.reason == "the records could not be written: No space left on device"
    assert record.figures.n_issued == 0


def test_a_full_disk_is_the_reason_where_it_can_be_written(engine, start_sut, small_disk):
    sut = start_sut(service_ms=0, lanes=8)
    planned = PlannedPhase(engine.spec(n_samples=100_000), small_disk / "phase")
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 16_384)

    def report(progress):
        if progress.over:
            ballast.unlink()

    [record] = run_group([planned], engine.source, Target(urls=(sut.url,)), report=report)
    assert record.status == "crashed"
    assert record.reason == "the records could not be written: No space left on device"
    assert record.figures.n_issued == len(list(read_queries(planned.directory / "queries.jsonl")))
