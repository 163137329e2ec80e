"""Error rates of TEST04's ratio: simulated sessions, judged by the product's own rule (stats/blocks.py).

    nice python -m tests.benchmarks.simulate_ratio                       every group of cells, 10,000 sessions each
    nice python -m tests.benchmarks.simulate_ratio honest --runs 2000 --detail

A session is the first pair of phases, 64 + 64 queries; where it does not settle the ratio, pairs of blocks of twins and
repeats; and where these say FAIL, as many again with fresh prompts. All sessions of a cell are simulated and judged at
once, in numpy; in each cell, 100 of them are judged by `judged` itself as well, which must come to the same.
Endpoints: ratio_endpoints.py. Rates are percentages, `queries` counts those of the first pair as 1.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from multiprocessing import Pool
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_mlperf_audit.stats.blocks import BlockPlan, Judged, block_plan, judged, judged_fresh
from pytest_mlperf_audit.stats.ranks import _signed_rank_tail

from .ratio_cells import GROUPS
from .ratio_endpoints import Endpoint, Floats, Model

LIMIT = 1.10
BUDGET = 8
#: The p values that `judged_fresh` decides by, at its first look and at later ones; `_checked` holds them to it.
_FRESH_P = (1 / 256, 0.003)
_CHECKED = 100
_CONFIDENCE = 0.95
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Rates:
    """Percentages of sessions, queries in first pairs, and how often the interval over blocks holds the true ratio.

    `covered`: of the first look's pairs, of all sessions; `shown`: the one that a session shows in the end, if it goes
    on.
    """

    point_over: float
    goes_on: float
    fails: float
    undecided: float
    passes_later: float
    queries: float
    median: float
    covered: float
    shown: float


def tail_of(values: Floats) -> Floats:
    """Return Wilcoxon's exact one-sided p values that values lie above zero; along the last axis."""
    ranks = np.abs(values).argsort(axis=-1, kind="stable").argsort(axis=-1) + 1
    tail: Floats = np.asarray(_signed_rank_tail(values.shape[-1]))[(ranks * (values > 0)).sum(axis=-1)]
    return tail


class Series:
    """Pairs of blocks for many sessions, until each is judged."""

    def __init__(self, endpoint: Endpoint, plan: BlockPlan, *, fresh: bool) -> None:
        self.endpoint, self.plan, self.fresh = endpoint, plan, fresh

    def judge(self) -> tuple[NDArray[np.str_], NDArray[np.int_], Floats]:
        """Return what each session came to, after how many pairs, and its log ratios, NaN where no pair was sent."""
        sessions = len(self.endpoint.runs)
        outcome = np.full(sessions, "UNDECIDED", dtype="<U9")
        pairs = np.zeros(sessions, dtype=int)
        ratios = np.full((sessions, self.plan.most_pairs), np.nan)
        live = np.arange(sessions)
        for number, look in enumerate(self.plan.looks):
            if not live.size:
                break
            for pair in range(pairs[live[0]], look.pairs):
                ratios[live, pair] = self._pair()
            pairs[live] = look.pairs
            fails, passes = self._decide(ratios[live, : look.pairs], number)
            outcome[live[fails]], outcome[live[passes]] = "FAIL", "PASS"
            left = np.flatnonzero(~(fails | passes))
            live = live[left]
            self.endpoint.keep(left)
        return outcome, pairs, ratios

    def _pair(self) -> Floats:
        first = self.endpoint.rng.random(len(self.endpoint.runs)) < 0.5
        one, other = (self.endpoint.serve(arm, self.plan.size)[1] for arm in (first, ~first))
        return np.where(first, np.log(other / one), np.log(one / other))

    def _decide(self, ratios: Floats, number: int) -> tuple[Bools, Bools]:
        look = self.plan.looks[number]
        over = ratios.mean(axis=-1) >= np.log(self.plan.limit)
        p = tail_of(ratios)
        fails = p <= _FRESH_P[min(number, 1)] if self.fresh else over & (p <= look.fail_p)
        passes = ~over & (tail_of(np.log(look.excluded) - ratios) <= look.pass_p)
        return fails, passes & ~fails

    def check(self, outcome: NDArray[np.str_], pairs: NDArray[np.int_], ratios: Floats) -> None:
        """Hold some sessions against the product's judgement. Raises AssertionError."""
        product: Callable[[Floats, BlockPlan], Judged] = judged_fresh if self.fresh else judged
        for at in range(min(_CHECKED, len(outcome))):
            said = product(ratios[at, : pairs[at]], self.plan)
            assert (said.outcome, said.n_pairs, said.clear) == (outcome[at], pairs[at], True), (said, self.plan)


