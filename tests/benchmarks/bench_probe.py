"""Verdicts of the cache probe on running servers whose caches are known, for docs/benchmarks.md.

    python -m tests.benchmarks.bench_probe matrix     every kind of cache, cold, warm and after a main run; 15 minutes
    python -m tests.benchmarks.bench_probe video      the same in the single design
    python -m tests.benchmarks.bench_probe real       nginx and LiteLLM, 20 runs each; see tests/support/real_cache.py
    python -m tests.benchmarks.bench_probe busy       both cores kept busy by other processes

Each run is a pytest session of its own whose verdict.json is read; each row of a table starts a server of its own, so
that a cache is cold unless the row says otherwise. Options: --runs N, --jobs N (runs at the same time), --only REGEX
(rows), --json FILE (one line a run), --keep DIR (reports of wrong runs). Exit status 1 when a verdict is wrong.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from .probe_cells import ROWS, Cell, Result, counted, run_all, simulated

LOADS: dict[str, dict[str, Any]] = {
    "concurrency 1": {"type": "concurrency", "target_concurrency": 1},
    "concurrency 8": {"type": "concurrency", "target_concurrency": 8},
    "max_throughput": {"type": "max_throughput"},
}
ORDERS = ("cold", "warm", "main first")
THOROUGH = {"thorough": True}


# -- the series


def config(load: dict[str, Any], audit: dict[str, Any], **blocks: Any) -> dict[str, Any]:
    """Return a YAML's content."""
    return {
        "name": "bench",
        "type": "offline" if load["type"] == "max_throughput" else "online",
        "model_params": {"name": "m", "streaming": blocks.get("streaming", "off"), "max_new_tokens": 16},
        "datasets": [{"path": "prompts.jsonl", "type": "performance"}],
        "audit": audit,
        "audit_order": "after",
        "settings": {"load_pattern": load},
        "endpoint_config": {"api_type": blocks.get("api_type", "openai")},
    }


def with_probe(order: str, probe: dict[str, Any]) -> dict[str, Any]:
    """Return the block of a TEST04 with its probe."""
    block = {"test": "test04", "samples": ROWS, "sample_index": 3, "only": order != "main first"}
    return {**block, "probe": probe or True}


def matrix() -> Iterator[Cell]:
    """Every kind of cache x order x load, on chat."""
    suts: dict[str, tuple[str | None, dict[str, Any], dict[str, Any], str]] = {
        "none": (None, {}, {}, "off"),
        "none, streamed": (None, {}, {}, "on"),
        "exact, on arrival": ("response", {"cache": "exact", "cache_lookup": "arrival"}, {}, "off"),
        "exact, when served": ("response", {"cache": "exact", "cache_lookup": "served"}, {}, "off"),
        "near-duplicate": ("near_duplicate", {"cache": "near_duplicate"}, {}, "off"),
        "semantic": ("semantic", {"cache": "semantic"}, {}, "off"),
        "prefix, streamed": ("prefix", {"cache": "prefix"}, {}, "on"),
        "coalescing": ("coalescing", {"cache": "coalesce"}, {}, "off"),
        "1 in 3 replicas": ("response", {"cache": "exact", "replicas": 3}, THOROUGH, "off"),
        "second-use admission": ("response", {"cache": "exact", "admit_after": 2}, THOROUGH, "off"),
        "precomputed data set": ("response", {"cache": "precomputed"}, {}, "off"),
    }
    for row, (expected, options, probe, streaming) in suts.items():
        for order in ORDERS:
            for column, load in LOADS.items():
                # One query at a time never meets another, so there is nothing to find and nothing to gain.
                kind = None if expected == "coalescing" and column == "concurrency 1" else expected
                block = config(load, with_probe(order, probe), streaming=streaming)
                yield Cell(row, order, column, kind, block, partial(simulated, **options))


def video() -> Iterator[Cell]:
    """Kinds of cache x order x design, on videogen."""
    suts: dict[str, tuple[str | None, str | None, dict[str, Any]]] = {
        "none": (None, None, {}),
        "exact, on arrival": ("response", "response", {"cache": "exact", "cache_lookup": "arrival"}),
        "exact, when served": ("response", "response", {"cache": "exact"}),
        # Twelve queries tell repeats from twins, and no more.
        "near-duplicate": ("response", "near_duplicate", {"cache": "near_duplicate"}),
        "semantic": ("response", "semantic", {"cache": "semantic"}),
        "precomputed data set": ("response", "response", {"cache": "precomputed"}),
    }
    for row, (of_single, of_groups, options) in suts.items():
        for order in ORDERS:
            for load in ("concurrency 1", "max_throughput"):
                for design, expected, probe in ("single", of_single, {}), ("groups: 12", of_groups, {"groups": 12}):
                    block = config(LOADS[load], with_probe(order, probe), api_type="videogen")
                    column = f"{load}, {design}"
                    yield Cell(row, order, column, expected, block, partial(simulated, **options))


