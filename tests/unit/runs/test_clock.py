"""The time of day that a run tells, whatever is done to the machine's clock."""

from __future__ import annotations

import time
from datetime import datetime, timezone

import pytest

from pytest_mlperf_audit.runs.clock import Clock

HOUR_NS = 3600 * 10**9


@pytest.fixture
def step(monkeypatch):
    real = time.time_ns

    def set_by(ns: int) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: real() + ns)

    return set_by


def test_it_tells_the_time_of_the_machine():
    before = datetime.now(timezone.utc)
    told = datetime.fromisoformat(Clock.read().now("microseconds"))
    assert before <= told <= datetime.now(timezone.utc)


@pytest.mark.parametrize(
    ("timespec", "told"),
    [("seconds", "2026-11-29T09:00:00+00:00"), ("milliseconds", "2026-11-29T09:00:00.250+00:00")],
)
def test_how_it_is_written(monkeypatch, timespec, told):
    monkeypatch.setattr("pytest_mlperf_audit.runs.clock.perf_counter_ns", lambda: 5_250_000_000)
    began_ns = int(datetime(2026, 11, 29, 9, tzinfo=timezone.utc).timestamp()) * 10**9
    assert Clock(began_ns, 5_000_000_000).now(timespec) == told


@pytest.mark.parametrize("hours", [-1, 1])
def test_setting_the_machines_clock_moves_no_time(step, hours):
    clock = Clock.read()
    first = clock.now("microseconds")
    step(hours * HOUR_NS)
    second = clock.now("microseconds")
    passed = datetime.fromisoformat(second) - datetime.fromisoformat(first)
    assert 0 <= passed.total_seconds() < 600
    assert f"the machine's clock was set by {hours * 3600:+} s" in clock.set_by()


@pytest.mark.parametrize("set_ns", [0, 10**9, -(10**9)])
def test_steering_is_not_worth_a_word(step, set_ns):
    clock = Clock.read()
    step(set_ns)
    assert clock.set_by() == ""
