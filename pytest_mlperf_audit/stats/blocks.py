"""A ratio of two throughputs judged in three values, by pairs of short blocks that are sent until it is clear. Pure.

A *block* is some queries of one arm, sent like a small phase and waited for, so that nothing of the other arm is in
flight. Its *pace* is the sum of its latencies over its queries. By Little's law that is one over the throughput at full
load, up to a factor that is the same in both arms; ramp-up and drain weigh no more than what is in flight then, and no
number of lanes is needed. Queries over time is blind where all is sent at once: it is the slowest query's.

A *pair* is a block of the reference and a block of repeats, in an order that a fair coin draws. Without a cache the two
are exchangeable, so that D = ln(pace of the reference / pace of the repeats) is symmetric about the log of the true
ratio. That makes Wilcoxon's signed rank exact, whatever the law of latencies, stalls and slow drifts included.

Looks are fixed in advance, and so is the p value that decides at each. Their error rates are simulated by
`tests/benchmarks/simulate_ratio.py` and stand in docs/method.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .ranks import Effect, Floats, paired_effect, signed_rank

Outcome = Literal["PASS", "FAIL", "UNDECIDED"]

#: After so many pairs the answer is looked for, as far as the budget goes; always after the first of these.
_LOOKS: Final = (8, 16, 32, 64, 128)
#: No block is smaller, and none is larger than this part of a phase.
_FEWEST: Final = 4
_PART_OF_PHASE: Final = 8
#: A pass excludes the first of these times the limit, and the second once so many queries were sent as four phases
#: have, or after so many pairs: 1.25 and 1.5 for MLPerf's limit of 1.10.
_EXCLUDED: Final = 1.25 / 1.10
_EXCLUDED_LATE: Final = 1.50 / 1.10
_LATE_PHASES: Final = 4
_LATE_PAIRS: Final = 32
#: The p values that decide: of 8 pairs, 0.0079 holds two of the 256 orders of signs and ranks.
_FIRST_P: Final = 0.0079
_FAIL_P: Final = 0.005
_FAIL_LAST_P: Final = 0.01
_PASS_SECOND_P: Final = 0.002
_PASS_LATE_P: Final = 0.01
#: The p values by which fresh prompts are faster, too: of 8 pairs the one perfect order, and at each later look.
_FRESH_FIRST_P: Final = 1 / 256
_FRESH_LATER_P: Final = 0.003


class Look(NamedTuple):
    """After `pairs` pairs: at which p of a ratio of 1 they fail, and at which p of the ratio `excluded` they pass."""

    pairs: int
    fail_p: float
    pass_p: float
    excluded: float


class BlockPlan(NamedTuple):
    """Queries of a block, the looks, and the limit of the ratio, which a pass stays strictly below."""

    size: int
    looks: tuple[Look, ...]
    limit: float

    @property
    def most_pairs(self) -> int:
        """Pairs after the last look."""
        return self.looks[-1].pairs


class Judged(NamedTuple):
    """What pairs of blocks come to: the ratio with its 95 % interval, `n_pairs` that it rests on.

    `clear`: no further pair is to be sent. `excluded` is the ratio that a pass has excluded, None without a pass.
    """

    outcome: Outcome
    clear: bool
    ratio: Effect
    n_pairs: int
    excluded: float | None = None


def block_plan(n: int, in_flight: int, limit: float, budget: int) -> BlockPlan:
    """Return the plan for phases of `n` queries, `in_flight` at any time; `budget` phases of further queries at most.

    A budget too small for the first look gives that look alone.
    """
    size = min(max(in_flight, _FEWEST), max(n // _PART_OF_PHASE, _FEWEST))
    counts = [pairs for pairs in _LOOKS if 2 * size * pairs <= budget * n] or [_LOOKS[0]]
    return BlockPlan(size, tuple(_look(pairs, counts, n, size, limit) for pairs in counts), limit)


def _look(pairs: int, counts: list[int], n: int, size: int, limit: float) -> Look:
    late = 2 * size * pairs >= _LATE_PHASES * n or pairs >= _LATE_PAIRS
    is_first = pairs == counts[0]
    if is_first:
        fail_p = pass_p = _FIRST_P
    else:
        fail_p = _FAIL_LAST_P if pairs == counts[-1] else _FAIL_P
        pass_p = _PASS_LATE_P if late else _PASS_SECOND_P
    return Look(pairs, fail_p, pass_p, limit * (_EXCLUDED_LATE if late and not is_first else _EXCLUDED))


def judged(log_ratios: Floats, plan: BlockPlan) -> Judged:
    """Judge pairs at the looks that they reach, in the order they were sent; shape (pairs,), D of each.

    FAIL: the ratio is `limit` or more, and a ratio of 1 is excluded. PASS: it lies below the limit, and the look's
    `excluded` is. What a look has decided stands, whatever came behind it.
    """
    over = np.log(plan.limit)
    return _at_looks(
        log_ratios, plan, lambda some, look: some.mean() >= over and _p_of_at_most(some, 1.0) <= look.fail_p
    )


def judged_fresh(log_ratios: Floats, plan: BlockPlan) -> Judged:
    """Judge whether prompts that were fresh before their own repeats are faster, too, as no placement makes them.

    FAIL: a ratio of 1 is excluded, with an error of 0.01 over all looks. PASS as `judged` has it: they are not.
    """
    first = plan.looks[0]
    return _at_looks(
        log_ratios,
        plan,
        lambda some, look: _p_of_at_most(some, 1.0) <= (_FRESH_FIRST_P if look == first else _FRESH_LATER_P),
    )


def _at_looks(log_ratios: Floats, plan: BlockPlan, fails: Callable[[Floats, Look], bool]) -> Judged:
    for look in plan.looks:
        if look.pairs > log_ratios.size:
            break
        some = log_ratios[: look.pairs]
        if fails(some, look):
            return Judged("FAIL", True, estimate(some), look.pairs)
        if some.mean() < np.log(plan.limit) and _p_of_at_least(some, look.excluded) <= look.pass_p:
            return Judged("PASS", True, estimate(some), look.pairs, look.excluded)
        if look == plan.looks[-1]:
            return Judged("UNDECIDED", True, estimate(some), look.pairs)
    return Judged("UNDECIDED", False, estimate(log_ratios), log_ratios.size)


def _p_of_at_most(log_ratios: Floats, ratio: float) -> float:
    """Return how likely pairs so high are where the true ratio is `ratio` or less."""
    return signed_rank(np.zeros_like(log_ratios), log_ratios - np.log(ratio))


def _p_of_at_least(log_ratios: Floats, ratio: float) -> float:
    """Return how likely pairs so low are where the true ratio is `ratio` or more."""
    return signed_rank(np.zeros_like(log_ratios), np.log(ratio) - log_ratios)


def estimate(log_ratios: Floats) -> Effect:
    """Return the ratio, a geometric mean over pairs, with the interval of Wilcoxon's signed rank; shape (pairs,)."""
    if not log_ratios.size:
        return Effect(1.0, 0.0, float("inf"))
    interval = paired_effect(np.zeros_like(log_ratios), log_ratios)
    return Effect(float(np.exp(log_ratios.mean())), interval.low, interval.high)


def pace_s(latencies_s: NDArray[np.float64]) -> float:
    """Return the pace of a phase or block, seconds a query; shape (n,), n > 0."""
    return float(latencies_s.mean())
