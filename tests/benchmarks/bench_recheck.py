"""Memory and time of --mlperf-recheck, and how many altered bytes it finds, for docs/benchmarks.md.

    python -m tests.benchmarks.bench_recheck size [--queries 1000000] [--workers 0]
    python -m tests.benchmarks.bench_recheck bytes DIR [--alterations 1000] [--seed 1]

`size` writes the records of a TEST04 run of two equal phases with the package's own writers, and rechecks it in a
pytest of its own. `bytes` alters one random byte of one random file of a real run's directory at a time, report.html
aside, and rechecks it in this process, without pytest.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pytest_mlperf_audit.audits.registry import models, shipped
from pytest_mlperf_audit.audits.verdict import Check
from pytest_mlperf_audit.config.benchmark import Benchmark
from pytest_mlperf_audit.config.load import load_config
from pytest_mlperf_audit.config.redact import resolved_yaml
from pytest_mlperf_audit.layouts.endpoints import write_audit_files
from pytest_mlperf_audit.load.group import PlannedPhase
from pytest_mlperf_audit.records.log import QueryLog
from pytest_mlperf_audit.records.store import QUERIES_FILE, write_phase
from pytest_mlperf_audit.runs.order import Scripted, Single
from pytest_mlperf_audit.runs.phase import PhaseRecord, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit
from pytest_mlperf_audit.runs.spec import RunSpec
from pytest_mlperf_audit.runs.trajectories import Trajectories
from pytest_mlperf_audit.session import third_party
from pytest_mlperf_audit.session.finished import find
from pytest_mlperf_audit.session.judge import PlannedAudit, audit_entry, judge
from pytest_mlperf_audit.session.plan import context
from pytest_mlperf_audit.session.recheck import Recheck
from pytest_mlperf_audit.session.recheck_results import names_of_records, result
from pytest_mlperf_audit.verdicts.document import CheckStatus, VerdictDocument, document
from pytest_mlperf_audit.verdicts.files import with_artifacts, write_verdict

LANES = 64
YAML = """
name: bench
type: online
model_params: {{name: m, streaming: "off"}}
datasets: [{{path: prompts.jsonl, type: performance}}]
audit: {{test: test04, only: true, samples: {samples}, sample_index: 3, probe: false}}
settings: {{load_pattern: {{type: concurrency, target_concurrency: 64}}}}
endpoint_config: {{api_type: openai, endpoints: ["http://127.0.0.1:8000"]}}
"""


class Rows:
    """A data set of so many rows, each a request of its own."""

    twins = ""

    def image_row(self) -> int | None:
        return None

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def fingerprint(self, index: int, edit: Edit = NO_EDIT) -> str:
        return edit.apply(str(index))

    def n_words(self, index: int) -> int:  # noqa: ARG002 - as Samples has it
        return 12

    def where(self, index: int) -> str:
        return f"prompts.jsonl line {index + 1}"


def queries(spec: RunSpec, rows: int, seed: int) -> Iterator[QueryRecord]:
    """Yield a phase's records as 64 lanes of 20 ms would leave them."""
    took_ns = np.random.default_rng(seed).lognormal(np.log(20e6), 0.1, spec.n_samples).astype(np.int64)
    free_ns = [0] * LANES
    order = iter(()) if isinstance(spec.order, Scripted | Trajectories) else spec.order.indices(rows)
    for query, row in zip(range(spec.n_samples), order, strict=False):
        lane = query % LANES
        issued, free_ns[lane] = free_ns[lane], free_ns[lane] + int(took_ns[query])
        digest = hashlib.sha256(str(row).encode()).hexdigest()[:32]
        yield QueryRecord(
            query=query,
            sample=row,
            issued_ns=issued,
            completed_ns=free_ns[lane],
            request=digest,
            reply=digest,
            reply_bytes=812,
            reply_id=f"chatcmpl-{query:024x}",
            tokens=64 + query % 32,
            finish_reason="stop",
        )


def write_phase_records(planned: PlannedPhase, rows: int, seed: int) -> None:
    spec = planned.spec
    with QueryLog(planned.directory / QUERIES_FILE) as log:
        for record in queries(spec, rows, seed):
            log.append(record)
    write_phase(
        planned.directory,
        PhaseRecord(
            label=spec.label,
            spec=spec,
            status="complete",
            figures=figures(log.columns, spec.load),
            stopped_by="count",
            started_at=f"2026-11-23T11:{30 * seed:02}:00.000+00:00",
            duration_s=1200.0,
            endpoint="http://127.0.0.1:8000",
        ),
    )


