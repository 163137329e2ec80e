"""How fast a submission tree is re-verified: python tests/benchmarks/bench_results.py [--tree DIR] [--cases 6000]

Without --tree it writes a tree of TEST04 directories, with detail logs of a published log's size. It prints the seconds
of collection, and for one process and two workers the seconds and CPU seconds of a whole session; what the
directories cost beyond collection is the difference of the two.
"""

from __future__ import annotations

import argparse
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


def session(tree: Path, *args: str) -> tuple[float, float, str]:
    """Run a session; return its seconds, its CPU seconds with its workers', and its last line."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as cwd:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--tb=no", "--no-header", *args]
        done = subprocess.run(
            [*command, f"--mlperf-results={tree}"], cwd=cwd, capture_output=True, text=True, check=False
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [line for line in done.stdout.splitlines() if " in " in line or "collected" in line]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu, lines[-1] if lines else done.stdout[-500:] + done.stderr[-500:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--cases", type=int, default=6000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        tree = args.tree or Path(made, "round")
        if args.tree is None:
            write_tree(tree, args.cases)
        for name, options in (
            ("collection", ["--collect-only"]),
            ("one process", ["-p", "no:xdist"]),
            ("-n 1", ["-n", "1"]),
            ("-n 2", ["-n", "2"]),
        ):
            seconds, cpu, last = session(tree, *options)
            print(f"{name:12} {seconds:6.2f} s  {cpu:6.2f} CPU s   {last}")


if __name__ == "__main__":
    main()
