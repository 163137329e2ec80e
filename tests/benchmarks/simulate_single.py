"""False alarms of the probe's single design: its two tests alone, on so many sessions at once; for docs/method.md.

    python -m tests.benchmarks.simulate_single [--runs 10000]

numpy only, and minutes faster than simulate_probe.py, which drives the shipped script and judge. Prompts are chained as
they are sent (odd strata repeat five rows, even ones the twins of the stratum before), each with a cost, or on a
replica, of its own. The floors of a finding are left out: what is counted is an upper bound.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from pytest_mlperf_audit.audits.probe.judges.repeats import _FIRST_ALPHA, _LATER_ALPHA, STRATA
from pytest_mlperf_audit.audits.probe.sent.few import N_SINGLE
from pytest_mlperf_audit.stats.ranks import _u_tail

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CVS = (0.02, 0.10, 0.30, 0.60, 1.00)
#: Queries before the first stratum: one to warm up with, and the primes.
_BEFORE = 1 + N_SINGLE


@dataclass(frozen=True)
class Honest:
    """A server without a cache; `stalls` are shares of queries that take nine times more, `in_a_row` on average."""

    shape: str = "lognormal"
    stalls: float = 0.0
    in_a_row: float = 1.0
    trend: float = 1.0  # over 110 queries
    cold: bool = False
    by_prompt: float = 0.0
    replicas: tuple[float, ...] = (1.0,)


CELLS = {
    "plain": Honest(),
    "pareto": Honest("pareto"),
    "bimodal": Honest("bimodal"),
    "-30 %": Honest(trend=0.7),
    "cold, prompts differ": Honest(cold=True, by_prompt=0.2),
    "5 % stall": Honest(stalls=0.05),
    "20 % stall": Honest(stalls=0.2),
    "10 % stall, 6 in a row": Honest(stalls=0.1, in_a_row=6),
    "10 % stall, +10 %": Honest(stalls=0.1, trend=1.1),
    "10 % stall, -30 %": Honest(stalls=0.1, trend=0.7),
    "replicas 1 : 1.5": Honest(replicas=(1.0, 1.5)),
    "replicas 1 : 1.5 : 1.5": Honest(replicas=(1.0, 1.5, 1.5)),
    "replicas 1 : 1 : 1.5": Honest(replicas=(1.0, 1.0, 1.5)),
    "replicas 1 : 2": Honest(replicas=(1.0, 2.0)),
    "pareto, replicas 1 : 1.5, 10 % stall": Honest("pareto", stalls=0.1, replicas=(1.0, 1.5)),
}


def lognormal(rng: np.random.Generator, cv: float, *shape: int) -> Floats:
    """Return factors of mean 1."""
    variance = np.log1p(cv * cv)
    factors: Floats = np.exp(rng.standard_normal(shape) * np.sqrt(variance) - variance / 2)
    return factors


def costs(rng: np.random.Generator, server: Honest, runs: int) -> Floats:
    """Return what five prompts cost, shape (runs, five)."""
    placed = np.asarray(server.replicas)[rng.integers(len(server.replicas), size=(runs, N_SINGLE))]
    return np.asarray(placed * lognormal(rng, server.by_prompt, runs, N_SINGLE))


def noise(rng: np.random.Generator, server: Honest, cv: float, runs: int) -> Floats:
    """Return factors on one query of each session."""
    factors = lognormal(rng, cv, runs)
    if server.shape == "pareto":
        slow = rng.random(runs) < 0.05
        factors[slow] *= 2 + rng.pareto(1.5, int(slow.sum()))
    elif server.shape == "bimodal":
        factors[rng.random(runs) < 0.3] *= 2
    return factors


def sessions(rng: np.random.Generator, server: Honest, cv: float, runs: int) -> tuple[Floats, Floats]:
    """Return latencies of repeats and of twins, shape (runs, strata, five)."""
    rows = costs(rng, server, runs)
    took = np.empty((runs, STRATA[-1], 2 * N_SINGLE))
    stalled, every, at = np.zeros(runs, bool), np.arange(runs), _BEFORE
    again = rows
    for stratum in range(STRATA[-1]):
        twins = costs(rng, server, runs)
        of = np.concatenate([rows if stratum % 2 == 0 else again, twins], axis=1)
        for place in rng.random((runs, 2 * N_SINGLE)).argsort(axis=1).T:
            pace = server.trend ** (at / 110) * (1 + server.cold * np.exp(-at / 10))
            stalled = _stalls(rng, server, stalled)
            took[every, stratum, place] = of[every, place] * noise(rng, server, cv, runs) * pace + 9 * stalled
            at += 1
        again = twins
    return took[:, :, :N_SINGLE], took[:, :, N_SINGLE:]


def _stalls(rng: np.random.Generator, server: Honest, before: Flags) -> Flags:
    drawn = rng.random(len(before))
    if server.in_a_row == 1:
        return np.asarray(drawn < server.stalls)
    ends = 1 / server.in_a_row
    return np.where(before, drawn >= ends, drawn < server.stalls / (1 - server.stalls) * ends)


def accused(again: Floats, twins: Floats) -> Flags:
    """Return in which sessions a look finds repeats faster."""
    found = np.zeros(len(again), bool)
    steps = [left / (left + N_SINGLE) for left in range(N_SINGLE, 0, -1)]
    chances = np.array([prod(steps[:taken]) for taken in range(N_SINGLE + 1)])
    for n_strata in STRATA:
        fast, slow = again[:, :n_strata], twins[:, :n_strata]
        wins = (slow[:, :, None, :] > fast[:, :, :, None]).sum(axis=(1, 2, 3))
        alpha = _LATER_ALPHA if n_strata > 1 else _FIRST_ALPHA * (1 + 1e-9)
        found |= _u_tail(n_strata, N_SINGLE, N_SINGLE)[wins] <= alpha
        if n_strata > 1:
            taken = (fast < slow.min(axis=(1, 2))[:, None, None]).sum(axis=2)
            found |= chances[taken].prod(axis=1) <= alpha
    return found


def main() -> None:
    """Print a row for each kind of server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    runs = parser.parse_args().runs
    rng = np.random.default_rng(5)
    print(f"| false alarms, % | {' | '.join(f'CV {cv:.0%}' for cv in CVS)} |\n|---|{'---|' * len(CVS)}")
    worst = 0.0
    for name, server in CELLS.items():
        shares = [100 * float(accused(*sessions(rng, server, cv, runs)).mean()) for cv in CVS]
        worst = max(worst, *shares)
        print(f"| {name} | {' | '.join(f'{share:.2f}' for share in shares)} |", flush=True)
    print(f"\nWorst: {worst:.2f} % of {runs} sessions.")


if __name__ == "__main__":
    main()
