"""What audits say of servers whose truth is known: honest ones, caches, cheats, and honest ones that look odd.

    python -m tests.benchmarks.bench_verdicts honest --sessions 20
    python -m tests.benchmarks.bench_verdicts cheats oddities --only key24

Each session is a real one: `run_audits` on a YAML, 64 + 64 queries and the cache probe, against a server of
tests/support/lane_process.py that is started for it, over loopback. A line a cell: exit statuses, what was said, the
ratio's least and most, and medians: the ratio's queries over the plan's 128, the probe's queries, seconds. In a `busy`
cell two processes spin beside it, and two sessions run at a time. --json FILE appends a line for each session, --keep
DIR the reports of the wrong ones. Seeds of the servers and of the order of rows follow from the cell and the session's
number; the probe draws its own. Exit status 1 when a session was wrong.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from pytest_mlperf_audit import run_audits
from tests.support.lane_process import LaneProcesses, RunningServer

from .bench_probe import burners
from .verdict_cells import GROUPS, LOADS, Cell, rows
from .verdict_tables import HEAD, Session, cross_tables, line, totals

EXITS = {"PASS": 0, "FAIL": 1, "NO_VERDICT": 6}
_N_BUSY = 2
_forking: list[LaneProcesses] = []


def run(job: tuple[Cell, int, Path | None, float]) -> Session:
    """Run a session in this process against a server of its own."""
    cell, number, keep, service_ms = job
    seed = zlib.crc32(cell.name.encode()) % 10_000 + number
    server = _forking[0].start(kind=cell.kind, seed=seed, **{"service_ms": service_ms, **cell.options})
    with tempfile.TemporaryDirectory(prefix="bench-verdicts-") as name:
        folder = Path(name)
        here = Path.cwd()
        os.chdir(folder)
        try:
            session = _session(cell, number, seed, folder, server)
            if keep and not session.right:
                shutil.copytree(folder, keep / f"{cell.kind}-{seed}-{cell.format}-{cell.order.replace(' ', '-')}")
            return session
        finally:
            os.chdir(here)
            server.stop()


def _session(cell: Cell, number: int, seed: int, folder: Path, server: RunningServer) -> Session:
    prompts = rows(cheap=cell.cheap_row)
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts))
    if cell.order == "warm":
        before = {**configured(cell, seed), "audit": {"test": "test04", "samples": 64, "only": True, "probe": False}}
        (folder / "before.yaml").write_text(yaml.safe_dump(before))
        run_audits("before.yaml", endpoint=server.url, report_dir="before")
    (folder / "bench.yaml").write_text(yaml.safe_dump(configured(cell, seed)))
    counts, began_s = server.stats(), time.monotonic()
    verdict = run_audits("bench.yaml", endpoint=server.url, report_dir="report")
    wall_s, after = time.monotonic() - began_s, server.stats()
    audit = next(entry for entry in verdict.audits if entry.is_audit)
    asked = Counter[bool]()
    for phase in audit.phases:
        asked[phase.label.startswith("cache_probe")] += phase.figures.n_issued if phase.figures else 0
    figures = audit.figures
    states = getattr(audit, "kinds", ())
    return Session(
        cell=cell,
        number=number,
        exit=EXITS.get(verdict.status, 9),
        word=str(figures.get("probe", "-")),
        kinds=str(figures.get("probe_kinds", "")),
        excluded=",".join(state.kind for state in states if state.state == "excluded"),
        failed=",".join(check.name for check in audit.checks if check.passed is False),
        ratio=ratio if isinstance(ratio := figures.get("ratio"), float) else None,
        ratio_queries=asked[False],
        probe_queries=asked[True],
        received=after["received"] - counts["received"],
        computed=after["computed"] - counts["computed"],
        served=after["served"] - counts["served"],
        wall_s=wall_s,
        reason=audit.reason or "; ".join(check.reason for check in audit.checks if check.passed is not True)[:400],
    )


def configured(cell: Cell, seed: int) -> dict[str, Any]:
    """Return the YAML of a cell."""
    load = LOADS[cell.load]
    block: dict[str, Any] = {"test": "test04", "samples": 64, "sample_index": 3, "probe": cell.probe}
    if cell.order == "probe":
        block = {"test": "cache_probe"}
    return {
        "name": "bench",
        "type": "offline" if load["type"] == "max_throughput" else "online",
        "model_params": {"name": "m", "streaming": "on" if cell.format == "streamed" else "off", "max_new_tokens": 16},
        "datasets": [{"path": "prompts.jsonl", "type": "performance"}],
        "audit": {**block, "only": cell.order != "main first"},
        "audit_order": "after",
        "settings": {"load_pattern": load, "runtime": {"dataloader_random_seed": seed}},
        "endpoint_config": {"api_type": "videogen" if cell.format == "videogen" else "openai"},
    }


def measure(cells: Iterable[Cell], options: argparse.Namespace) -> list[Session]:
    """Run the sessions of cells of one machine state, each cell's in a row; print a line for each cell."""
    found: list[Session] = []
    todo = list(cells)
    busy = bool(todo) and todo[0].busy
    context = multiprocessing.get_context("fork")
    with ExitStack() as stack:
        stack.enter_context(burners(_N_BUSY if busy else 0))
        pool = stack.enter_context(context.Pool(2 if busy else 1, initializer=_begin))
        for cell in todo:
            jobs = [(cell, number, options.keep, options.service_ms) for number in range(options.sessions)]
            of_cell = pool.map(run, jobs, chunksize=1)
            print(line(of_cell), flush=True)
            if options.json:
                with options.json.open("a") as out:
                    out.writelines(json.dumps({**one._asdict(), "cell": cell.name}) + "\n" for one in of_cell)
            found += of_cell
        pool.close()
        pool.join()
    return found


def _begin() -> None:
    """Start what forks the servers of this worker; it ends when this process does, since its stdin does then."""
    _forking.append(LaneProcesses().__enter__())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="+", choices=GROUPS)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--service-ms", type=float, default=8.0)
    parser.add_argument("--only", default="", help="cells whose name has this in it, as 'key24' or '; quiet'")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    cells = [cell for group in options.groups for cell in GROUPS[group]() if options.only in cell.name]
    print(HEAD)
    found: list[Session] = []
    for busy in (False, True):
        found += measure([cell for cell in cells if cell.busy == busy], options)
    cross_tables(found)
    totals(found)
    return 0 if found and all(one.right for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
