"""The rule of pairs of blocks: plans, looks, and which way each decides."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from pytest_mlperf_audit.stats.blocks import block_plan, estimate, judged, judged_fresh, pace_s

MLPERF = 1.10


def spread(ratio: float, n: int, cv: float = 0.01) -> np.ndarray:
    """Return n log ratios evenly around a ratio, none tied with another."""
    return log(ratio) + cv * np.linspace(-1, 1.1, n)


@pytest.mark.parametrize(
    ("n", "in_flight", "budget", "size", "pairs"),
    [
        (64, 1, 8, 4, [8, 16, 32, 64]),
        (64, 8, 8, 8, [8, 16, 32]),
        (64, 64, 8, 8, [8, 16, 32]),
        (64, 64, 16, 8, [8, 16, 32, 64]),
        (10_000, 64, 8, 64, [8, 16, 32, 64, 128]),
        (10_000, 10_000, 8, 1250, [8, 16, 32]),
        (4, 4, 8, 4, [8]),
        (1, 1, 8, 4, [8]),
    ],
)
def test_blocks_and_looks_fit_phase_load_and_budget(n, in_flight, budget, size, pairs):
    plan = block_plan(n, in_flight, MLPERF, budget)
    assert (plan.size, [look.pairs for look in plan.looks]) == (size, pairs)
    assert plan.most_pairs == pairs[-1]


def test_a_pass_excludes_less_once_much_was_sent():
    assert [round(look.excluded, 6) for look in block_plan(64, 1, MLPERF, 8).looks] == [1.25, 1.25, 1.5, 1.5]
    assert [round(look.excluded, 6) for look in block_plan(64, 8, MLPERF, 8).looks] == [1.25, 1.5, 1.5]
    wide = block_plan(64, 8, 1.9, 8).looks
    assert all(look.excluded > 1.9 for look in wide)


@pytest.mark.parametrize("ratio", [1.3, 2.0, 60.0])
def test_faster_repeats_fail_at_the_first_look(ratio):
    plan = block_plan(64, 8, MLPERF, 8)
    found = judged(spread(ratio, 8), plan)
    assert (found.outcome, found.clear, found.n_pairs, found.excluded) == ("FAIL", True, 8, None)
    assert found.ratio.low <= found.ratio.factor <= found.ratio.high
    assert found.ratio.factor == pytest.approx(ratio, rel=0.01)


@pytest.mark.parametrize("ratio", [0.3, 0.9, 1.0, 1.05])
def test_repeats_that_are_not_faster_pass_at_the_first_look(ratio):
    found = judged(spread(ratio, 8), block_plan(64, 8, MLPERF, 8))
    assert (found.outcome, found.clear) == ("PASS", True)
    assert found.excluded == pytest.approx(1.25)


def test_the_estimate_decides_which_way_and_a_sure_speed_up_below_the_limit_is_no_fail():
    plan = block_plan(64, 8, MLPERF, 8)
    assert judged(spread(1.09, 8, cv=0.001), plan).outcome == "PASS"
    assert judged(spread(1.11, 8, cv=0.001), plan).outcome == "FAIL"


def test_noise_goes_on_to_the_next_look_and_ends_undecided():
    plan = block_plan(64, 8, MLPERF, 8)
    noise = np.array([1.0, -1.0, -1.0, 1.0] * 8) * np.linspace(2.0, 3.0, 32)
    for n, clear in ((7, False), (8, False), (9, False), (31, False), (32, True)):
        found = judged(noise[:n], plan)
        assert (found.outcome, found.clear) == ("UNDECIDED", clear)
    assert found.n_pairs == 32


def test_what_a_look_has_decided_stands_whatever_comes_behind_it():
    plan = block_plan(64, 8, MLPERF, 8)
    found = judged(np.concatenate((spread(1.0, 8), spread(9.0, 24))), plan)
    assert (found.outcome, found.n_pairs) == ("PASS", 8)
    assert judged(spread(9.0, 40), plan).n_pairs == 8


def test_seven_pairs_decide_nothing_and_none_gives_no_interval():
    plan = block_plan(64, 8, MLPERF, 8)
    assert not judged(spread(50.0, 7), plan).clear
    nothing = judged(np.empty(0), plan)
    assert (nothing.outcome, nothing.n_pairs, nothing.ratio.low) == ("UNDECIDED", 0, 0.0)


def test_one_slow_block_in_eight_hides_no_cache():
    log_ratios = spread(3.0, 8)
    log_ratios[3] = -0.05
    assert judged(log_ratios, block_plan(64, 8, MLPERF, 8)).outcome == "FAIL"


def test_fresh_prompts_have_to_be_faster_in_each_of_the_first_pairs():
    plan = block_plan(64, 8, MLPERF, 8)
    assert judged_fresh(spread(1.3, 8), plan).outcome == "FAIL"
    one_slower = spread(1.3, 8)
    one_slower[0] = -0.001
    assert not judged_fresh(one_slower, plan).clear
    assert judged_fresh(spread(1.0, 8), plan).outcome == "PASS"


def test_placement_on_servers_of_unequal_speed_is_not_taken_for_a_cache():
    """Prompts land on one of two servers, 1.2 times faster or slower than the mean of both."""
    rng, plan, fails = np.random.default_rng(1), block_plan(64, 8, MLPERF, 8), 0
    for _ in range(500):
        log_ratios = rng.choice([log(1.2), -log(1.2)], 32) + 0.02 * rng.standard_normal(32)
        fails += judged_fresh(log_ratios, plan).outcome == "FAIL"
    assert fails <= 10  # 0.9 % of 500 are 4.5


def test_the_estimate_is_a_geometric_mean_and_the_pace_a_mean():
    assert estimate(np.log([1.0, 4.0])).factor == pytest.approx(2.0)
    assert pace_s(np.array([1.0, 3.0])) == 2.0
