"""The part of a phase that was slower than the rest: found where there is one, and hardly ever where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_mlperf_audit.stats.steadiness import slow_part


def service(n: int, cv: float = 0.05, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(0.0, np.sqrt(np.log(1 + cv**2)), n)


@pytest.mark.parametrize(
    ("n", "begin", "end", "times"),
    [
        (16, 6, 16, 10),  # ten times slower from the 7th query on
        (64, 6, 64, 10),
        (64, 0, 8, 2),  # a warm-up
        (64, 20, 40, 2),  # a disturbance
    ],
)
def test_a_slow_part_is_found_with_its_ends(n, begin, end, times):
    times_s = service(n)
    times_s[begin:end] *= times
    part = slow_part(times_s)
    assert part is not None
    assert (part.begin, part.end, part.n) == (begin, end, n)
    assert part.factor == pytest.approx(times, rel=0.05)
    rest = np.concatenate((times_s[:begin], times_s[end:]))
    assert part.rest == pytest.approx(rest.mean() / times_s.mean())


def test_a_rest_of_few_queries_that_vary_says_little_of_its_pace():
    times_s = np.array([30, 31, 60, 30, 45, 33, *[300.0] * 26])
    part = slow_part(times_s)
    assert part is not None
    assert (part.begin, part.end) == (6, 32)
    assert part.least * times_s.mean() < 30 < part.rest * times_s.mean()
    steady = slow_part(np.array([*service(500), *(3 * service(500, seed=2))]))
    assert steady is not None
    assert steady.least == pytest.approx(steady.rest, rel=0.01)


def test_of_a_long_phase_the_ends_are_those_of_blocks():
    times_s = service(10_000, cv=0.3)
    times_s[:1_000] *= 2
    part = slow_part(times_s)
    assert part is not None
    assert part.begin == 0
    assert part.end == pytest.approx(1_000, abs=10_000 / 64)
    assert part.rest == pytest.approx(1 / 1.1, rel=0.02)


def test_a_long_phase_may_have_been_fast_for_its_first_queries_alone():
    times_s = service(5_000)
    times_s[6:] *= 10
    part = slow_part(times_s)
    assert part is not None
    assert (part.begin, part.end) == (6, 5_000)


@pytest.mark.parametrize("cv", [0.05, 0.6])
@pytest.mark.parametrize("n", [16, 64, 1000])
def test_a_steady_phase_hardly_ever_has_one(n, cv):
    found = [slow_part(service(n, cv, seed)) is not None for seed in range(300)]
    assert sum(found) <= 12, "twice 1 % at most, of which this many of 300 have a chance below 1 in 100"


@pytest.mark.parametrize("times_s", [[], [1.0] * 7, [1.0] * 64, [1.0, 0.0] * 10])
def test_too_few_equal_or_impossible_times_have_none(times_s):
    assert slow_part(np.array(times_s)) is None


def test_fewer_than_five_fast_queries_are_nothing_to_rest_a_verdict_on():
    times_s = service(16)
    times_s[4:] *= 10
    part = slow_part(times_s)
    assert part is None or part.n - (part.end - part.begin) >= 5
