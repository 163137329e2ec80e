"""Ctrl-C and SIGTERM: every query that was issued is on disk, and nothing may be concluded from the phase."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from pytest_mlperf_audit.load.loop import run_until_done
from pytest_mlperf_audit.records.log import read_queries
from pytest_mlperf_audit.records.store import read_phase

BOTH = pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])


def running(process):
    assert process.stdout.readline() == "running\n"


@BOTH
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_signal_in_mid_phase(phase_process, ended, start_sut, tmp_path, signum, loop):
    sut = start_sut(service_ms=30, lanes=64)
    process = phase_process(sut.url, n=100_000, target=8, loop=loop, labels=["phase", "next"])
    running(process)
    sut.wait_for(24)
    process.send_signal(signum)
    assert ended(process)["raised"] == "KeyboardInterrupt"
    queries = list(read_queries(tmp_path / "phase" / "queries.jsonl"))
    assert sorted(query.query for query in queries) == list(range(len(queries)))
    assert sut.received <= len(queries) <= sut.received + 8  # one may have been cut off before the server read it
    cancelled = [query for query in queries if query.outcome == "cancelled"]
    assert 1 <= len(cancelled) <= 8
    assert all(query.completed_ns >= query.issued_ns for query in queries)
    record = read_phase(tmp_path / "phase")
    assert record is not None
    assert (record.status, record.complete) == ("interrupted", False)
    assert record.figures.n_issued == len(queries)
    assert record.reason == f"interrupted after {len(queries)} queries"
    assert not (tmp_path / "next" / "queries.jsonl").exists()


@BOTH
def test_a_hanging_server_cannot_hold_the_client(phase_process, ended, start_sut, tmp_path, signum):
    sut = start_sut(service_ms=0, fault="hang")
    process = phase_process(sut.url, n=4, target=4)
    running(process)
    sut.wait_for(4)
    process.send_signal(signum)
    assert ended(process)["raised"] == "KeyboardInterrupt"
    assert [query.outcome for query in read_queries(tmp_path / "phase" / "queries.jsonl")] == ["cancelled"] * 4


def test_impatience_loses_no_record(phase_process, start_sut, tmp_path):
    sut = start_sut(service_ms=0, fault="hang", lanes=1000)
    process = phase_process(sut.url, n=300, target=300)
    running(process)
    sut.wait_for(300)
    for _ in range(5):
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert len(list(read_queries(tmp_path / "phase" / "queries.jsonl"))) == 300


def test_a_killed_client_leaves_whole_lines_and_no_phase(phase_process, start_sut, tmp_path):
    sut = start_sut(service_ms=1, lanes=64)
    process = phase_process(sut.url, n=1_000_000, target=16)
    running(process)
    sut.wait_for(200)
    process.kill()
    process.wait()
    lines = (tmp_path / "phase" / "queries.jsonl").read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"\n") and json.loads(line) for line in lines)
    assert len(lines) >= 200 - 16
    assert read_phase(tmp_path / "phase") is None


def test_a_signal_that_was_ignored_stays_ignored():
    import asyncio

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:

        async def signalled():
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.1)
            return "done"

        assert run_until_done(signalled) == "done"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@BOTH
def test_a_signal_that_cancels_nothing_is_not_lost(signum):
    import asyncio

    async def deaf():
        os.kill(os.getpid(), signum)
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return "done all the same"

    with pytest.raises(KeyboardInterrupt):
        run_until_done(deaf)


@BOTH
def test_the_handlers_are_put_back(signum):
    import asyncio

    before = signal.getsignal(signum)
    run_until_done(lambda: asyncio.sleep(0))
    assert signal.getsignal(signum) is before


def test_without_a_signal_errors_pass():
    async def fail():
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        run_until_done(fail)


def test_the_policy_and_the_current_loop_are_left_alone():
    import asyncio

    policy = asyncio.get_event_loop_policy()
    run_until_done(lambda: asyncio.sleep(0))
    assert asyncio.get_event_loop_policy() is policy


def test_the_interrupt_counts_for_more_than_a_full_disk(engine, start_sut, monkeypatch):
    from pytest_mlperf_audit.load import group

    sut = start_sut(service_ms=50, lanes=8)

    def full(directory, record):  # noqa: ARG001
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(group, "write_phase", full)

    def report(progress):
        if progress.issued > 4:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        engine.drive_all(sut.url, [engine.spec(n_samples=1000)], report=report)
