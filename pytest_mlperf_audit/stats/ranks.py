"""Exact rank tests on latencies, and the speed-ups they estimate. Pure numpy; no randomness, no table look-ups.

Two tests, both exact when what is compared is exchangeable within a stratum (a block, a pair), whatever the
distribution of latencies:

* Mann-Whitney's U summed over strata (van Elteren 1960, equal strata). A single stratum is the ordinary U test.
* Wilcoxon's signed rank on pairs.

The other way round, `excluded_p` and `excluded_in_pool_p` are tests *against* a speed-up: that so large a share of the
fast ones is so many times as fast. What they reject is ruled out, however slow a few stalls make either side look.

What keeps many of them honest: Holm's correction of a family of p values, and for queries that take minutes each the
wealth of a gambler who bets that one of several exchangeable queries is the fastest. By Ville's inequality the wealth
of a fair game exceeds 1/alpha at any time at all with a chance of at most alpha, so that one may look after every bet
and stop when one likes (Shafer and Vovk 2019; Ramdas et al. 2023).

Estimates are Hodges-Lehmann's: the median of the pairwise differences, and the interval of those between which the test
does not reject. Values are logarithms of latency, so that differences are speed-up factors. Ties count against finding
anything. Source: Hollander, Wolfe, Chicken, Nonparametric Statistical Methods, chapters 3, 4 and 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import ceil, comb, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CONFIDENCE = 0.95
#: What is left of the stake after a lost bet. A quarter finds a full cache in six bets out of six, at an
#: error of one in a thousand.
_LEFT = 0.25
#: Ranks among the slow that `excluded_in_pool_p` holds the fast against, as shares. The high one sees most where
#: nothing stalls, the low one lies below what stalls reach; with fewer slow ones the high one has all of the error.
_RANKS = (0.9, 0.7)
_FEWEST_FOR_BOTH = 15


class Effect(NamedTuple):
    """A speed-up factor (2.0: twice as fast) with its interval; infinite ends where the data are too few for one."""

    factor: float
    low: float
    high: float


def stratified_u(fast: Floats, slow: Floats) -> float:
    """Return the one-sided p value that `fast` is faster than `slow` within strata.

    Shapes (strata, m) and (strata, n): logarithms of latency. Exact under exchangeability within each stratum.
    """
    strata, m = fast.shape
    n = slow.shape[1]
    wins = int((slow[:, None, :] > fast[:, :, None]).sum())
    return float(_u_tail(strata, m, n)[wins])


def signed_rank(fast: Floats, slow: Floats) -> float:
    """Return the one-sided p value that `fast` is faster than its partner in `slow`; shapes (pairs,)."""
    difference = slow - fast
    ranks = np.abs(difference).argsort(kind="stable").argsort() + 1
    return float(_signed_rank_tail(len(difference))[int(ranks[difference > 0].sum())])


def leading_run(groups: Sequence[tuple[Floats, Floats]]) -> tuple[float, int]:
    """Return the p value and length of the run of fast ones at the fast end of all queries: for sporadic hits.

    Each group is a pair of shapes (strata, m) and (strata, n); m and n may differ between groups. Given which strata
    the fastest queries come from, the next one is a fast one with the chance of drawing it from what is left of its
    stratum, whatever differs between strata. A tie with a slow one ends the run.
    """
    first_slow = min(float(slow.min()) for _, slow in groups)
    p, length = 1.0, 0
    for fast, slow in groups:
        m, n = fast.shape[1], slow.shape[1]
        for taken in (fast < first_slow).sum(axis=1).tolist():
            for left in range(m, m - taken, -1):
                p *= left / (left + n)
            length += taken
    return p, length


def least_u(strata: int, m: int, n: int) -> float:
    """Return the smallest p value that `stratified_u` can give."""
    return float(_u_tail(strata, m, n)[-1])


def stratified_effect(fast: Floats, slow: Floats) -> Effect:
    """Return the Hodges-Lehmann speed-up of `fast` against `slow` within strata; shapes (strata, m), (strata, n)."""
    strata, m = fast.shape
    n = slow.shape[1]
    differences = np.sort((slow[:, None, :] - fast[:, :, None]).ravel())
    return _effect(differences, _u_tail(strata, m, n))


def paired_effect(fast: Floats, slow: Floats) -> Effect:
    """Return the Hodges-Lehmann speed-up of pairs, from Walsh averages; shapes (pairs,)."""
    difference = slow - fast
    i, j = np.triu_indices(len(difference))
    return _effect(np.sort((difference[i] + difference[j]) / 2), _signed_rank_tail(len(difference)))


def excluded_p(fast: Floats, slow: Floats, times: float, share: float) -> float:
    """Return the p value of "a share `share` or more of `fast` is `times` times as fast as `slow`, or more".

    Shapes (strata, m) and (strata, n): logarithms of latency; m and n may differ. Small: so large a share is excluded.
    Exact and one-sided where, within its stratum, each one that is so fast would be exchangeable with the slow if it
    took `times` as long; strata may differ in cost. Those that are not so fast count for nothing, whatever they take,
    so that it is a bound: U, counted after all of `fast` is slowed by `times`, is at least that of Binomial(m, share)
    exchangeable ones.
    """
    strata, m = fast.shape
    wins = int((slow[:, None, :] >= fast[:, :, None] + log(times)).sum())
    return float(_few_wins_tail(strata, m, slow.shape[1], share)[wins])


def excluded_together_p(groups: Sequence[tuple[Floats, Floats]], times: float, share: float) -> float:
    """Return what `excluded_p` does for several groups of strata together, each of a shape of its own; 1 for none."""
    wins, density = 0, np.ones(1)
    for fast, slow in groups:
        wins += int((slow[:, None, :] >= fast[:, :, None] + log(times)).sum())
        tail = _few_wins_tail(fast.shape[0], fast.shape[1], slow.shape[1], share)
        density = np.convolve(density, np.diff(tail, prepend=0.0))
    return float(_head(density)[wins]) if groups else 1.0


def excluded_in_pool_p(fast: Floats, slow: Floats, times: float, share: float) -> float:
    """Return what `excluded_p` does where all of `slow` have one law; shapes (m,) and (n,).

    It stands stalls far better: how many of `fast`, slowed by `times`, lie below the slow one of a given rank. Exact as
    well, since the number of exchangeable ones below a rank is negative-hypergeometric.
    """
    ordered, slowed = np.sort(slow), fast + log(times)
    n = len(ordered)
    shares = _RANKS if n >= _FEWEST_FOR_BOTH else _RANKS[:1]
    p = 1.0
    for rank in (ceil(of * n) for of in shares):
        below = int((slowed <= ordered[rank - 1]).sum())
        p = min(p, len(shares) * float(_few_below_tail(len(fast), n, rank, share)[below]))
    return p


def wealth(won: Iterable[bool], arms: int) -> float:
    """Return the wealth after bets that one of `arms` exchangeable queries is the fastest, starting from 1."""
    gain = arms - _LEFT * (arms - 1)
    money = 1.0
    for win in won:
        money *= gain if win else _LEFT
    return money


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Return Holm's adjusted p values (Holm 1979): reject those at most alpha, whatever the tests' dependence."""
    adjusted: dict[str, float] = {}
    worst = 0.0
    for rank, name in enumerate(sorted(p, key=p.__getitem__)):
        worst = max(worst, min(1.0, (len(p) - rank) * p[name]))
        adjusted[name] = worst
    return adjusted


