"""The gambler's wealth: fair on average, and so seldom great that one may look whenever one likes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from pytest_mlperf_audit.stats.ranks import wealth


def test_wealth_worked_out_by_hand():
    """Of four arms: a win is worth 3.25 (4 - 3 x 0.25), a loss leaves a quarter."""
    assert wealth([], 4) == 1.0
    assert wealth([True], 4) == pytest.approx(3.25)
    assert wealth([False], 4) == pytest.approx(0.25)
    assert wealth([True, True, False, True], 4) == pytest.approx(3.25**3 / 4)


@pytest.mark.parametrize("arms", [2, 4, 6])
def test_the_game_is_fair(arms):
    """Summed over every course of five bets with its chance, the wealth stays 1."""
    expected = 0.0
    for won in product([True, False], repeat=5):
        chance = np.prod([1 / arms if win else 1 - 1 / arms for win in won])
        expected += float(chance) * wealth(won, arms)
    assert expected == pytest.approx(1.0)


def test_four_wins_in_a_row_prove_a_cache_and_three_do_not():
    assert wealth([True] * 4, 4) >= 100 > wealth([True] * 3, 4)


def test_three_losses_in_a_row_are_not_worth_going_on():
    assert wealth([False] * 3, 4) < 0.02 <= wealth([False] * 2, 4)


def test_looking_after_every_bet_does_not_raise_false_alarms():
    """Ville: a fair gambler is ever 100 times as rich in 1 of 100 sessions at most."""
    rng = np.random.default_rng(4)
    ever = 0
    for _ in range(4000):
        won = (rng.random(12) < 0.25).tolist()
        ever += any(wealth(won[:bets], 4) >= 100 for bets in range(1, 13))
    assert 0 < ever / 4000 <= 0.01 + 3 * 0.0016
