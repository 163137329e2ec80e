"""Fuzz of everything that reads what others wrote. Exit status 1 when an input was not taken as it should be.

    python -m tests.fuzz                                           a million inputs, for docs/benchmarks.md
    python -m tests.fuzz --kind replies heads --inputs 5000        fewer, of some kinds
    python -m tests.fuzz --kind heads --seed 81723 --inputs 1      one input once more, as a failure names it

An input is made from its kind and its seed alone, and seeds count up from --seed within each kind. The kinds share
--inputs in keeping with their speed (runner.KINDS).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from .runner import KINDS, Done, Part, do, parts


def _all_done(work: Iterable[Part], jobs: int) -> Iterator[Done]:
    if jobs == 1:
        yield from map(do, work)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(do, work)


def main() -> int:
    """Run the kinds asked for, and print what came of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="inputs of all kinds together")
    parser.add_argument("--seed", type=int, default=0, help="the first input's seed")
    parser.add_argument(
        "--kind", nargs="+", choices=list(KINDS), default=list(KINDS), metavar="KIND", help=" ".join(KINDS)
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    asked = parser.parse_args()
    kinds = list(dict.fromkeys(asked.kind))
    inputs, crashes = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
    spent = dict.fromkeys(kinds, 0.0)
    for done in _all_done(parts(kinds, asked.seed, asked.inputs), asked.jobs):
        kind = done.part.kind
        inputs[kind] += done.part.inputs
        crashes[kind] += len(done.findings)
        spent[kind] += done.cpu_s
        for finding in done.findings:
            print(f"{finding.again}\n    {finding.said}", flush=True)
    _show(inputs, crashes, spent)
    return 1 if any(crashes.values()) else 0


def _show(inputs: dict[str, int], crashes: dict[str, int], spent: dict[str, float]) -> None:
    """Print a table as it stands in docs/benchmarks.md."""
    print("| kind | inputs | crashes | CPU s | inputs/s |\n|---|---|---|---|---|")
    rows = [(kind, inputs[kind], crashes[kind], spent[kind]) for kind in inputs]
    for kind, n_inputs, n_crashes, cpu_s in [
        *rows,
        ("all", sum(inputs.values()), sum(crashes.values()), sum(spent.values())),
    ]:
        print(f"| {kind} | {n_inputs:,} | {n_crashes} | {cpu_s:,.0f} | {n_inputs / max(cpu_s, 1e-9):,.0f} |")


if __name__ == "__main__":
    sys.exit(main())