def median(ordered: Floats) -> float:
    """Return the median of sorted values; np.median costs twenty times as much on so few."""
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _effect(differences: Floats, tail: Floats) -> Effect:
    """Return median and interval of sorted differences; the statistic whose `tail` is given counts positive ones."""
    factor = float(np.exp(median(differences)))
    # As many differences are left out at either end as the statistic undercuts with a chance of 2.5 % at most.
    beyond = int((tail <= (1 - _CONFIDENCE) / 2).sum())
    if beyond == 0:
        return Effect(factor, 0.0, float("inf"))
    return Effect(factor, float(np.exp(differences[beyond - 1])), float(np.exp(differences[-beyond])))


@lru_cache(maxsize=256)
def _u_tail(strata: int, m: int, n: int) -> Floats:
    """Return tail[u] = P(U >= u), U summed over independent strata of m against n exchangeable values."""
    one = _u_density(m, n)
    density = np.ones(1)
    for _ in range(strata):
        density = np.convolve(density, one)
    return _tail(density)


@lru_cache(maxsize=256)
def _u_density(m: int, n: int) -> Floats:
    """Return P(U = u) for one stratum: of all ways to choose m ranks of m + n, the share with that sum."""
    ways = np.zeros((m + 1, m * n + 1))
    ways[0, 0] = 1.0
    # U is a sum of m parts, how many of the n others each value beats: partitions into at most m parts of at most n.
    for part in range(n + 1):
        updated = ways.copy()
        for count in range(1, m + 1):
            for times in range(1, count + 1):
                shift = part * times
                if shift <= m * n:
                    updated[count, shift:] += ways[count - times, : m * n + 1 - shift]
        ways = updated
    density: Floats = ways[m] / ways[m].sum()
    return density


@lru_cache(maxsize=256)
def _signed_rank_tail(n: int) -> Floats:
    """Return tail[w] = P(W+ >= w) for n pairs."""
    density = np.ones(1)
    for rank in range(1, n + 1):
        with_rank = np.zeros(len(density) + rank)
        with_rank[rank:] = density
        with_rank[: len(density)] += density
        density = with_rank / 2
    return _tail(density)


def _tail(density: Floats) -> Floats:
    tail: Floats = np.clip(density[::-1].cumsum()[::-1], 0.0, 1.0)
    return tail


@lru_cache(maxsize=256)
def _few_wins_tail(strata: int, m: int, n: int, share: float) -> Floats:
    """Return tail[u] = P(U <= u), U summed over strata of Binomial(m, share) against n, all exchangeable."""
    one = np.zeros(m * n + 1)
    for count in range(m + 1):
        one[: count * n + 1] += _binomial(m, count, share) * _u_density(count, n)
    density = np.ones(1)
    for _ in range(strata):
        density = np.convolve(density, one)
    return _head(density)


@lru_cache(maxsize=256)
def _few_below_tail(m: int, n: int, rank: int, share: float) -> Floats:
    """Return tail[t] = P(T <= t): of Binomial(m, share) values, T lie below the `rank`th smallest of n like them."""
    density = np.zeros(m + 1)
    for count in range(m + 1):
        for below in range(count + 1):
            ways = comb(below + rank - 1, below) * comb(count - below + n - rank, count - below)
            density[below] += _binomial(m, count, share) * (ways / comb(count + n, n))
    return _head(density)


def _head(density: Floats) -> Floats:
    head: Floats = np.clip(density.cumsum(), 0.0, 1.0)
    return head


def _binomial(m: int, count: int, share: float) -> float:
    return comb(m, count) * share**count * (1 - share) ** (m - count)
