"""Locks between processes: one holder at a time, and no file is left behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytest_mlperf_audit.session.locks import Lock


def test_one_holder_at_a_time_and_no_file_afterwards(tmp_path: Path):
    one, other = Lock(tmp_path / "a.lock"), Lock(tmp_path / "a.lock")
    assert one.try_acquire()
    assert not other.try_acquire()
    one.release()
    assert other.try_acquire()
    assert not one.try_acquire()
    other.release()
    assert not list(tmp_path.iterdir())


def test_a_file_that_somebody_left_is_no_lock(tmp_path: Path):
    (tmp_path / "a.lock").touch()
    with Lock(tmp_path / "a.lock"):
        assert not Lock(tmp_path / "a.lock").try_acquire()
    assert not list(tmp_path.iterdir())


def test_many_that_wait_take_turns(tmp_path: Path):
    holders: list[int] = []
    most = []

    def hold(number: int) -> None:
        for _ in range(50):
            lock = Lock(tmp_path / "a.lock")
            while not lock.try_acquire():
                pass
            with lock:
                holders.append(number)
                most.append(len(holders))
                holders.remove(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hold, range(4)))
    assert set(most) == {1}
    assert len(most) == 200
    assert not list(tmp_path.iterdir())


def test_sessions_leave_no_lock(audit, sut):
    audit.config(sut)
    audit.run("-n", "2").assert_outcomes(passed=5)
    assert not list((audit.path / "tmp").rglob("*.lock"))
