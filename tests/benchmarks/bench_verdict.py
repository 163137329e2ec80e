"""CPU seconds between a long phase's last reply and the end of the session, for docs/benchmarks.md.

    python -m tests.benchmarks.bench_verdict [--queries 1000000]

A pytest session sends a main run against nginx, which answers from memory. Its CPU time (user and system) is read from
/proc when its log of queries has stopped to grow, and again just before it ends. Linux only; needs nginx.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .bench_client import nginx


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=1_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, nginx(Path(name)) as url:
        where = Path(name)
        (where / "rows.jsonl").write_text("".join(json.dumps({"prompt": f"row {n}"}) + "\n" for n in range(64)))
        config = {
            "type": "online",
            "model_params": {"name": "m", "streaming": "off"},
            "datasets": [{"path": "rows.jsonl"}],
            "settings": {
                "load_pattern": {"type": "concurrency", "target_concurrency": 64},
                "runtime": {"n_samples_to_issue": asked.queries},
            },
            "endpoint_config": {"endpoints": [url], "api_type": "openai"},
        }
        (where / "bench.yaml").write_text(json.dumps(config))
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-q"]
        command += ["--mlperf-config=bench.yaml", "--mlperf-report-dir=out"]
        process = subprocess.Popen(command, cwd=where)
        log = where / "out" / "performance" / "queries.jsonl"
        at_last_reply, size = 0.0, -1
        while process.poll() is None:
            now = log.stat().st_size if log.exists() else 0
            if now != size or not now:
                size, at_last_reply = now, cpu_s(process.pid)
            time.sleep(0.05)
        process.wait()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        total = used.ru_utime + used.ru_stime  # nginx is not yet waited for
        print(f"{asked.queries} queries: {total:.1f} CPU s, {total - at_last_reply:.1f} of them after the last reply")


if __name__ == "__main__":
    main()
