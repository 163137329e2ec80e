"""Figures of a whole TEST04 run, the probe left out, for docs/benchmarks.md. Needs a quiet machine; takes six minutes.

    python tests/benchmarks/bench_audit.py [--runs 20] [--null-runs 200]

The server is tests/support/sut.py, which shares no code with the package and keeps its own times.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "conftest_examples" / "wan22_offline"
SUT = HERE.parent / "support" / "sut.py"

YAML = """
name: bench
type: {type}
model_params: {{name: wan22, streaming: "off"}}
datasets: [{{path: prompts.jsonl, type: performance}}]
audit: {{test: test04, only: true, samples: 64, sample_index: 3, probe: false}}
settings: {{load_pattern: {pattern}}}
endpoint_config: {{api_type: videogen, endpoints: ["{url}"]}}
report_dir: report
"""
OFFLINE = ("offline", "{type: max_throughput}")
CONCURRENCY = ("online", "{type: concurrency, target_concurrency: 8}")


@contextmanager
def server(**options: object) -> Iterator[str]:
    process = subprocess.Popen([sys.executable, SUT, json.dumps(options)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()


def get(url: str, path: str) -> Any:
    with urllib.request.urlopen(url + path) as reply:
        return json.load(reply)


def audit(url: str, load: tuple[str, str]) -> dict[str, float]:
    """Run pytest once; return its figures, in seconds and ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(EXAMPLE / "prompts.jsonl", folder)
        (folder / "wan22.yaml").write_text(YAML.format(type=load[0], pattern=load[1], url=url))
        served_before = len(get(url, "/log"))
        began_ns = time.perf_counter_ns()
        command = [sys.executable, "-m", "pytest", "-q", "--mlperf-config=wan22.yaml"]
        for plugin in ("randomly", "asyncio", "html", "rerunfailures", "hypothesispytest"):
            command += ["-p", f"no:{plugin}"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ)
        wall_s = (time.perf_counter_ns() - began_ns) / 1e9
        phases = [
            json.loads((folder / "report/audit" / label / "phase.json").read_text())["figures"]
            for label in ("reference", "output_caching")
        ]
    log = sorted(get(url, "/log")[served_before:])
    halves = log[:64], log[64:]
    qps = [64 / (max(sent for _, sent in half) - half[0][0]) * 1e9 for half in halves]
    return {
        "exit": result.returncode,
        "wall_s": wall_s,
        "first_query_s": (log[0][0] - began_ns) / 1e9,
        "gap_s": (halves[1][0][0] - max(sent for _, sent in halves[0])) / 1e9,
        "ratio": phases[1]["qps"] / phases[0]["qps"],
        "off_reference": phases[0]["qps"] / qps[0] - 1,
        "off_audit": phases[1]["qps"] / qps[1] - 1,
    }


def whole_runs(n: int) -> None:
    for name, load in {"max_throughput": OFFLINE, "concurrency 8": CONCURRENCY}.items():
        with server(service_ms=50, lanes=8) as url:
            runs = [audit(url, load) for _ in range(n)]
        off = [abs(run[key]) for run in runs for key in ("off_reference", "off_audit")]
        print(
            f"\n{name}: {n} runs of 64 + 64 queries of 50 ms on 8 lanes, "
            f"exit statuses {sorted({run['exit'] for run in runs})}"
        )
        for key, minus in (("first_query_s", 0.0), ("gap_s", 0.0), ("wall_s", 2 * 64 * 0.05 / 8)):
            values = [run[key] - minus for run in runs]
            label = "wall_s beyond service" if minus else key
            print(f"  {label:24} median {statistics.median(values):.3f}  max {max(values):.3f}")
        print(f"  throughput against the server's log: median {statistics.median(off):.2%}  worst {max(off):.2%}")
        print(f"  ratio: min {min(run['ratio'] for run in runs):.3f}  max {max(run['ratio'] for run in runs):.3f}")


def verdicts() -> None:
    print("\nverdicts on a server that is not the simulated one")
    for cache in ("none", "exact"):
        with server(service_ms=50, lanes=8, cache=cache) as url:
            run = audit(url, CONCURRENCY)
        print(f"  cache {cache:6} concurrency 8: exit {run['exit']}, ratio {run['ratio']:.3g}")


def null_runs(n: int) -> None:
    """A/A: an honest server with CV 5 %, TEST04 again and again, through the load engine and the real verifier."""
    from pytest_mlperf_audit.audits.contract import AuditContext
    from pytest_mlperf_audit.audits.test04.block import Test04Block
    from pytest_mlperf_audit.audits.test04.live import Test04
    from pytest_mlperf_audit.config.dataset import DatasetConfig
    from pytest_mlperf_audit.config.model_params import ModelParams
    from pytest_mlperf_audit.datasets import load_dataset
    from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
    from pytest_mlperf_audit.endpoints.source import RequestSource
    from pytest_mlperf_audit.load.group import PlannedPhase, run_group
    from pytest_mlperf_audit.load.target import Target
    from pytest_mlperf_audit.records.store import consistent
    from pytest_mlperf_audit.runs.spec import Concurrency, Load, MaxThroughput

    dataset = load_dataset(DatasetConfig(path=EXAMPLE / "prompts.jsonl"), [])
    source = RequestSource(dataset, VideoGenAdapter(ModelParams(name="wan22")))
    audit, cfg = Test04(), Test04Block(test="test04", samples=64, sample_index=3, probe=False)
    print(f"\nA/A: honest server, service time CV 5 %, 64 + 64 samples, {n} runs each")
    loads: dict[str, Load] = {"max_throughput": MaxThroughput(), "concurrency 8": Concurrency(target=8)}
    for name, load in loads.items():
        ratios: list[float] = []
        fails = 0
        with server(service_ms=50, lanes=8, cv=0.05) as url, tempfile.TemporaryDirectory() as folder:
            for number in range(n):
                specs = audit.plan(cfg, source, AuditContext(load=load, sample_order_seed=number))
                phases = [PlannedPhase(spec, Path(folder, str(number), spec.label)) for spec in specs]
                records = run_group(phases, source, Target(urls=(url,)))
                runs = {
                    record.label: consistent(phase.directory, record)
                    for phase, record in zip(phases, records, strict=True)
                }
                verdict = audit.verify(cfg, runs)
                ratios.append(float(verdict.check("throughput_ratio").observed or 0.0))
                fails += not verdict.passed
        print(f"  {name:16} false FAILs {fails}, ratio min {min(ratios):.3f} max {max(ratios):.3f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--null-runs", type=int, default=200)
    options = parser.parse_args()
    if options.runs:
        whole_runs(options.runs)
        verdicts()
    if options.null_runs:
        null_runs(options.null_runs)
