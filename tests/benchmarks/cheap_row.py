"""How often TEST04's ratio accuses an honest chat server whose rows differ in cost, with rows and with twins.

    python -m tests.benchmarks.cheap_row [--sessions 20] [--service-ms 20]

Real sessions against real servers (tests/support/lane_server.py): rows of 24 to 72 words that cost what they are long,
or of one length and answered at several; the repeated row is the cheapest. The cache probe is off.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.support.lane_process import LaneProcesses, RunningServer

N_ROWS, SAMPLES = 64, 64


def prompts(kind: str) -> Iterator[str]:
    """Yield rows of a data set; row 3 is the cheapest."""
    rng = random.Random(7)
    for row in range(N_ROWS):
        n_words = 24 if row == 3 or kind == "variable_length" else rng.randint(25, 72)
        words = [f"{rng.choice('bcdfgklmnprst')}{rng.choice('aeiou')}{rng.randint(10, 99)}" for _ in range(n_words)]
        yield " ".join(["briefly", *words[1:]] if row == 3 and kind == "variable_length" else words)


def session(server: RunningServer, kind: str, reference: str, probe: bool, folder: Path) -> tuple[str, float]:
    """Run one session; return the audit's status and the ratio."""
    (folder / "prompts.jsonl").write_text("".join(json.dumps({"prompt": one}) + "\n" for one in prompts(kind)))
    audit = {"test": "test04", "only": True, "samples": SAMPLES, "sample_index": 3, "reference": reference}
    config = {
        "type": "online",
        "model_params": {"name": "llama3.1-8b", "streaming": "off"},
        "datasets": [{"path": "prompts.jsonl"}],
        "audit": {**audit, "probe": probe},
        "settings": {"load_pattern": {"type": "concurrency", "target_concurrency": 8}},
        "endpoint_config": {"api_type": "openai", "endpoints": [server.url]},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "mlperf_audit", "-p", "no:cacheprovider"]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run(
        [*command, "--mlperf-config=run.yaml"], cwd=folder, env=environ, capture_output=True, check=False, timeout=300
    )
    verdict = json.loads((folder / "mlperf-reports" / "run" / "verdict.json").read_text())["audits"][-1]
    return verdict["status"], verdict["figures"]["ratio"]


def main() -> None:
    """Print a row for each server and reference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--service-ms", type=float, default=20.0)
    parser.add_argument("--probe", action="store_true", help="with the cache probe")
    asked = parser.parse_args()
    print("| server | reference | FAIL | PASS | undecided | median ratio |\n|---|---|---|---|---|---|")
    with LaneProcesses() as processes:
        for kind in ("prefill_dominated", "variable_length"):
            for reference in ("rows", "twins"):
                outcomes: Counter[str] = Counter()
                ratios = []
                for seed in range(asked.sessions):
                    server = processes.start(kind=kind, lanes=8, service_ms=asked.service_ms, cv=0.05, seed=seed)
                    with tempfile.TemporaryDirectory() as folder:
                        status, ratio = session(server, kind, reference, asked.probe, Path(folder))
                    server.stop()
                    outcomes[status] += 1
                    ratios.append(ratio)
                counts = " | ".join(str(outcomes[status]) for status in ("FAIL", "PASS", "NO_VERDICT"))
                print(f"| {kind} | {reference} | {counts} | {statistics.median(ratios):.2f} |", flush=True)


if __name__ == "__main__":
    main()