def simulate(job: tuple[Model, int, int, int]) -> tuple[Model, Rates]:
    """Simulate the sessions of a cell."""
    model, sessions, seed, budget = job
    rng = np.random.default_rng(seed)
    endpoint = Endpoint(model, sessions, rng)
    plan = block_plan(model.n, model.in_flight, LIMIT, budget)
    reference = endpoint.serve(False, model.n, twins=not model.content)
    repeats = endpoint.serve(True, model.n)
    point, pace = reference[0] / repeats[0], reference[1] / repeats[1]
    on = np.flatnonzero(~((point < LIMIT) & (pace < LIMIT)))
    queries = np.ones(sessions)
    endpoint.keep(on)
    endpoint.sent += 100  # the probe's
    series = Series(endpoint, plan, fresh=False)
    outcome, pairs, ratios = series.judge()
    series.check(outcome, pairs, ratios)
    queries[on] += 2 * plan.size * pairs / (2 * model.n)
    accused = on[outcome == "FAIL"]
    again = Series(Endpoint(model, accused.size, rng), plan, fresh=True)
    again.endpoint.sent = endpoint.sent
    confirmed, more, further = again.judge()
    again.check(confirmed, more, further)
    queries[accused] += 2 * plan.size * more / (2 * model.n)
    fails = (confirmed == "FAIL").sum()
    undecided = (outcome == "UNDECIDED").sum() + (outcome == "FAIL").sum() - fails
    return model, Rates(
        point_over=100 * float((point >= LIMIT).mean()),
        goes_on=100 * on.size / sessions,
        fails=100 * fails / sessions,
        undecided=100 * undecided / sessions,
        passes_later=100 * float((outcome == "PASS").sum()) / sessions,
        queries=float(queries.mean()),
        median=float(np.median(queries)),
        covered=coverage(model, plan, sessions, seed + 10_000),
        shown=_shown(ratios, pairs, model),
    )


def _shown(ratios: Floats, pairs: NDArray[np.int_], model: Model) -> float:
    """Return how often the interval at the look that decided holds the true ratio, in percent; NaN without sessions."""
    held = [holds(ratios[pairs == n, :n], model) for n in np.unique(pairs)]
    return 100 * float(np.concatenate(held).mean()) if held else float("nan")


def coverage(model: Model, plan: BlockPlan, sessions: int, seed: int) -> float:
    """Return how often the interval of the first look's pairs holds the true ratio, in percent, whatever they say."""
    endpoint = Endpoint(model, sessions, np.random.default_rng(seed))
    endpoint.sent = 10 * model.n
    series = Series(endpoint, plan, fresh=False)
    return 100 * float(holds(np.column_stack([series._pair() for _ in range(plan.looks[0].pairs)]), model).mean())


def holds(ratios: Floats, model: Model) -> Bools:
    """Return whether the interval of each session's log ratios holds the true ratio; shape (sessions, pairs)."""
    n = ratios.shape[1]
    one, other = np.triu_indices(n)
    walsh = np.sort((ratios[:, one] + ratios[:, other]) / 2, axis=1)
    tail = np.asarray(_signed_rank_tail(n))
    left_out = int((tail <= (1 - _CONFIDENCE) / 2).argmax())
    below = len(tail) - 1 - left_out
    truth = np.log(true_ratio(model))
    return np.asarray((walsh[:, below] <= truth) & (truth <= walsh[:, -1 - below]))


def true_ratio(model: Model) -> float:
    """Return the ratio of mean paces."""
    if model.cache == "hits":
        hits = 1 - 1 / model.ratio
        return 1 / (1 - hits + hits * 0.01)
    return model.ratio


def table(title: str, rows: Sequence[tuple[Model, Rates]], by: Callable[[Model], str]) -> None:
    """Print a line for each key."""
    print(
        f"\n{title}\n\n| | cells | point rule FAILs | goes on | FAIL mean, least, most | UNDECIDED mean, most | PASS "
        "after blocks, most | queries mean, most; medians | interval holds; as shown |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    for key in dict.fromkeys(by(model) for model, _ in rows):
        here = [rates for model, rates in rows if by(model) == key]
        of: dict[str, Any] = {f.name: np.array([getattr(one, f.name) for one in here]) for f in fields(Rates)}
        print(
            f"| {key} | {len(here)} | {of['point_over'].mean():.1f} | {of['goes_on'].mean():.1f} | "
            f"{of['fails'].mean():.2f}, {of['fails'].min():.2f}, {of['fails'].max():.2f} | "
            f"{of['undecided'].mean():.2f}, {of['undecided'].max():.2f} | {of['passes_later'].max():.2f} | "
            f"{of['queries'].mean():.2f}, {of['queries'].max():.2f}; {of['median'].max():.2f} | "
            f"{of['covered'].min():.1f} to {of['covered'].max():.1f}; "
            f"{np.nanmean(of['shown']):.1f} ({np.nanmin(of['shown']):.1f} to {np.nanmax(of['shown']):.1f}) |",
            flush=True,
        )


def run(cells: Iterable[Model], options: argparse.Namespace) -> list[tuple[Model, Rates]]:
    """Simulate cells, each from a seed of its own."""
    jobs = [(model, options.runs, seed, options.budget) for seed, model in enumerate(cells)]
    with Pool(options.jobs) as pool:
        return pool.map(simulate, jobs, chunksize=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", default=list(GROUPS), metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--budget", type=int, default=BUDGET, help="further queries at most, in phases")
    parser.add_argument("--detail", action="store_true", help="print a line for every cell")
    options = parser.parse_args()
    for name in options.groups:
        cells, keys = GROUPS[name]
        rows = run(cells(), options)
        if options.detail:
            for model, rates in rows:
                print(model, rates)
        for title, key in keys.items():
            table(f"{name}, by {title}", rows, key)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"\nCPU {time.process_time() + children.ru_utime + children.ru_stime:.0f} s")


if __name__ == "__main__":
    main()
