from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mlperf_audit.stats.percentiles import P90_FLOOR, allowed_over_latency, percentile_estimate, queries_needed

FLOORS = {0.50: 11, 0.75: 24, 0.90: 64, 0.95: 130, 0.97: 219, 0.99: 662, 0.999: 6636}
ONE_IN_A_HUNDRED = Fraction(1, 100)


def odds(h: int, t: int, percentile: Fraction) -> Fraction:
    """I_p(h, t + 1) in exact arithmetic: the probability of at most t over-latency queries among h + t."""
    n = h + t
    return sum(
        (comb(n, k) * (1 - percentile) ** k * percentile ** (n - k) for k in range(t + 1)),
        start=Fraction(0),
    )


def searched(n: int, percentile: Fraction) -> int:
    """The largest t with n >= h_min(t) + t, h_min(t) being searched one by one, as LoadGen defines it."""
    allowed, t, h = 0, 1, 1
    while True:
        while odds(h, t, percentile) >= ONE_IN_A_HUNDRED:
            h += 1
        if n < h + t:
            return allowed
        allowed, t = t, t + 1


@pytest.mark.parametrize(("percentile", "floor"), FLOORS.items())
def test_the_floors_are_mlperfs(percentile, floor):
    assert queries_needed(percentile) == floor
    assert allowed_over_latency(floor, percentile) == 1
    assert allowed_over_latency(floor - 1, percentile) == 0


@pytest.mark.parametrize(("percentile", "counts"), [(0.5, range(2, 120, 3)), (0.9, [*range(60, 70), 120, 200, 333])])
def test_it_agrees_with_a_search_in_exact_arithmetic(percentile, counts):
    exact = Fraction(str(percentile))
    assert [allowed_over_latency(n, percentile) for n in counts] == [searched(n, exact) for n in counts]


@given(st.integers(2, 20_000), st.sampled_from(sorted(FLOORS)))
def test_more_queries_allow_no_fewer_over_latency(n, percentile):
    t = allowed_over_latency(n, percentile)
    assert 0 <= t <= allowed_over_latency(n + 1, percentile) <= t + 1
    assert t < n * (1 - percentile) + 1  # the estimate is never below the plain percentile


@given(st.integers(64, 3000), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_the_estimate_is_an_order_statistic(n, rng):
    latencies = [rng.random() for _ in range(n)]
    estimate = percentile_estimate(np.array(latencies), 0.9)
    assert estimate == sorted(latencies)[n - allowed_over_latency(n, 0.9)]
    assert estimate >= np.percentile(latencies, 90, method="inverted_cdf")


@pytest.mark.parametrize("n", [0, 1, 2, 63])
def test_too_few_queries_give_no_estimate(n):
    assert percentile_estimate(np.arange(float(n)), 0.9) is None


def test_the_array_is_left_as_it_was():
    latencies = np.arange(100.0)[::-1].copy()
    percentile_estimate(latencies, 0.9)
    assert latencies[0] == 99.0


def test_coverage_is_what_the_name_promises():
    """The estimate lies below the true percentile in at most 1 % of runs (seeded; three standard errors allowed)."""
    rng = np.random.default_rng(1)
    runs = 2000
    low = sum((percentile_estimate(rng.random(300), 0.9) or 0.0) < 0.9 for _ in range(runs))
    assert low / runs < 0.01 + 3 * (0.01 * 0.99 / runs) ** 0.5
    assert low > 0


def test_the_floor_at_hand_is_the_one_searched():
    assert queries_needed(0.90) == P90_FLOOR


@given(st.integers(1_000, 5_000_000), st.sampled_from(sorted(FLOORS)))
@settings(max_examples=20)
def test_it_agrees_with_scipy_at_any_count(n, percentile):
    from scipy.special import betainc

    t = allowed_over_latency(n, percentile)
    odds_of = [float(betainc(n - k, k + 1, percentile)) for k in (t, t + 1)]
    assert t == 0 or odds_of[0] < 0.01
    assert odds_of[1] >= 0.01
