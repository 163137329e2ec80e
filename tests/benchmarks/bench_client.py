"""CPU and memory of the client per query, beside wrk and bare aiohttp on the same server; for docs/benchmarks.md.

    python tests/benchmarks/bench_client.py [--requests 20000] [--runs 5] [--in-flight 64] [--memory 300000] [--json F]

`--costs` measures what parts of the work cost instead: secrets to look for, outputs that are kept, TLS, queries that
are ever new, no time limit.

Needs nginx and wrk; openssl for TLS. CPU seconds, not wall time, so that other work on the machine disturbs little;
each figure is the median of the runs, which alternate between the clients.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.datasets import load_dataset
from pytest_mlperf_audit.endpoints.source import RequestSource
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.load.group import PlannedPhase, run_group
from pytest_mlperf_audit.load.loop import loop_name, run_until_done
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.runs.order import without_replacement
from pytest_mlperf_audit.runs.spec import Concurrency, Keep, RunSpec

ROWS = 64
REPLY_BYTES = 306

NGINX = """
daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; default_type application/json;
    client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
    uwsgi_temp_path {directory}; scgi_temp_path {directory};
    server {{ listen 127.0.0.1:{port} backlog=4096{tls}; location / {{ return 200 '{reply}'; }} }}
}}
"""

WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[{body}]]
"""


def reply() -> str:
    """A chat completion of exactly REPLY_BYTES bytes."""
    message = {"role": "assistant", "content": ""}
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
    }
    message["content"] = "x" * (REPLY_BYTES - len(json.dumps(answer)))
    return json.dumps(answer)


