"""How fast submission trees are re-verified: python tests/benchmarks/bench_results.py [--tree DIR ...] [--cases 5000]

`--tree v1.1 --tree v2.1` judges real rounds, one session each, and adds them up; without it a tree of TEST04
directories is written, with detail logs of a published log's size. For collection, one process, one and two workers it
prints the audits, the seconds and CPU seconds of the whole command with all its processes, and what 5,000 audits take
at that rate, the start of each session included.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.support.submission import Submission

#: Of 8 TEST04 detail logs of v4.1, 31 to 53 KB.
DETAIL_BYTES = 40_000
BENCHMARKS = ("resnet50", "stable-diffusion-xl", "wan-2.2-t2v-a14b")
SCENARIOS = ("Offline", "Server", "SingleStream", "MultiStream")


def write_tree(path: Path, cases: int) -> None:
    """Write `cases` audit directories of 40 submitters; two in a hundred fail."""
    tree = Submission(path)
    noise = ':::MLLOG {"key": "generic_message", "value": "x", "time_ms": 0.1, "namespace": "mlperf::logging"}\n'
    detail = noise * (DETAIL_BYTES // len(noise))
    for number in range(cases):
        system = f"closed/Company{number % 40}/System{number // 480}"
        case = f"{system}/{BENCHMARKS[number // 40 % 3]}/{SCENARIOS[number // 120 % 4]}"
        tree.test04(case, ratio=1.5 if number % 50 == 0 else 1.0)
        for directory in (tree.directory(case), tree.compliance(case) / "TEST04"):
            (directory / "performance/run_1/mlperf_log_detail.txt").write_text(detail)


def session(tree: Path, *args: str) -> tuple[float, float, int]:
    """Run a session; return its seconds, its CPU seconds with its workers', and how many audits it judged or found."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as cwd:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--tb=no", "--no-header", *args]
        done = subprocess.run(
            [*command, f"--mlperf-results={tree}"], cwd=cwd, capture_output=True, text=True, check=False
        )
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    last = next((line for line in reversed(done.stdout.splitlines()) if re.search(r" in [0-9.]+s", line)), None)
    if last is None:
        raise SystemExit(f"{done.stdout[-1000:]}{done.stderr[-1000:]}")
    outcomes = re.findall(r"([0-9]+) (?:passed|failed|skipped|error|tests? collected)", last)
    return seconds, cpu, sum(map(int, outcomes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, action="append", help="a round, or any part of one (repeatable)")
    parser.add_argument(
        "--cases", type=int, default=5000, help="directories of the tree that is written without --tree"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        trees = [tree.absolute() for tree in args.tree or ()]
        if not trees:
            trees = [Path(made, "round")]
            write_tree(trees[0], args.cases)
        print(f"{'session':12} {'audits':>6} {'seconds':>8} {'CPU s':>7} {'5,000: seconds':>15} {'CPU s':>7}")
        for name, options in (
            ("collection", ["--collect-only"]),
            ("one process", ["-p", "no:xdist"]),
            ("-n 1", ["-n", "1"]),
            ("-n 2", ["-n", "2"]),
        ):
            seconds, cpu, n = map(sum, zip(*(session(tree, *options) for tree in trees), strict=True))
            print(
                f"{name:12} {n:6} {seconds:8.2f} {cpu:7.2f} {seconds / n * 5000:15.2f} {cpu / n * 5000:7.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
