"""The rank tests against scipy, against counting out every ordering, and on ties."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from math import comb, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, wilcoxon

from pytest_mlperf_audit.stats.ranks import (
    Floats,
    leading_run,
    least_u,
    median,
    paired_effect,
    signed_rank,
    stratified_effect,
    stratified_u,
)

#: (m, n) of each stratum of three small designs, among them the probe's: 2 repeats and 3 twins, 1 and 3.
SMALL = {"pairs": [(1, 1)] * 5, "two_sizes": [(2, 3), (1, 3), (1, 3)], "one_stratum": [(3, 3)]}


def drawn(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 3), (5, 5), (6, 6), (7, 7), (12, 12), (24, 24), (3, 20)])
def test_one_stratum_is_the_mann_whitney_test(m, n):
    for seed in range(20):
        fast, slow = drawn(seed, m) - 0.3, drawn(seed + 1000, n)
        expected = mannwhitneyu(fast, slow, alternative="less", method="exact").pvalue
        assert stratified_u(fast[None], slow[None]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 6, 12, 24])
def test_pairs_are_the_wilcoxon_test(n):
    for seed in range(20):
        fast, slow = drawn(seed, n) - 0.3, drawn(seed + 1000, n)
        expected = wilcoxon(fast, slow, alternative="less", method="exact").pvalue
        assert signed_rank(fast, slow) == pytest.approx(expected, rel=1e-9)


def labelings(sizes: list[tuple[int, int]]) -> Iterator[list[tuple[list[int], list[int]]]]:
    """Every way to say which of each stratum's ranks are of the fast ones; equally likely under chance."""
    values = iter(np.random.default_rng(7).permutation(sum(map(sum, sizes))).tolist())
    strata = [[next(values) for _ in range(m + n)] for m, n in sizes]
    each = [
        [(list(chosen), [one for one in stratum if one not in chosen]) for chosen in combinations(stratum, m)]
        for stratum, (m, _) in zip(strata, sizes, strict=True)
    ]
    for labeled in product(*each):
        yield list(labeled)


def as_groups(labeled: list[tuple[list[int], list[int]]]) -> list[tuple[Floats, Floats]]:
    return [(np.array([fast], float), np.array([slow], float)) for fast, slow in labeled]


@pytest.mark.parametrize("sizes", SMALL.values(), ids=SMALL)
def test_the_leading_run_errs_as_often_as_it_says(sizes):
    """Of all labelings, the share with a p of at most x is x, for every x that p can be."""
    ps = sorted(leading_run(as_groups(labeled))[0] for labeled in labelings(sizes))
    assert len(ps) == prod(comb(m + n, m) for m, n in sizes)
    for p in set(ps):
        assert sum(one <= p + 1e-12 for one in ps) / len(ps) <= p + 1e-12


@pytest.mark.parametrize("sizes", [SMALL["pairs"], SMALL["one_stratum"], [(2, 3)] * 3])
def test_the_stratified_test_errs_as_often_as_it_says(sizes):
    ps = []
    for labeled in labelings(sizes):
        fast, slow = (np.array([pair[side] for pair in labeled], float) for side in (0, 1))
        ps.append(stratified_u(fast, slow))
    for p in set(ps):
        assert sum(one <= p + 1e-12 for one in ps) / len(ps) == pytest.approx(p)
    (m, n), *_ = sizes
    assert min(ps) == pytest.approx(least_u(len(sizes), m, n))


@pytest.mark.parametrize("n", [3, 6, 9])
def test_the_signed_rank_errs_as_often_as_it_says(n):
    """Under chance each difference is as likely to have the other sign."""
    sizes = np.arange(1.0, n + 1)
    ps = [signed_rank(np.zeros(n), sizes * np.array(signs)) for signs in product((-1, 1), repeat=n)]
    for p in set(ps):
        assert sum(one <= p + 1e-12 for one in ps) / len(ps) == pytest.approx(p)


