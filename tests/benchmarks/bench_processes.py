"""What several processes cost and how exact they are; for docs/scale.md.

    python -m tests.benchmarks.bench_processes cost [--requests 60000] [--runs 5]
    python -m tests.benchmarks.bench_processes truth [--runs 20] [--seconds 2.5]
    python -m tests.benchmarks.bench_processes merge [--records 10000000]
    python -m tests.benchmarks.bench_processes thousand [--hosts 1000]
    python -m tests.benchmarks.bench_processes sshd [--requests 10000]

`cost` and `truth` need nginx, `sshd` Debian's openssh-server. CPU seconds, not wall time; ratios are of one run, in
which the sides alternate.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns

import msgspec
import numpy as np
import psutil
import pytest

from pytest_mlperf_audit.load.group import PlannedPhase, run_group
from pytest_mlperf_audit.load.phase import Phase
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.load.workers.clocks import Mapping, Reading, Trip, best
from pytest_mlperf_audit.load.workers.crew import Crew
from pytest_mlperf_audit.load.workers.dealer import Dealer
from pytest_mlperf_audit.load.workers.messages import Ping, Pong, Want, packed, report
from pytest_mlperf_audit.records.log import read_columns, read_queries
from pytest_mlperf_audit.records.merge import Written, merge
from pytest_mlperf_audit.runs.order import sequential, without_replacement
from pytest_mlperf_audit.runs.phase import PhaseRecord, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec
from tests.benchmarks.bench_client import NGINX, nginx, source
from tests.unit.load.workers.test_chunks_dealt import Simulated

IN_FLIGHT = 64


def spec(n: int, in_flight: int, **fields: int) -> RunSpec:
    return RunSpec(
        label="bench",
        n_samples=n,
        order=without_replacement(1, wrap=True),
        load=Concurrency(target=in_flight),
        query_timeout_s=3600.0,
        **fields,  # type: ignore[arg-type]
    )


def drive(url: str, planned: RunSpec, directory: Path, crew: Crew | None = None) -> PhaseRecord:
    requests = source(directory)
    if crew is not None:
        crew.equip([(requests, planned)], None)
    with tempfile.TemporaryDirectory(dir=directory) as name:
        [record] = run_group([PlannedPhase(planned, Path(name) / "phase")], requests, Target(urls=(url,)), crew=crew)
    assert record.status == "complete", record.reason
    return record


# What a query costs.


def alone(url: str, n: int, in_flight: int) -> None:
    """In a process of its own: print the CPU seconds of a phase, measured as a worker measures its part."""
    run = Phase.run
    spent = 0.0

    async def measured(self: Phase) -> None:
        nonlocal spent
        print("ready", flush=True)
        sys.stdin.readline()  # all begin at once, as workers do
        began_s = time.process_time()
        await run(self)
        spent = time.process_time() - began_s

    Phase.run = measured  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as name:
        drive(url, spec(n, in_flight), Path(name))
    print(spent)


def engines(url: str, n: int, k: int) -> float:
    """CPU seconds per 1,000 queries of k engines that know nothing of each other."""
    command = [sys.executable, "-m", __spec__.name, "alone", "--url", url, "--requests", str(n // k)]
    command += ["--in-flight", str(IN_FLIGHT // k)]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(k)]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    return sum(float(one.communicate()[0]) for one in started) * 1000 / n


def workers(url: str, n: int, k: int) -> tuple[float, float]:
    """CPU seconds per 1,000 queries of k workers, and of the controller beside them."""
    from pytest_mlperf_audit.load.workers.joint import JointPhase

    run = JointPhase.run
    spent = 0.0

    async def measured(self: JointPhase) -> None:
        nonlocal spent
        began_s = time.process_time()
        await run(self)
        spent = time.process_time() - began_s

    with tempfile.TemporaryDirectory() as name:
        crew = Crew(["popen"] * k)
        try:
            JointPhase.run = measured  # type: ignore[method-assign]
            record = drive(url, spec(n, IN_FLIGHT), Path(name), crew)
        finally:
            JointPhase.run = run  # type: ignore[method-assign]
            crew.close()
    return sum(part.cpu_s for part in record.workers) * 1000 / n, spent * 1000 / n


def cost(asked: argparse.Namespace) -> None:
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, nginx(Path(name)) as url:
        for _ in range(asked.runs):
            for k in (1, 2):
                found.setdefault(f"{k} alone", []).append(engines(url, asked.requests, k))
                theirs, controllers = workers(url, asked.requests, k)
                found.setdefault(f"{k} workers", []).append(theirs)
                found.setdefault(f"{k} controller", []).append(controllers)
    for kind, values in found.items():
        print(f"{kind:<14}{statistics.median(values):>9.4f} CPU s / 1,000   {[round(value, 4) for value in values]}")
    for k in (1, 2):
        ratios = [one / other for one, other in zip(found[f"{k} workers"], found[f"{k} alone"], strict=True)]
        print(f"{k} workers x alone: median {statistics.median(ratios):.3f}, {[round(ratio, 3) for ratio in ratios]}")


# Throughput by our clock and by the server's log.


@contextmanager
def logging_nginx(directory: Path) -> Iterator[tuple[str, Path]]:
    """The same server, which logs when each request ended and how long it took, in milliseconds."""
    log = directory / "access.log"
    from tests.benchmarks import bench_client

    before = bench_client.NGINX
    bench_client.NGINX = NGINX.replace(
        "access_log off;", f"log_format t '$request_method $msec $request_time'; access_log {log} t buffer=1m flush=1s;"
    )
    try:
        with nginx(directory) as url:
            yield url, log
    finally:
        bench_client.NGINX = before


def truth(asked: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name, logging_nginx(Path(name)) as (url, log):
        for k in (1, 2):
            off, windows = [], []
            crew = Crew(["popen"] * k) if k > 1 else None
            try:
                for _ in range(asked.runs):
                    log.write_text("")
                    floor_ms = int(asked.seconds * 1000)
                    record = drive(url, spec(1000, IN_FLIGHT, min_duration_ms=floor_ms), Path(name), crew)
                    time.sleep(1.5)  # nginx writes what it has buffered
                    lines = [line.split() for line in log.read_text().splitlines()]
                    queries = np.array([(float(end), float(took)) for method, end, took in lines if method == "POST"])
                    n = record.figures.n_completed
                    assert len(queries) == n
                    window_s = queries[:, 0].max() - (queries[:, 0] - queries[:, 1]).min()
                    assert record.figures.qps is not None
                    off.append(abs(record.figures.qps / (n / window_s) - 1) * 100)
                    windows.append(record.figures.window_s or 0.0)
            finally:
                if crew is not None:
                    crew.close()
            print(
                f"{k} processes: % off the server's own log: median {statistics.median(off):.3f}, worst "
                f"{max(off):.3f}; windows of {min(windows):.2f} s and more"
            )


# Records of two workers, put together and judged.


def write_records(directory: Path, n: int, k: int) -> list[Path]:
    """Write what k workers would have, in the order of completion, about 250 bytes a record."""
    encoder, rng = msgspec.json.Encoder(), random.Random(1)
    paths = []
    for worker in range(k):
        paths.append(directory / f"queries.worker-{worker}.jsonl")
        at = worker * 1000
        with paths[-1].open("wb") as file:
            for start in range(0, n // k, 50_000):
                batch = []
                for i in range(start, min(start + 50_000, n // k)):
                    at += rng.randrange(40_000)
                    number = i * k + worker
                    digest = f"{rng.getrandbits(128):032x}"
                    batch.append(
                        QueryRecord(
                            query=number,
                            sample=number % 50_000,
                            issued_ns=at,
                            completed_ns=at + rng.randrange(5_000_000, 90_000_000),
                            request=digest,
                            reply=digest,
                            reply_bytes=306,
                            reply_id=f"chatcmpl-{number:x}",
                            tokens=12,
                            finish_reason="stop",
                            worker=worker,
                        )
                    )
                file.write(encoder.encode_lines(batch))
    return paths


def judge(directory: Path) -> None:
    """In a process of its own: put them together, compute all figures of the whole, print what it took."""
    before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began_s = time.process_time()
    merge([Written(path) for path in sorted(directory.glob("queries.worker-*.jsonl"))], directory / "queries.jsonl")
    merged_s, merged_mib = time.process_time() - began_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = figures(read_columns(directory / "queries.jsonl"), Concurrency(target=64))
    judged_s, peak_mib = time.process_time() - began_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{found.n_completed} records: merged in {merged_s:.1f} CPU s, peak {merged_mib:.0f} MiB; merged and judged in "
        f"{judged_s:.1f} CPU s, peak {peak_mib:.0f} MiB (before: {before_mib:.0f}); {found.n_distinct_requests} "
        "requests"
    )


def merged(asked: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        write_records(Path(name), asked.records, 2)
        subprocess.run([sys.executable, "-m", __spec__.name, "judge", "--directory", name], check=True)


# A thousand hosts, as far as the controller is concerned.


def _timed(what: str, n: int, action: Callable[[], object]) -> float:
    began_s = time.process_time()
    action()
    spent_us = (time.process_time() - began_s) * 1e6 / n
    print(f"{what:<58}{spent_us:>10.2f} us CPU each")
    return spent_us


def thousand(asked: argparse.Namespace) -> None:
    k = asked.hosts
    rate, chunk = 2_000 * k, 64
    dealer = Dealer(
        RunSpec(label="x", n_samples=10**12, order=sequential(wrap=True), load=Concurrency(target=k)), 10, k
    )
    want = packed(Want(chunk))
    n = 200_000
    dealt_us = _timed(f"positions asked for and dealt, {chunk} at a time", n, lambda: _deal(dealer, want, n))
    pong = packed(Pong(1, 2, 3, 4, 5, 6))
    ping_us = _timed("a ping packed and its answer read (without the pipe)", n, lambda: _ping(pong, n))
    line = msgspec.json.encode(_record(1)) + b"\n"
    batch = line * 100
    with tempfile.TemporaryDirectory() as name:
        with (Path(name) / "file").open("wb", buffering=0) as file:
            lines_us = _timed(
                "a record taken in and written, 100 at a time", n, lambda: [file.write(batch) for _ in range(n // 100)]
            )
        (Path(name) / "file").unlink()
        paths = write_records(Path(name), 1_000_000, k)
        files = [Written(path) for path in paths]
        merge_us = _timed(
            f"a record of {k} files put in order", 1_000_000, lambda: merge(files, Path(name) / "queries.jsonl")
        )
        assert sum(1 for _ in read_queries(Path(name) / "queries.jsonl")) == 1_000_000 // k * k
    _on_virtual_time(k)
    clock_us = _timed("a clock mapped, of 200 round trips", 1000, lambda: [_clock(at) for at in range(1000)])
    cores = (rate / chunk * dealt_us + 4 * k * ping_us + rate * lines_us) / 1e6
    print(f"{k} hosts x 2,000 queries/s: {cores:.2f} cores of the controller for dealing, pings and records;")
    print(f"  {rate * merge_us / 1e6:.2f} CPU s for each second of the phase to put them together;")
    print(f"  {k * clock_us / 1e6:.2f} CPU s for the clocks, and {k / 8 * 200 * 0.3e-3:.0f} s of round trips of 0.3 ms")
    print(f"  each side of a phase, eight hosts at a time; {len(line) * rate / 2**20:.0f} MiB/s of records;")
    print(f"  {4 * k} files and {k + 50} threads of the controller, one ssh client a host: {_ssh_mib()}")


def _on_virtual_time(k: int) -> None:
    """The two sides of dealing with k workers of 8 connections, a tenth of them ten times as slow as the others."""
    n = 200 * k
    with pytest.MonkeyPatch.context() as patch:

        def latency_ms(worker: int, rng: random.Random) -> float:
            return rng.uniform(20, 60) * (10 if worker % 10 == 0 else 1)

        simulated = Simulated(patch, spec(n, 8 * k), [8] * k, latency_ms, delay_ms=0.5)
        positions = simulated.run()
    assert sorted(positions) == list(range(n))
    last = sorted(max(at for at, worker, _ in simulated.sent if worker == one) for one in range(0, k, max(1, k // 50)))
    starved = sum(hand.starved for hand in simulated.hands)
    print(f"{n} queries of {k} workers on virtual time: each position once; the last issues of workers lie within")
    print(f"  {last[0]:.0f} and {last[-1]:.0f} ms; {starved} times a connection had to wait for a position")


def _deal(dealer: Dealer, want: bytes, n: int) -> None:
    for _ in range(n):
        message = report(want)
        assert isinstance(message, Want)
        dealer.deal(message.wanted)


def _ping(pong: bytes, n: int) -> None:
    for at in range(n):
        packed(Ping(at))
        report(pong)


def _record(number: int) -> QueryRecord:
    return QueryRecord(
        query=number, sample=1, issued_ns=10**9, completed_ns=10**9, request="0" * 32, reply="0" * 32, tokens=12
    )


def _clock(seed: int) -> int:
    rng = random.Random(seed)
    trips = [Trip(at, at + 10**12, at + rng.randrange(60_000, 200_000)) for at in range(200)]
    ahead = best(trips)
    return Mapping(ahead, Reading(ahead.at + 10**9, ahead.offset, ahead.error), one_machine=False).ours(10**12)


def _ssh_mib() -> str:
    clients = [
        one.info["memory_info"].rss for one in psutil.process_iter(["name", "memory_info"]) if one.info["name"] == "ssh"
    ]
    return f"{statistics.mean(clients) / 2**20:.0f} MiB each here" if clients else "8 MiB each (OpenSSH 9.2)"


# Two sshd on this machine.


def sshd(asked: argparse.Namespace) -> None:
    from tests.support.sshd import two_hosts

    with tempfile.TemporaryDirectory() as name, nginx(Path(name)) as url, two_hosts(Path(name)) as hosts:
        crew = Crew(hosts)
        try:
            record = drive(url, spec(asked.requests, IN_FLIGHT), Path(name), crew)
        finally:
            crew.close()
    print(f"{record.figures.n_completed} of {asked.requests} queries, {[part.n_queries for part in record.workers]}")
    for part in record.workers:
        print(
            f"{part.host.split('//')[0]}: offset {part.clock_offset_ns} ns, known to {part.clock_error_ns / 1e3:.0f} us"
        )


ACTIONS = {"cost": cost, "truth": truth, "merge": merged, "thousand": thousand, "sshd": sshd}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*ACTIONS, "alone", "judge"])
    parser.add_argument("--requests", type=int, default=60_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.what == "alone":
        alone(asked.url, asked.requests, asked.in_flight)
    elif asked.what == "judge":
        judge(asked.directory)
    else:
        print(json.dumps({"what": asked.what, "at_ns": perf_counter_ns()}))
        ACTIONS[asked.what](asked)


if __name__ == "__main__":
    main()
