"""Coverage of the 95 % ratio interval, by simulation through the real `ratio_interval`; figures for docs/method.md.

    python tests/benchmarks/ratio_coverage.py [--runs 2000] [--confirm 10000] [--quick] [--only WORDS]

The server takes queries in order of issue on a number of lanes; a closed loop keeps `in_flight` queries at it. What
must be covered is the ratio of the two laws' long-run rates, which the simulation knows. Cells near the edges of 93 to
97 % are simulated again with `--confirm` runs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from multiprocessing import Pool
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from pytest_mlperf_audit.stats.ratio import Completions, NoInterval, ratio_interval

Array = NDArray[np.float64]

COUNTS = (20, 50, 100, 200, 500)
IN_FLIGHT = (1, 2, 4, 8, 16, 32, 72)
CVS = (0.02, 0.10, 0.30, 0.60, 1.00)
SPEED_UPS = (1.0, 1.2)
SLOW_SHARE = 0.1
TAIL_SHARE, TAIL_INDEX = 0.05, 3.5


@dataclass(frozen=True)
class Cell:
    """One setting. `in_flight` None issues all at once; a second count or CV of None is the first's."""

    n: int
    in_flight: int | None
    cv: float
    speed_up: float = 1.0
    lanes: int | None = None
    law: str = "lognormal"
    audit_n: int | None = None
    audit_cv: float | None = None


@dataclass(frozen=True)
class Coverage:
    """Shares: `covered` of the intervals given, `refused` and `ratio_outside` (the plain ratio of qps) of all runs."""

    covered: float
    refused: float
    ratio_outside: float


def lognormal(rng: np.random.Generator, cv: float, shape: tuple[int, int]) -> Array:
    log_variance = np.log1p(cv * cv)
    return rng.lognormal(-log_variance / 2, np.sqrt(log_variance), shape)


def bimodal(rng: np.random.Generator, cv: float, shape: tuple[int, int]) -> Array:
    """One query in ten is slow, so that the whole has the CV asked for; each mode has 1 % of its own."""
    gap = cv / np.sqrt(SLOW_SHARE * (1 - SLOW_SHARE))
    slow = rng.random(shape) < SLOW_SHARE
    modes: Array = np.where(slow, 1 + (1 - SLOW_SHARE) * gap, 1 - SLOW_SHARE * gap)
    return modes * lognormal(rng, 0.01, shape)


def pareto_mixed(rng: np.random.Generator, cv: float, shape: tuple[int, int]) -> Array:
    """Lognormal with half the CV, and one query in twenty from a Pareto tail; `cv` is nominal, the tail has more."""
    start = 1 + 2 * cv
    tail = start * rng.random(shape) ** (-1 / TAIL_INDEX)
    mean = 1 - TAIL_SHARE + TAIL_SHARE * start * TAIL_INDEX / (TAIL_INDEX - 1)
    mixed: Array = np.where(rng.random(shape) < TAIL_SHARE, tail, lognormal(rng, cv / 2, shape)) / mean
    return mixed


LAWS: dict[str, Callable[[np.random.Generator, float, tuple[int, int]], Array]] = {
    "lognormal": lognormal,
    "bimodal": bimodal,
    "pareto-mixed": pareto_mixed,
}


def served(service_s: Array, in_flight: int | None, lanes: int | None) -> tuple[Array, Array]:
    """Return issue and completion times of `service_s`, shape (runs, n), in order of issue."""
    runs, n = service_s.shape
    loop = min(in_flight or n, n)
    free = np.tile(np.arange(min(lanes or loop, loop)) * 1e-6, (runs, 1))
    completed, run = np.empty_like(service_s), np.arange(runs)
    for query in range(n):
        lane = free.argmin(axis=1)
        completed[:, query] = free[run, lane] + service_s[:, query]
        free[run, lane] = completed[:, query]
    at_once = np.tile(np.arange(loop) * 1e-6, (runs, 1))
    return np.concatenate((at_once, np.sort(completed, axis=1)[:, : n - loop]), axis=1), completed


def measure(job: tuple[Cell, int, int]) -> Coverage:
    cell, runs, seed = job
    rng = np.random.default_rng(seed)
    law = LAWS[cell.law]
    reference = served(law(rng, cell.cv, (runs, cell.n)), cell.in_flight, cell.lanes)
    audit_service = law(rng, cell.audit_cv or cell.cv, (runs, cell.audit_n or cell.n)) / cell.speed_up
    audit = served(audit_service, cell.in_flight, cell.lanes)
    covered = refused = outside = 0
    for run in range(runs):
        phases = [Completions(issued_s=issued[run], completed_s=done[run]) for issued, done in (reference, audit)]
        interval = ratio_interval(phases[0], phases[1], cell.in_flight)
        if isinstance(interval, NoInterval):
            refused += 1
            continue
        covered += interval.low <= cell.speed_up <= interval.high
        before, after = (phase.completed_s.size / float(phase.completed_s.max()) for phase in phases)
        outside += not interval.low <= after / before <= interval.high
    return Coverage(covered / max(runs - refused, 1), refused / runs, outside / runs)


def domain(*, quick: bool) -> list[Cell]:
    return [
        Cell(n=n, in_flight=in_flight, cv=cv, speed_up=speed_up)
        for n in (COUNTS[:3] if quick else COUNTS)
        for in_flight in IN_FLIGHT
        if n >= 4 * in_flight
        for cv in (CVS[::2] if quick else CVS)
        for speed_up in SPEED_UPS
    ]


