"""TEST01, TEST06, TEST07 and TEST09 on honest and dishonest simulated endpoints, for docs/benchmarks.md.

    python tests/benchmarks/bench_audits.py [--seeds 50] [--only test06]

Each seed draws the wire format, the order of the rows and what the model knows. A verdict is wrong when a check fails
that should not, or the other way round. Takes a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.support.audit_matrix import CELLS, Cell, judge, mistake


def wrong(cell: Cell, seeds: int) -> list[str]:
    """Return what was wrong in each of so many runs that was."""
    found = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as directory:
            if problem := mistake(cell, judge(cell, seed, Path(directory))):
                found.append(f"seed {seed}: {problem}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--only", default="", help="audits whose id begins so")
    options = parser.parse_args()
    print(f"| audit | endpoint | checks that fail | wrong of {options.seeds} | s |\n|---|---|---|---|---|")
    for cell in CELLS:
        if not cell.audit.startswith(options.only):
            continue
        began_s = time.perf_counter()
        problems = wrong(cell, options.seeds)
        name = " ".join(["honest" if cell.mode == "none" else cell.mode, *map(str, cell.asked.values())])
        fails = ", ".join(f"`{check}`" for check in sorted(cell.fails)) or "none"
        print(
            f"| {cell.audit} | {name} | {fails} | {len(problems)} | {time.perf_counter() - began_s:.0f} |", flush=True
        )
        for problem in problems:
            print(f"  {problem}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
