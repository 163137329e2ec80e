"""Tests against a speed-up: what they give is counted out, and what they exclude is not there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations, product
from math import comb, log, prod

import numpy as np
import pytest

from pytest_mlperf_audit.stats.ranks import Floats, excluded_in_pool_p, excluded_p

Places = Sequence[int]


def chances(m: int, n: int, share: float, count: Callable[[Places, Places], int]) -> dict[int, float]:
    """Return P(count = k) of Binomial(m, share) values among n like them, by every way to order them."""
    found: dict[int, float] = defaultdict(float)
    for hits in range(m + 1):
        ways = list(combinations(range(hits + n), hits))
        for chosen in ways:
            slow = [place for place in range(hits + n) if place not in chosen]
            found[count(chosen, slow)] += comb(m, hits) * share**hits * (1 - share) ** (m - hits) / len(ways)
    return found


def n_wins(fast: Places, slow: Places) -> int:
    return sum(one < other for one, other in product(fast, slow))


@pytest.mark.parametrize(
    ("strata", "m", "n", "share"), [(1, 3, 4, 0.5), (2, 2, 3, 0.5), (3, 1, 3, 0.7), (2, 3, 2, 1.0)]
)
def test_within_strata_it_is_what_counting_gives(strata, m, n, share):
    one = chances(m, n, share, n_wins)
    total: dict[int, float] = defaultdict(float)
    for wins in product(one, repeat=strata):
        total[sum(wins)] += prod(one[number] for number in wins)
    for most in range(strata * m * n + 1):
        fast, slow = with_wins(strata, m, n, most)
        expected = sum(chance for number, chance in total.items() if number <= most)
        assert excluded_p(fast - log(1.5), slow, 1.5, share) == pytest.approx(expected, rel=1e-9)


def with_wins(strata: int, m: int, n: int, wins: int) -> tuple[Floats, Floats]:
    """Return arrays in which so many pairs have the fast one faster."""
    slow = np.tile(np.arange(n, dtype=float), (strata, 1))
    fast = np.full((strata, m), n + 0.5)
    for at in range(strata * m):
        beats = min(n, max(0, wins - n * at))
        fast[at // m, at % m] = n - 0.5 - beats + (0 if beats else 1)
    return fast, slow


@pytest.mark.parametrize(("m", "n", "rank", "share"), [(3, 5, 5, 0.5), (4, 3, 3, 0.5), (5, 5, 5, 1.0), (2, 8, 8, 0.3)])
def test_in_a_pool_it_is_what_counting_gives(m, n, rank, share):
    """With fewer than 15 slow ones, the rank is the smallest of at least nine tenths of them."""

    def below(fast: Places, slow: Places) -> int:
        return sum(one < slow[rank - 1] for one in fast)

    density = chances(m, n, share, below)
    slow = np.arange(n, dtype=float)
    for number in range(m + 1):
        fast = np.array([*[-1.0] * number, *[n + 1.0] * (m - number)])
        expected = sum(chance for count, chance in density.items() if count <= number)
        assert excluded_in_pool_p(fast - log(2), slow, 2.0, share) == pytest.approx(expected, rel=1e-9)


def test_ten_against_ten_that_take_the_same_exclude_half_of_one_and_a_half():
    rng = np.random.default_rng(1)
    fast, slow = rng.normal(0, 0.03, 10), rng.normal(0, 0.03, 10)
    assert excluded_in_pool_p(fast, slow, 1.5, 0.5) == pytest.approx(0.0081, abs=5e-5)
    assert excluded_in_pool_p(fast[:5], slow[:5], 1.5, 0.5) > 0.05, "five against five leave half of them open"


def test_a_stall_on_either_side_does_not_change_it():
    rng = np.random.default_rng(1)
    fast, slow = rng.normal(0, 0.03, 20), rng.normal(0, 0.03, 20)
    fast[:4] += log(10)
    slow[:4] += log(10)
    assert excluded_in_pool_p(fast, slow, 1.5, 0.5) <= 0.003


def test_ties_exclude_nothing():
    same = np.zeros(20)
    assert excluded_in_pool_p(same - log(1.5), same, 1.5, 0.5) == 1.0
    assert excluded_p(same.reshape(4, 5) - log(1.5), same.reshape(4, 5), 1.5, 0.5) == pytest.approx(1.0)


@pytest.mark.parametrize("test", [excluded_p, excluded_in_pool_p])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_what_is_there_is_excluded_as_rarely_as_it_says(test, share):
    """Hits of exactly the claim, with stalls on every kind of query: the worst case."""
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(2000):
        values = rng.normal(0, 0.2, (6, 5)) + log(10) * (rng.random((6, 5)) < 0.1)
        fast, slow = values[:, :2], values[:, 2:]
        fast = fast - log(1.5) * (rng.random(fast.shape) < share)
        shapes = (fast, slow) if test is excluded_p else (fast.ravel(), slow.ravel())
        wrong += test(*shapes, 1.5, share) <= 0.05
    assert wrong / 2000 <= 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5