def test_the_leading_run_is_exact_whatever_differs_between_strata():
    """Strata on scales of their own: a p of at most 5 % in no more than 5 % of 4,000 draws, and a bit."""
    rng = np.random.default_rng(3)
    few = 0
    for _ in range(4000):
        scale = rng.normal(0, 3, (6, 1))
        groups = [(rng.standard_normal((6, 2)) + scale, rng.standard_normal((6, 3)) + scale)]
        groups.append((rng.standard_cauchy((6, 1)), rng.standard_cauchy((6, 3))))
        few += leading_run(groups)[0] <= 0.05
    assert few / 4000 <= 0.05 + 3 * 0.0035


def test_the_leading_run_counts_hits_before_the_first_miss():
    fast = np.array([[0.1, 9.0], [0.2, 0.3]])
    slow = np.array([[5.0, 6.0, 7.0], [8.0, 8.0, 8.0]])
    p, length = leading_run([(fast, slow)])
    assert length == 3
    assert p == pytest.approx(2 / 5 * (2 / 5 * 1 / 4))
    p, length = leading_run([(fast, slow), (np.array([[0.05]]), np.array([[0.06, 7.0, 7.0]]))])
    assert length == 1
    assert p == pytest.approx(1 / 4)


def test_no_hit_is_no_evidence():
    assert leading_run([(np.array([[2.0]]), np.array([[1.0, 3.0, 3.0]]))]) == (1.0, 0)


@pytest.mark.parametrize("strata", [1, 4])
def test_equal_latencies_are_no_evidence(strata):
    fast, slow = np.ones((strata, 2)), np.ones((strata, 3))
    assert stratified_u(fast, slow) == 1.0
    assert leading_run([(fast, slow)]) == (1.0, 0)
    assert signed_rank(fast[:, 0], slow[:, 0]) == 1.0


def test_a_tie_counts_against_finding_anything():
    fast, slow = np.array([[1.0, 2.0]]), np.array([[2.0, 3.0, 4.0]])
    apart = np.array([[1.0, 1.9]])
    assert stratified_u(fast, slow) > stratified_u(apart, slow)
    assert leading_run([(fast, slow)])[1] == 1
    assert signed_rank(np.array([1.0, 2.0]), np.array([2.0, 2.0])) > signed_rank(np.array([1.0, 1.0]), np.full(2, 2.0))


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_the_median_is_numpys(n, seed):
    values = np.sort(np.random.default_rng(seed).standard_normal(n))
    assert median(values) == pytest.approx(float(np.median(values)))


@given(st.integers(0, 2**32 - 1), st.floats(1.0, 50.0))
@settings(max_examples=30)
def test_effects_find_an_exact_factor(seed, factor):
    """Blocks of any pace whose slow ones take `factor` times as long."""
    fast = np.random.default_rng(seed).normal(0, 3, (8, 1))
    slow = np.repeat(fast + np.log(factor), 3, axis=1)
    for effect in (stratified_effect(fast, slow), paired_effect(fast[:, 0], slow[:, 0])):
        assert effect == pytest.approx((factor, factor, factor))


def test_too_few_queries_have_no_interval():
    effect = stratified_effect(np.zeros((1, 2)), np.ones((1, 2)))
    assert effect.factor == pytest.approx(np.e)
    assert effect[1:] == (0.0, float("inf"))
    assert paired_effect(np.zeros(5), np.ones(5))[1:] == (0.0, float("inf"))
    assert np.isfinite(paired_effect(np.zeros(6), np.ones(6))).all()


@pytest.mark.parametrize(
    "estimate",
    [stratified_effect, lambda fast, slow: paired_effect(fast[:, 0], slow[:, 0])],
    ids=["strata", "pairs"],
)
def test_intervals_cover_the_truth_in_19_of_20_sessions(estimate):
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(1000):
        fast, slow = rng.normal(0, 0.3, (8, 2)), rng.normal(np.log(1.5), 0.3, (8, 3))
        effect = estimate(fast, slow)
        covered += effect.low <= 1.5 <= effect.high
    assert 930 <= covered <= 985