def beyond() -> dict[str, list[Cell]]:
    """Settings beside the demanded ones: what else the interval was tried on."""
    queues = [
        (20, 4, 2),
        (20, 4, 1),
        (50, 8, 4),
        (200, 16, 8),
        (288, 72, 36),
        (288, 72, 8),
        (500, 72, 8),
        (500, 72, 64),
    ]
    mixed = [(20, 500), (500, 20), (20, 64), (50, 500), (100, 500)]
    return {
        "Fewer lanes than queries in flight": [
            Cell(n=n, in_flight=c, cv=cv, lanes=k, speed_up=1.2) for n, c, k in queues for cv in CVS
        ],
        "All queries at once": [
            Cell(n=n, in_flight=None, cv=cv, lanes=k)
            for n, k in [(20, 1), (64, 1), (64, 8), (500, 8)]
            for cv in (0.02, 0.1, 0.15, 0.2, 0.3)
        ],
        "Counts differ": [Cell(n=n, audit_n=m, in_flight=c, cv=cv) for n, m in mixed for c in (1, 4) for cv in CVS[1:]],
        "CVs differ": [Cell(n=n, in_flight=1, cv=cv, audit_cv=0.02) for n in COUNTS for cv in CVS[2:]],
        "Other laws": [
            Cell(n=n, in_flight=4, cv=cv, law=law) for law in ("bimodal", "pareto-mixed") for n in COUNTS for cv in CVS
        ],
        "Outside the domain, or near its edge": [
            *(Cell(n=n, in_flight=1, cv=cv) for n in (20, 100, 500) for cv in (0.001, 1.5, 3.0)),
            *(Cell(n=1024, in_flight=256, cv=cv) for cv in CVS),
        ],
    }


def run(cells: list[Cell], options: argparse.Namespace) -> dict[Cell, Coverage]:
    with Pool(os.cpu_count()) as pool:
        jobs = [(cell, options.runs, seed) for seed, cell in enumerate(cells)]
        found = dict(zip(cells, pool.map(measure, jobs, chunksize=1), strict=True))
        edge = [cell for cell in cells if not 0.94 <= found[cell].covered <= 0.96 and found[cell].refused < 1]
        jobs = [(cell, options.confirm, 10_000 + seed) for seed, cell in enumerate(edge)]
        found.update(zip(edge, pool.map(measure, jobs, chunksize=1), strict=True))
    print(f"\n{len(edge)} of {len(cells)} cells simulated again with {options.confirm} runs")
    return found


def percent(shares: Iterable[float]) -> str:
    return " / ".join(f"{share:.1%}".rstrip("%") for share in shares)


def print_domain(found: dict[Cell, Coverage]) -> None:
    cvs = sorted({cell.cv for cell in found})
    print("\nCoverage in %, speed-up 1 / 1.2\n\n| n | in flight |" + "".join(f" CV {cv:.0%} |" for cv in cvs))
    print("|---" * (2 + len(cvs)) + "|")
    for cell in [cell for cell in found if (cell.cv, cell.speed_up) == (cvs[0], 1.0)]:
        row = [percent(found[replace(cell, cv=cv, speed_up=speed_up)].covered for speed_up in SPEED_UPS) for cv in cvs]
        print(f"| {cell.n} | {cell.in_flight} | {' | '.join(row)} |")
    print_extremes(found)


def print_extremes(found: dict[Cell, Coverage]) -> None:
    given = {cell: coverage for cell, coverage in found.items() if coverage.refused < 1}
    for name, pick in (("min", min), ("max", max)):
        cell = pick(given, key=lambda cell: given[cell].covered)
        print(f"\n{name} {given[cell].covered:.2%} at {cell}")
    print(f"\nmost refused {max(c.refused for c in found.values()):.2%}; ", end="")
    print(f"plain ratio outside its interval in up to {max(c.ratio_outside for c in found.values()):.1%} of runs")


def print_list(title: str, found: dict[Cell, Coverage]) -> None:
    print(f"\n### {title}\n\n| law | n | audit n | in flight | lanes | CV | audit CV | covered % | no interval % |")
    print("|---" * 9 + "|")
    for cell, coverage in found.items():
        covered = percent([coverage.covered]) if coverage.refused < 1 else "none"
        print(
            f"| {cell.law} | {cell.n} | {cell.audit_n or cell.n} | {cell.in_flight or 'all'} "
            f"| {cell.lanes or 'enough'} | {cell.cv:.1%} | {cell.audit_cv or cell.cv:.1%} | {covered} "
            f"| {percent([coverage.refused])} |"
        )
    print_extremes(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--confirm", type=int, default=10_000, help="runs for cells near the edges")
    parser.add_argument("--quick", action="store_true", help="300 runs a cell, a third of the cells")
    parser.add_argument("--only", default="", help="leave out the domain, and tables without these words in the title")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.confirm = 300, 1000
    start = perf_counter()
    if not options.only:
        print_domain(run(domain(quick=options.quick), options))
    for title, cells in {} if options.quick else beyond().items():
        if options.only in title:
            print_list(title, run(cells, options))
    print(f"\n{perf_counter() - start:.0f} s")
