"""Another process's clock on ours."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from pytest_mlperf_audit.load.workers.clocks import Mapping, Reading, Trip, best, reading

HOUR = 3600 * 10**9


def _clock(offset: int, drift: float) -> Callable[[int], int]:
    return lambda ours: ours + offset + round(ours * drift)


def _trips(clock: Callable[[int], int], at: int, n: int = 200, seed: int = 1) -> list[Trip]:
    """Round trips of 60 us and more: each way takes 30 us and now and then far longer."""
    rng = random.Random(seed)
    found = []
    for _ in range(n):
        there, back = (30_000 + int(rng.expovariate(1 / 40_000)) for _ in range(2))
        found.append(Trip(at, clock(at + there), at + there + back))
        at += there + back
    return found


@pytest.mark.parametrize("offset", [0, 250, -(2**40), 3 * HOUR])
@pytest.mark.parametrize("seed", range(5))
def test_an_offset_is_within_the_error_that_is_told(offset: int, seed: int):
    found = best(_trips(_clock(offset, 0), HOUR, seed=seed))
    assert abs(found.offset - offset) <= found.error <= 60_000


def test_the_shortest_trip_says_most():
    assert best([Trip(0, 500, 1000), Trip(2000, 2010, 2020), Trip(3000, 3400, 3900)]) == reading(Trip(2000, 2010, 2020))


@pytest.mark.parametrize(("offset", "drift"), [(HOUR, 50e-6), (-HOUR, -480e-6), (7, 0.0)])
def test_times_between_two_readings_are_within_the_error(offset: int, drift: float):
    clock = _clock(offset, drift)
    mapping = Mapping(best(_trips(clock, 10**9)), best(_trips(clock, 60 * 10**9, seed=2)), one_machine=False)
    for at in range(10**9, 60 * 10**9, 7 * 10**9):
        assert abs(mapping.ours(clock(at)) - at) <= mapping.error
    assert mapping.drift == pytest.approx(drift, abs=3e-6)
    assert mapping.problem(59 * 10**9, []) is None


def test_one_clock_is_mapped_by_nothing():
    clock = _clock(0, 0)
    mapping = Mapping(best(_trips(clock, 10**9)), best(_trips(clock, 2 * 10**9)), one_machine=True)
    assert (mapping.is_shared, mapping.offset, mapping.drift, mapping.ours(12345)) == (True, 0, 0.0, 12345)
    assert mapping.problem(1, []) is None


@pytest.mark.parametrize(("before", "after"), [(0, 90_000), (90_000, 0)])
def test_two_clocks_are_not_taken_for_one(before: int, after: int):
    mapping = Mapping(Reading(0, before, 30_000), Reading(10**9, after, 30_000), one_machine=True)
    assert not mapping.is_shared


def test_near_clocks_of_two_machines_are_two_clocks():
    mapping = Mapping(Reading(0, 5, 30_000), Reading(10**9, 5, 30_000), one_machine=False)
    assert not mapping.is_shared
    assert mapping.ours(10**6) == 10**6 - 5


def test_a_clock_that_was_stopped_gives_no_verdict():
    mapping = Mapping(Reading(0, 0, 30_000), Reading(10**9, -(10**7), 30_000), one_machine=False)
    assert "gained -10000 ppm" in (mapping.problem(10**9, []) or "")


def test_a_clock_that_went_unsteadily_gives_no_verdict():
    """It gained 200 us in the first half and lost them in the second: the two readings see nothing of it."""
    mapping = Mapping(Reading(0, HOUR, 30_000), Reading(10**9, HOUR, 30_000), one_machine=False)
    at = 5 * 10**8
    steady = Trip(at - 40_000, at + HOUR, at + 40_000)
    off = Trip(at - 40_000, at + HOUR + 200_000, at + 40_000)
    assert mapping.problem(10**9, [steady]) is None
    assert "did not go steadily" in (mapping.problem(10**9, [steady, off]) or "")


def test_a_long_trip_in_mid_phase_says_nothing():
    mapping = Mapping(Reading(0, HOUR, 30_000), Reading(10**9, HOUR, 30_000), one_machine=False)
    at = 5 * 10**8
    assert mapping.problem(10**9, [Trip(at, at + HOUR + 100, at + 200 * 10**6)]) is None


def test_a_clock_known_badly_gives_no_verdict_on_a_short_phase():
    mapping = Mapping(Reading(0, HOUR, 5 * 10**6), Reading(10**9, HOUR, 30_000), one_machine=False)
    assert "is known to 5.000 ms only" in (mapping.problem(10**9, []) or "")
    assert mapping.problem(60 * 10**9, []) is None
