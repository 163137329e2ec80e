"""Audits of servers whose caches are known: one pytest session each, and what its verdict.json says."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated.process import start

SUPPORT = Path(__file__).parents[1] / "support"
ROWS = 64
_TOPICS = ("harbor", "violin", "glacier", "lantern", "orchard", "compass", "meadow", "falcon")
_WORDS = ("old", "new", "small", "large", "red", "blue", "quiet", "bright", "early", "late", "open", "narrow", "warm")


@dataclass(frozen=True)
class Cell:
    """One audit of one server, and which kind of cache it must name: None for none at all."""

    row: str
    order: str
    column: str
    expected: str | None
    config: dict[str, Any]
    server: Callable[[Path], Any]


@dataclass(frozen=True)
class Result:
    """What an audit said; `computed` of the `received` queries is what the server's own counters say."""

    row: str
    order: str
    column: str
    expected: str | None
    word: str
    kinds: str
    passed: bool | None
    point_ratio: float | None
    point_passed: bool | None
    queries: int
    received: int
    computed: int
    wall_s: float

    @property
    def right(self) -> bool:
        """Whether the verdict is the one expected, with the right kind among those named."""
        if self.expected is None:
            return self.passed is True and self.word == "CLEAN"
        return self.passed is False and self.expected in self.kinds.split(", ")


def prompts() -> list[dict[str, str]]:
    """Return rows with some 30 words each, no two of which are alike in meaning or beginning."""
    rows = []
    for row in range(ROWS):
        words = [_WORDS[(row * 7 + at * (row + 3)) % len(_WORDS)] + str((row * 31 + at) % 97) for at in range(28)]
        rows.append({"prompt": f"{_TOPICS[row % len(_TOPICS)]} number {row} " + " ".join(words)})
    return rows


def write_prompts(folder: Path) -> Path:
    """Write the data set; return its path."""
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in prompts()))
    return path


# -- servers: each is a context manager that gives a URL and a function that returns its counters


@contextmanager
def simulated(folder: Path, **options: Any) -> Iterator[tuple[str, Callable[[], dict[str, int]]]]:
    """Serve with the embedded simulated endpoint: 20 ms a query on four lanes, so that bursts of eight queue."""
    if options.get("cache") in ("precomputed", "allow_list"):
        options["known_prompts"] = write_prompts(folder)
    shape = {"service_time_ms": 20, "lanes": 4, "distribution": "lognormal", "cv": 0.05}
    with start(SimulatedConfig(**{**shape, **options}), watch_pid=os.getpid()) as process:
        yield process.url, partial(get, process.url, "/simulated/stats")


@contextmanager
def counted(_folder: Path, *, kind: str = "", cache: str = "off", **options: Any) -> Iterator[tuple[str, Any]]:
    """Serve with tests/support/sut.py, which counts what it computes, behind a real cache of a kind."""
    shape = {"service_ms": 20, "lanes": 4, "cv": 0.05, **options}
    with ExitStack() as stack:
        port = stack.enter_context(script("sut.py", shape))
        counts = partial(get, f"http://127.0.0.1:{port}", "/counts")
        if kind:
            port = stack.enter_context(script("real_cache.py", {"kind": kind, "cache": cache, "backend": port}))
        yield f"http://127.0.0.1:{port}", counts


@contextmanager
def script(name: str, options: dict[str, Any]) -> Iterator[int]:
    """Run a server of tests/support; give its port."""
    command = [sys.executable, str(SUPPORT / name), json.dumps(options)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            if not (line := process.stdout.readline()):
                raise SystemExit(f"{name} did not start: see above")
            yield int(line)
        finally:
            process.stdin.close()
            if name == "sut.py":
                process.kill()


def get(url: str, path: str) -> dict[str, int]:
    """Return a JSON document."""
    with urllib.request.urlopen(url + path, timeout=60) as reply:
        return dict(json.load(reply))


# -- one audit, one cell


def session(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Run pytest once in `folder`; return its verdict.json."""
    write_prompts(folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "bench.yaml").write_text(yaml.safe_dump({**config, "report_dir": "report"}))
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environ["PYTHONPATH"] = os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "mlperf_audit", "-p", "no_pictures"]
    result = subprocess.run(
        [*command, "--mlperf-config=bench.yaml"], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    if not (folder / "report/verdict.json").exists():
        raise RuntimeError(f"exit status {result.returncode} and no verdict: {result.stdout} {result.stderr}")
    return dict(json.loads((folder / "report/verdict.json").read_text()))


def run_cell(cell: Cell, keep: Path | None, number: int) -> list[Result]:
    """Audit a server once, or twice for a warm cache; return a result for each order that the cell stands for."""
    orders = cell.order.split(" + ")
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-probe-") as name, cell.server(Path(name)) as (url, counts):
        config = json.loads(json.dumps(cell.config))
        config["endpoint_config"]["endpoints"] = [url]
        for order in ("cold", "warm") if "warm" in orders else orders:
            folder = Path(name, order.replace(" ", "-"))
            folder.mkdir()
            result = one_result(cell, order, folder, config, counts)
            if order in orders:
                results.append(result)
            if keep and not result.right and order in orders:
                shutil.copytree(folder, keep / re.sub(r"\W+", "-", f"{cell.row} {order} {cell.column} {number}"))
    return results


def one_result(cell: Cell, order: str, folder: Path, config: dict[str, Any], counts: Any) -> Result:
    """Run one session; return what it said."""
    before, began_s = counts(), time.monotonic()
    verdict = session(folder, config)
    wall_s, after = time.monotonic() - began_s, counts()
    audit = next(one for one in verdict["audits"] if one["is_audit"])
    checks = {check["name"]: check for check in audit["checks"]}
    ratio = checks.get("throughput_ratio", {})
    probe = [check["passed"] for name, check in checks.items() if "cache" in name and "requests" not in name]
    figures = audit["figures"]
    return Result(
        row=cell.row,
        order=order,
        column=cell.column,
        expected=cell.expected,
        word=str(figures.get("probe")),
        kinds=str(figures.get("probe_kinds")),
        passed=False if False in probe else None if None in probe or not probe else True,
        point_ratio=ratio.get("observed"),
        point_passed=ratio.get("passed"),
        queries=int(figures.get("probe_queries") or 0),
        received=after["received"] - before["received"],
        computed=after["computed"] - before["computed"],
        wall_s=round(wall_s, 1),
    )


def run_all(cells: Sequence[Cell], options: argparse.Namespace) -> list[Result]:
    """Run cells, some at a time; write each result as it comes."""
    wanted = [cell for cell in cells if re.search(options.only, f"{cell.row} {cell.order} {cell.column}")]
    jobs = [(cell, number) for number in range(options.runs) for cell in wanted]
    results: list[Result] = []
    log = options.json.open("a") if options.json else nullcontext()
    with log as out, ThreadPoolExecutor(options.jobs) as pool:
        for done in pool.map(lambda job: run_cell(job[0], options.keep, job[1]), jobs):
            results += done
            for result in done:
                print("." if result.right else f"\nWRONG {result}\n", end="", file=sys.stderr, flush=True)
                if out:
                    print(json.dumps({**asdict(result), "right": result.right}), file=out, flush=True)
    print(file=sys.stderr)
    return results
