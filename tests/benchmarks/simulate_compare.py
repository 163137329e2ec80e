"""Error rates of --mlperf-compare, by simulation through the real estimates and verdicts; figures for docs/compare.md.

    python tests/benchmarks/simulate_compare.py [--pairs 2000]

A closed loop keeps queries in flight at a server with as many lanes. Log service times are normal, Pareto beyond the
90th percentile, or an AR(1) series. A pair is two runs; in A/A pairs nothing differs, in others the second is slower.
`called` is the share of pairs with any figure called slower or faster, `failed` that of pairs with a failed check at
the default threshold, `undecided` that of the others with an undecided one.
"""

from __future__ import annotations

import argparse
import heapq
import os
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import Pool

import numpy as np
from numpy.typing import NDArray

from pytest_mlperf_audit.runs.speed import estimates_of
from pytest_mlperf_audit.verdicts.comparison import THRESHOLD, compared, confidence_of, metrics_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """One setting: `slower` is how much more the second run's service times are, `alike` the AR(1) coefficient."""

    n: int
    in_flight: int
    cv: float
    slower: float = 0.0
    law: str = "lognormal"
    alike: float = 0.0


def service_s(rng: np.random.Generator, cell: Cell) -> Array:
    """Return service times, (n,)."""
    sigma = np.sqrt(np.log1p(cell.cv**2))
    normal = rng.standard_normal(cell.n)
    if cell.alike:
        kept = np.sqrt(1 - cell.alike**2)
        for at in range(1, cell.n):
            normal[at] = cell.alike * normal[at - 1] + kept * normal[at]
    times = np.exp(sigma * normal)
    if cell.law == "pareto":
        slow = normal > 1.2816
        times[slow] *= 1 + rng.pareto(3.5, int(slow.sum()))
    return np.asarray(times)


def served(service: Array, in_flight: int) -> tuple[Array, Array]:
    """Return when queries were issued and completed, in the order of completion."""
    free = [0.0] * in_flight
    heapq.heapify(free)
    issued, completed = np.empty(len(service)), np.empty(len(service))
    for at, time in enumerate(service):
        issued[at] = heapq.heappop(free)
        completed[at] = issued[at] + time
        heapq.heappush(free, completed[at])
    order = np.argsort(completed)
    return issued[order], completed[order]


def pair(cell: Cell, seed: int) -> tuple[bool, bool, bool]:
    """Return whether a pair of runs is called changed, fails, and is undecided."""
    rng = np.random.default_rng(seed)
    metrics = metrics_of(n=cell.n, paced=False, at_once=False, streamed=False)
    runs = []
    for factor in (1.0, 1.0 + cell.slower):
        issued, completed = served(service_s(rng, cell) * factor, cell.in_flight)
        runs.append(
            estimates_of(
                issued,
                completed,
                np.empty(0),
                in_flight=cell.in_flight,
                metrics=metrics,
                confidence=confidence_of(metrics),
            )
        )
    figures = [compared(metric, runs[0].get(metric), runs[1].get(metric), THRESHOLD) for metric in metrics]
    called = any(
        figure.slower_low is not None
        and figure.slower_high is not None
        and (figure.slower_low > 0 or figure.slower_high < 0)
        for figure in figures
    )
    passed = [figure.passed for figure in figures]
    return called, False in passed, None in passed and False not in passed


def cells() -> Iterator[Cell]:
    """Yield A/A cells, then slower ones."""
    for n in (64, 250):
        for in_flight in (1, 8):
            for cv in (0.1, 0.3, 0.6):
                yield Cell(n, in_flight, cv)
            yield Cell(n, in_flight, 0.3, law="pareto")
            yield Cell(n, in_flight, 0.3, alike=0.5)
    for n, in_flight in ((64, 1), (64, 8), (250, 1), (250, 8)):
        yield Cell(n, in_flight, 0.1, slower=0.15)
    yield Cell(250, 8, 0.3, slower=0.15)
    yield Cell(1000, 8, 0.3, slower=0.15)


def main() -> None:
    """Print a line a cell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=2000)
    pairs = parser.parse_args().pairs
    print(f"| n | in flight | CV | law | AR(1) | slower | called | failed | undecided |   ({pairs} pairs a cell)")
    with Pool(os.cpu_count()) as pool:
        for cell in cells():
            came = np.array(pool.starmap(pair, ((cell, seed) for seed in range(pairs)), chunksize=50))
            called, failed, undecided = came.mean(axis=0)
            print(
                f"| {cell.n} | {cell.in_flight} | {cell.cv:.0%} | {cell.law} | {cell.alike} | {cell.slower:.0%} "
                f"| {called:.2%} | {failed:.2%} | {undecided:.2%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
