"""Figures of a run with their intervals, and the change between two runs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from pytest_mlperf_audit.stats.estimates import (
    Estimate,
    _student,
    change,
    of_runs,
    percentile,
    time_per_query,
    wider,
)


@pytest.mark.parametrize("freedom", [1, 2, 5, 7, 8, 19, 100])
@pytest.mark.parametrize("confidence", [0.95, 0.99, 0.9975])
def test_students_quantile_is_that_of_scipy(freedom: int, confidence: float):
    assert _student(freedom, confidence) == pytest.approx(student.ppf((1 + confidence) / 2, freedom), rel=1e-9)


def test_a_steady_run_has_its_pace():
    found = time_per_query(np.linspace(0.5, 50.0, 100), 0.0, in_flight=1, confidence=0.99)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize(("n", "in_flight"), [(0, 1), (20, 1), (23, 1), (100, 20)])
def test_too_short_a_run_has_no_interval(n: int, in_flight: int):
    values = np.linspace(1.0, 2.0, n)
    assert time_per_query(np.cumsum(values), 0.0, in_flight, 0.99) is None
    assert percentile(values, 0.5, in_flight, 0.99) is None


def test_a_percentile_near_the_last_query_has_no_interval():
    values = np.random.default_rng(1).lognormal(size=100)
    assert percentile(values, 0.99, 1, 0.99) is None
    assert percentile(values, 0.5, 1, 0.99) is not None


@pytest.mark.parametrize("alike", [0.0, 0.5])
def test_intervals_cover_what_they_say(alike: float):
    rng, runs, covered, covered_p90 = np.random.default_rng(7), 400, 0, 0
    for _ in range(runs):
        normal = rng.standard_normal(400)
        for at in range(1, 400):
            normal[at] = alike * normal[at - 1] + np.sqrt(1 - alike**2) * normal[at]
        times = np.exp(0.3 * normal)
        pace = time_per_query(np.cumsum(times), 0.0, 1, 0.95)
        high = percentile(times, 0.9, 1, 0.95)
        assert pace is not None
        assert high is not None
        covered += pace.low <= np.exp(0.045) <= pace.high
        covered_p90 += high.low <= np.exp(0.3 * 1.2815516) <= high.high
    assert covered >= 0.92 * runs
    assert covered_p90 >= 0.92 * runs


def test_a_change_has_the_intervals_of_both_runs():
    before = Estimate(value=1.0, low=0.9, high=1.1, n=100)
    after = Estimate(value=1.2, low=1.2, high=1.2, n=100)
    found = change(before, after)
    assert found.factor == pytest.approx(1.2)
    assert (found.low, found.high) == pytest.approx((1.2 / 1.1, 1.2 / 0.9))


def test_the_spread_of_earlier_runs_is_in_what_a_next_is_held_against():
    assert of_runs([1.0] * 4, 0.99) is None
    found = of_runs([1.0, 1.1, 0.9, 1.05, 0.95, 1.0], 0.99)
    assert found is not None
    assert found.low < 0.8
    assert found.high > 1.2
    narrow = Estimate(value=1.0, low=0.99, high=1.5, n=64)
    both = wider(found, narrow)
    assert both.value == found.value
    assert both.low == pytest.approx(found.low)
    assert both.high == pytest.approx(1.5 * found.value)
