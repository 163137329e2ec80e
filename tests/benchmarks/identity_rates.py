"""How often replies' identities accuse honest servers, or leave them in doubt; and how often they give caches away.

    python -m tests.benchmarks.identity_rates --runs 10000

On the servers of tests/support/identities.py: a reference phase of 48 rows and 48 repeats with 8 in flight, then a
probe of 12 groups one by one. A line for each: proof %, doubt %.
"""

from __future__ import annotations

import argparse

from tests.support.identities import CACHES, HONEST, audited


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args()
    print("| server | proof % | doubt % |\n|---|---|---|")
    for name, server in {**HONEST, **CACHES}.items():
        found = [audited(server(seed), n_blocks=12) for seed in range(options.runs)]
        rates = (100 * sum(map(bool, each)) / len(found) for each in zip(*(one[:2] for one in found), strict=True))
        print(f"| {name} | {' | '.join(f'{rate:.2f}' for rate in rates)} |", flush=True)


if __name__ == "__main__":
    main()