@contextmanager
def nginx(directory: Path, *, tls: bool = False) -> Iterator[str]:
    """A server that does nothing: nginx, one process, a fixed reply to any request."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    if tls:
        made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2"]
        subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with_tls = f" ssl; ssl_certificate {certificate}; ssl_certificate_key {key}" if tls else ""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = directory / "nginx.conf"
    config.write_text(NGINX.format(directory=directory, port=port, reply=reply(), tls=with_tls))
    process = subprocess.Popen(["nginx", "-c", config, "-p", directory], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            raise RuntimeError((directory / "error.log").read_text())
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def source(directory: Path) -> RequestSource:
    path = directory / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"What is {n} plus {n}? Think."}) + "\n" for n in range(ROWS)))
    dataset = load_dataset(DatasetConfig(name="bench", path=path), [directory])
    return RequestSource(dataset, OpenAIChatAdapter(ModelParams(name="bench"), streaming=False))


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def ours(url: str, n: int, in_flight: int, directory: Path, target: Target | None = None, **changed: Any) -> float:
    """The load engine as an audit uses it: digests, decoded replies, a line on disk for each query."""
    given = {"order": without_replacement(1, wrap=True), "query_timeout_s": 3600.0, **changed}
    spec = RunSpec(label="bench", n_samples=n, load=Concurrency(target=in_flight), **given)
    requests = source(directory)
    before = cpu_s()
    [record] = run_group(
        [PlannedPhase(spec, directory / "phase")], requests, target or Target(urls=(url,), insecure=True)
    )
    spent = cpu_s() - before
    assert record.status == "complete", record.reason
    assert record.figures.n_completed == n, record.figures.failures
    return spent * 1000 / n


def ever_new(url: str, n: int, in_flight: int, directory: Path) -> float:
    """The same in a phase whose every query is new."""
    return ours(url, n, in_flight, directory, nonce="suffix", nonce_seed=1)


def with_a_key(url: str, n: int, in_flight: int, directory: Path) -> float:
    """With a key that is sent, and looked for in every reply."""
    key = "sk-0123456789abcdefghijklmnopqrstuvwxyz"
    target = Target(urls=(url,), headers={"Authorization": f"Bearer {key}"}, secrets=(f"Bearer {key}",))
    return ours(url, n, in_flight, directory, target)


def with_outputs(url: str, n: int, in_flight: int, directory: Path) -> float:
    """With every output in the records."""
    return ours(url, n, in_flight, directory, keep=Keep())


def without_limit(url: str, n: int, in_flight: int, directory: Path) -> float:
    """Without a time limit for a query."""
    return ours(url, n, in_flight, directory, query_timeout_s=None)


def bare(url: str, n: int, in_flight: int, directory: Path) -> float:
    """Plain aiohttp on the same loop, recording nothing."""
    requests = source(directory)
    bodies = [requests.body(row) for row in range(ROWS)]

    async def run() -> None:
        import aiohttp

        left = iter(range(n))

        async def one(session: aiohttp.ClientSession) -> None:
            for number in left:
                headers = {"Content-Type": "application/json"}
                async with session.post(url + "/x", data=bodies[number % ROWS], headers=headers) as response:
                    await response.read()

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(one(session) for _ in range(in_flight)))

    before = cpu_s()
    run_until_done(run)
    return (cpu_s() - before) * 1000 / n


def wrk(url: str, n: int, in_flight: int, directory: Path) -> float:
    """CPU of a wrk process, by the kernel's account of a child."""
    script = directory / "post.lua"
    script.write_text(WRK.format(body=bytes(source(directory).body(0)).decode()))
    output = directory / "wrk.txt"
    seconds = max(2, n // 20_000)
    with output.open("w") as file:
        process = subprocess.Popen(
            ["wrk", "-t1", f"-c{in_flight}", f"-d{seconds}s", "-s", script, url + "/x"], stdout=file
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    match = re.search(r"(\d+) requests in", output.read_text())
    assert match, output.read_text()
    assert process.returncode == 0, output.read_text()
    return (usage.ru_utime + usage.ru_stime) * 1000 / int(match[1])


def memory(url: str, n: int, in_flight: int, directory: Path) -> dict[str, float]:
    """Growth of this process's memory over a phase, in bytes a query: a line through samples, and the peak."""
    process = psutil.Process()
    points: list[tuple[int, int]] = []
    spec = RunSpec(
        label="memory",
        n_samples=n,
        order=without_replacement(1, wrap=True),
        load=Concurrency(target=in_flight),
        query_timeout_s=3600.0,
    )
    run_group(
        [PlannedPhase(spec, directory / "memory")],
        source(directory),
        Target(urls=(url,)),
        report=lambda progress: points.append((progress.completed, process.memory_info().rss)),
    )
    settled = [(x, y) for x, y in points if x > n / 20]
    slope = statistics.linear_regression(*zip(*settled, strict=True)).slope
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "bytes_per_query": slope,
        "peak_mib": peak / 2**20,
        "peak_growth_bytes_per_query": (peak - points[0][1]) / n,
    }


CLIENTS: dict[str, Callable[[str, int, int, Path], float]] = {
    "engine": ours,
    "engine, every query new": ever_new,
    "aiohttp, nothing recorded": bare,
    "wrk": wrk,
}
COSTS: dict[str, Callable[[str, int, int, Path], float]] = {
    "engine": ours,
    "without a time limit": without_limit,
    "a key to look for": with_a_key,
    "outputs kept": with_outputs,
    "every query new": ever_new,
    "over TLS": ours,
    "wrk": wrk,
}


def in_own_process(kind: str, url: str, n: int, in_flight: int) -> dict[str, float]:
    """Run one measurement in a fresh interpreter, so that no run inherits another's heap."""
    command = [sys.executable, __file__, "--one", kind, "--url", url, "--requests", str(n)]
    command += ["--in-flight", str(in_flight)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def one(kind: str, url: str, n: int, in_flight: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        if kind == "memory":
            return memory(url, n, in_flight, Path(name))
        return {"cpu_s_per_1000": {**CLIENTS, **COSTS}[kind](url, n, in_flight, Path(name))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--memory", type=int, default=300_000, help="queries of the memory run; 0: none")
    parser.add_argument("--costs", action="store_true", help="measure what parts of the work cost")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.one, asked.url, asked.requests, asked.in_flight)))
        return
    figures: dict[str, object] = {"in_flight": asked.in_flight, "requests": asked.requests, "loop": loop_name()}
    directories = [tempfile.TemporaryDirectory(), tempfile.TemporaryDirectory()]
    with (
        directories[0] as name,
        directories[1] as other,
        nginx(Path(name)) as url,
        nginx(Path(other), tls=asked.costs) as with_tls,
    ):
        costs: dict[str, list[float]] = {kind: [] for kind in (COSTS if asked.costs else CLIENTS)}
        for _ in range(asked.runs):
            for kind, values in costs.items():
                there = with_tls if kind == "over TLS" else url
                values.append(in_own_process(kind, there, asked.requests, asked.in_flight)["cpu_s_per_1000"])
        medians = {kind: statistics.median(values) for kind, values in costs.items()}
        print("client                      CPU s / 1,000 requests        min        max   times wrk")
        for kind, values in costs.items():
            print(
                f"{kind:<28}{medians[kind]:>22.4f}{min(values):>11.4f}{max(values):>11.4f}"
                f"{medians[kind] / medians['wrk']:>12.1f}"
            )
        figures["cpu_s_per_1000"] = medians
        if asked.memory and not asked.costs:
            figures["memory"] = used = in_own_process("memory", url, asked.memory, asked.in_flight)
            million = used["bytes_per_query"] * 1e6 / 2**20
            print(
                f"memory, {asked.memory} queries: {used['bytes_per_query']:.0f} bytes a query by a line through "
                f"samples; peak {used['peak_mib']:.0f} MiB with figures; 1,000,000 queries add {million:.0f} MiB"
            )
    print(json.dumps(figures))
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