def real() -> Iterator[Cell]:
    """Real caches in front of a backend that counts, off, cold and warm; the probe alone."""
    audit = {"test": "cache_probe", "only": True}
    for kind, cache, formats in [
        ("nginx", "off", ("openai", "videogen")),
        ("nginx", "on", ("openai", "videogen")),
        ("nginx", "lock", ("openai", "videogen")),
        ("litellm", "off", ("openai",)),
        ("litellm", "on", ("openai",)),
    ]:
        for api_type in formats:
            orders = "cold + warm" if cache != "off" else "cold"
            expected = None if cache == "off" else "response"
            block = config(LOADS["concurrency 8"], audit, api_type=api_type)
            server = partial(counted, kind=kind, cache=cache)
            yield Cell(f"{kind}, cache {cache}", orders, api_type, expected, block, server)


def busy() -> Iterator[Cell]:
    """The backend alone and behind nginx, honest and caching."""
    audit = {"test": "cache_probe", "only": True}
    block = config(LOADS["concurrency 8"], audit)
    yield Cell("backend", "cold", "openai", None, block, counted)
    for cache, expected in {"off": None, "on": "response", "lock": "response"}.items():
        server = partial(counted, kind="nginx", cache=cache)
        yield Cell(f"nginx, cache {cache}", "cold", "openai", expected, block, server)


@contextmanager
def burners(count: int) -> Iterator[None]:
    """Keep cores busy."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


# -- tables


def cross_table(results: Sequence[Result]) -> None:
    """Print rows by columns: what the probe said, and the point rule's ratio with its verdict."""
    columns = list(dict.fromkeys(result.column for result in results))
    print(f"\n| SUT | order | {' | '.join(columns)} |\n|---|---|{'---|' * len(columns)}")
    for row, order in dict.fromkeys((result.row, result.order) for result in results):
        cells = []
        for column in columns:
            here = [one for one in results if (one.row, one.order, one.column) == (row, order, column)]
            cells.append("<br>".join(dict.fromkeys(map(_in_words, here))))
        print(f"| {row} | {order} | {' | '.join(cells)} |")
    right = sum(result.right for result in results)
    print(f"\nProbe: {right} of {len(results)} runs right.")
    caching = [one for one in results if one.expected is not None and one.point_passed is not None]
    holes = [one for one in caching if one.point_passed]
    honest = [one for one in results if one.expected is None and one.point_passed is False]
    print(f"Point rule: PASS on {len(holes)} of {len(caching)} caching runs; FAIL on {len(honest)} honest ones.")


def _in_words(one: Result) -> str:
    said = one.kinds or one.word
    wrong = "" if one.right else "**WRONG** "
    if one.point_ratio is None:
        return f"{wrong}{said}"
    return f"{wrong}{said}; {one.point_ratio:.2f} {'PASS' if one.point_passed else 'FAIL'}"


def long_table(results: Sequence[Result]) -> None:
    """Print one line for each row and column, with counts and medians."""
    print(
        "\n| stack | format | state | right | said | queries | computed | wall s |\n|---|---|---|---|---|---|---|---|"
    )
    for row, column, order in dict.fromkeys((one.row, one.column, one.order) for one in results):
        here = [one for one in results if (one.row, one.column, one.order) == (row, column, order)]
        counts: dict[str, int] = {}
        for one in here:
            counts[one.kinds or one.word] = counts.get(one.kinds or one.word, 0) + 1
        said = ", ".join(f"{what} {count}" for what, count in counts.items())
        queries, computed, wall_s = (
            f"{statistics.median(getattr(one, name) for one in here):.4g}" for name in ("queries", "computed", "wall_s")
        )
        right = f"{sum(one.right for one in here)}/{len(here)}"
        print(f"| {row} | {column} | {order} | {right} | {said} | {queries} | {computed} | {wall_s} |")


SERIES: dict[str, tuple[Callable[[], Iterator[Cell]], Callable[[Sequence[Result]], None], int, int, int]] = {
    "matrix": (matrix, cross_table, 1, 2, 0),
    "video": (video, cross_table, 1, 2, 0),
    "real": (real, long_table, 20, 2, 0),
    "busy": (busy, long_table, 50, 2, 2),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", choices=SERIES)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--only", default="", metavar="REGEX")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    cells, table, runs, jobs, n_burners = SERIES[options.series]
    options.runs, options.jobs = options.runs or runs, options.jobs or jobs
    with burners(n_burners):
        results = run_all(list(cells()), options)
    table(results)
    return 0 if results and all(result.right for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