def write_run(directory: Path, n_queries: int) -> None:
    """Write a whole finished run."""
    samples = n_queries // 2
    audits = shipped()
    (directory / "bench.yaml").write_text(YAML.format(samples=samples))
    benchmark = load_config(directory / "bench.yaml", models(audits), environ={}).benchmark
    (directory / "bench.yaml").unlink()
    (directory / "config.yaml").write_text(resolved_yaml(benchmark))
    audit, (cfg,) = audits["test04"], benchmark.audit
    specs = third_party.plan(audit, cfg, Rows(samples), context(benchmark))
    phases = tuple(PlannedPhase(spec, directory / "audit" / spec.label) for spec in specs if not spec.conditional)
    for phase in phases:
        write_phase_records(phase, samples, seed=isinstance(phase.spec.order, Single))
    planned = PlannedAudit(audit, cfg, phases, third_party.checks(audit, cfg, specs))
    write_verdict(with_artifacts(_judged(planned, benchmark, directory), directory), directory)


def _judged(planned: PlannedAudit, benchmark: Benchmark, directory: Path) -> VerdictDocument:
    def status(_name: str, check: Check | None) -> CheckStatus:
        return "passed" if check and check.passed else "failed"

    entry = audit_entry(planned, judge(planned), "", report_dir=directory, config="bench.yaml", statuses=status)
    write_audit_files(entry, directory)
    return document(
        name=benchmark.name,
        config="bench.yaml",
        simulated=False,
        endpoint="http://127.0.0.1:8000",
        api_type="openai",
        model="m",
        started_at="2026-11-23T11:00:00+00:00",
        finished_at="2026-11-23T12:00:00+00:00",
        environment={},
        audits=(entry,),
    )


def size(n_queries: int, workers: int) -> None:
    """Print what a recheck of so many queries costs."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch, "run")
        directory.mkdir()
        # In a process of its own, since a child's peak begins with its parent's.
        writer = multiprocessing.get_context("spawn").Process(target=write_run, args=(directory, n_queries))
        writer.start()
        writer.join()
        n_bytes = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(workers)]
        began_s = time.perf_counter()
        process = subprocess.Popen([*command, f"--mlperf-recheck={directory}"], cwd=scratch)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - began_s
    cpu_s = used.ru_utime + used.ru_stime
    print(f"{n_queries:,} queries, {n_bytes / 2**20:.0f} MiB of records, exit status {process.returncode}")
    print(f"peak RSS {used.ru_maxrss / 1024:.0f} MiB, {cpu_s:.1f} CPU s, {wall_s:.1f} s")
    if process.returncode:
        sys.exit(1)


def wrong(directory: Path) -> list[str]:
    """Return the tests of a recheck that do not confirm the run."""
    recheck = Recheck(find(directory), shipped())
    stored = recheck.run.stored
    names = [("records", name) for name in names_of_records(recheck)]
    names += [(entry.id, check.name) for entry in (stored.audits if stored else ()) for check in entry.checks]
    return [f"{group}::{name}" for group, name in names if result(recheck, group, name).state != "confirmed"]


def altered_bytes(directory: Path, n_alterations: int, seed: int) -> None:
    """Print how many single altered bytes are found, and by which tests."""
    rng = random.Random(seed)
    if told := wrong(directory):
        sys.exit(f"{directory} is not confirmed as it is: {told}")
    files = [path for path in sorted(directory.rglob("*")) if path.is_file() and path.name != "report.html"]
    found = 0
    hit: Counter[str] = Counter()
    by: Counter[str] = Counter()
    for _ in range(n_alterations):
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(shutil.copytree(directory, Path(scratch, "run")))
            path = copy / rng.choice(files).relative_to(directory)
            raw = bytearray(path.read_bytes())
            raw[rng.randrange(len(raw))] ^= rng.randrange(1, 256)
            path.write_bytes(raw)
            hit[path.name] += 1
            told = wrong(copy)
            found += bool(told)
            by.update(name for name in told if name.startswith("records"))
            by["any check"] += any(not name.startswith("records") for name in told)
    print(f"{found} of {n_alterations} altered bytes found; files {dict(hit)}; found by {dict(by)}")
    if found < n_alterations:
        sys.exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    of_size = commands.add_parser("size")
    of_size.add_argument("--queries", type=int, default=1_000_000)
    of_size.add_argument("--workers", type=int, default=0)
    of_bytes = commands.add_parser("bytes")
    of_bytes.add_argument("directory", type=Path)
    of_bytes.add_argument("--alterations", type=int, default=1000)
    of_bytes.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if asked.command == "size":
        size(asked.queries, asked.workers)
    else:
        altered_bytes(asked.directory, asked.alterations, asked.seed)


if __name__ == "__main__":
    main()
