"""Does test04 accuse an honest server where the client, or a bad start, is to blame, and still find caches?

    python -m tests.benchmarks.bench_client_bound [--runs 20] [--cell NAME ...]

Each run is a pytest session of its own. `honest`: nginx, which answers faster than the client can ask, 10,000 + 10,000
queries, 64 in flight, cache probe included. `cache`: a server that answers a repeat in two fifths of the time, 400 +
400 queries of 50 ms, 8 in flight, no probe, so that the ratio alone decides. `slow`: an honest server that is ten times
slower from the 7th reference query on, until that phase is over; 64 + 64 queries, cache probe included. Each on the
machine as it is, and (`busy`) with a process on each core that does nothing else. Needs nginx.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from .bench_audit import server
from .bench_client import nginx

SPIN = "while True: pass"


class Cell(NamedTuple):
    """What is run: the audit's block, queries in flight, what serves, and the exit status that is right."""

    audit: dict[str, Any]
    in_flight: int
    serve: Callable[[Path], Any]
    right: tuple[int, ...]


CELLS = {
    "honest": Cell({"samples": 10_000}, 64, nginx, (0, 6)),
    "cache": Cell(
        {"samples": 400, "probe": False}, 8, lambda _: server(service_ms=50, hit_ms=20, lanes=8, cache="exact"), (1,)
    ),
    "slow": Cell({"samples": 64}, 8, lambda _: server(service_ms=30, lanes=8, slow=[8, 66, 10.0]), (6,)),
}


@contextmanager
def load(busy: bool) -> Iterator[None]:
    """Keep every core busy, or none."""
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(os.cpu_count() or 1) if busy]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def session(cell: Cell, url: str, folder: Path) -> tuple[int, dict[str, Any]]:
    """Run pytest once; return its exit status and the audit's entry in verdict.json."""
    rows = cell.audit["samples"]
    (folder / "prompts.jsonl").write_text(
        "".join(json.dumps({"prompt": f"What is {n} plus {n}? Think."}) + "\n" for n in range(rows))
    )
    content = {
        "type": "online",
        "model_params": {"name": "bench", "streaming": "off"},
        "datasets": [{"path": "prompts.jsonl"}],
        "audit": {"test": "test04", "only": True, **cell.audit},
        "settings": {"load_pattern": {"type": "concurrency", "target_concurrency": cell.in_flight}},
        "endpoint_config": {"api_type": "openai", "endpoints": [url]},
        "report_dir": "report",
    }
    (folder / "bound.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "--mlperf-config=bound.yaml"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    verdict = folder / "report" / "verdict.json"
    if not verdict.exists():
        raise RuntimeError(result.stdout[-2000:] + result.stderr[-2000:])
    return result.returncode, json.loads(verdict.read_text())["audits"][0]


def run(name: str, runs: int, *, busy: bool) -> bool:
    """Run a cell, print what it came to, and return whether every exit status was right."""
    cell, exits, probes = CELLS[name], Counter[int](), Counter[str]()
    ratios: list[float] = []
    shares: list[float] = []
    with load(busy):
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
                url = stack.enter_context(cell.serve(Path(folder)))
                status, entry = session(cell, url, Path(folder))
            exits[status] += 1
            probes[str(entry["figures"].get("probe", "none"))] += 1
            ratios.append(entry["figures"]["ratio"] or 0.0)
            client = next(phase["client"] for phase in entry["phases"] if phase["label"] == "reference")
            shares.append(min(1.0, client["cpu_share"] + client["delay_share"]))
    right = sum(exits[status] for status in cell.right)
    print(
        f"{name:8}{'busy' if busy else 'as it is':10}exit {dict(sorted(exits.items()))}, right {right}/{runs}; ratio "
        f"{min(ratios):.2f} to {max(ratios):.2f}; probe {dict(probes)}; the client's share of the reference phase "
        f"{min(shares):.0%} to {max(shares):.0%}",
        flush=True,
    )
    return right == runs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--cell", nargs="+", choices=CELLS, default=list(CELLS))
    asked = parser.parse_args()
    outcomes = [run(name, asked.runs, busy=busy) for name in asked.cell for busy in (False, True)]
    sys.exit(0 if all(outcomes) else 1)
