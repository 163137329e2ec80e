"""CPU of this client beside that of MLCommons endpoints, locust and aiperf on the same servers; for docs/benchmarks.md.

    python -m tests.benchmarks.bench_peers [--endpoints VENV] [--locust VENV] [--aiperf VENV] [--runs 5] [--json F]

Each peer is named by a virtual environment that holds it; one that is not named is left out. Needs Linux and nginx. The
servers are those of bench_client.py (plain replies) and bench_stream.py (64 chunks a reply, 4 ms apart), 64 in flight.

A figure is the CPU time of all processes of a client, from its command to the end of the last of them, in a run of
many requests less that in a run of few: what a tool needs to start is not counted. The clients alternate; medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import bench_client, bench_stream

IN_FLIGHT = 64
PACE_S = 0.004
DEFAULT = "MLCommons endpoints, its default"

LOCUSTFILE = """
from itertools import count

import gevent
from locust import FastHttpUser, task
from locust.exception import StopUser

N, STREAMING, BODIES = {n}, {streaming}, {bodies}
taken, done = count(), count(1)


class Client(FastHttpUser):
    @task
    def ask(self):
        number = next(taken)
        if number >= N:
            raise StopUser
        asked = {{"data": BODIES[number % len(BODIES)], "headers": {{"Content-Type": "application/json"}}}}
        if STREAMING:
            lines = self.client.iter_lines("/v1/chat/completions", method="POST", **asked)
            assert sum(line.startswith("data: ") for line in lines) == {events}
        else:
            self.client.post("/v1/chat/completions", **asked)
        if next(done) == N:
            gevent.spawn(self.environment.runner.quit)
"""

TOKENIZER = {
    "version": "1.0",
    "added_tokens": [],
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"},
}
"""The least that transformers loads. aiperf wants a tokenizer; with --use-server-token-count it counts nothing."""


@dataclass(frozen=True)
class Load:
    """What a client has to do: n requests to url; its files go to an empty folder."""

    url: str
    n: int
    streaming: bool
    directory: Path

    def bodies(self) -> list[str]:
        """The 64 requests of the data set, as this client sends them."""
        source = bench_client.source(self.directory)
        bodies = [json.loads(bytes(source.body(row))) for row in range(bench_client.ROWS)]
        return [json.dumps({**body, "stream": True} if self.streaming else body) for body in bodies]


@dataclass(frozen=True)
class Client:
    """Command of a client, and the number of requests that it says it completed, read from its own report."""

    command: Callable[[Load], list[str]]
    completed: Callable[[Load], int]


def ours(load: Load) -> list[str]:
    here = Path(__file__).parent
    if load.streaming:
        return [sys.executable, str(here / "bench_stream.py"), "--client", load.url, "--queries", str(load.n)]
    one = [sys.executable, str(here / "bench_client.py"), "--one", "engine", "--url", load.url]
    return [*one, "--requests", str(load.n), "--in-flight", str(IN_FLIGHT)]


def locust(venv: Path) -> Client:
    """FastHttpUser in one process, as its documentation has it."""

    def command(load: Load) -> list[str]:
        events = bench_stream.CHUNKS + 1
        text = LOCUSTFILE.format(n=load.n, streaming=load.streaming, bodies=load.bodies(), events=events)
        (load.directory / "locustfile.py").write_text(text)
        users = ["--users", str(IN_FLIGHT), "--spawn-rate", str(IN_FLIGHT), "--host", load.url]
        quiet = ["--headless", "--only-summary", "--json-file", str(load.directory / "stats")]
        return [str(venv / "bin/locust"), "--locustfile", str(load.directory / "locustfile.py"), *users, *quiet]

    def completed(load: Load) -> int:
        [row] = json.loads((load.directory / "stats.json").read_text())
        return int(row["num_requests"]) - int(row["num_failures"])

    return Client(command, completed)


def aiperf(venv: Path) -> Client:
    """One worker and one record processor, no dashboard, no telemetry, no token counted."""

    def command(load: Load) -> list[str]:
        tokenizer = load.directory / "tokenizer"
        tokenizer.mkdir()
        (tokenizer / "tokenizer.json").write_text(json.dumps(TOKENIZER))
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "?"}
        (tokenizer / "tokenizer_config.json").write_text(json.dumps(config))
        payloads = load.directory / "payloads.jsonl"
        payloads.write_text("".join(f"{body}\n" for body in load.bodies()))
        what = ["--model", "bench", "--url", load.url, "--endpoint-type", "chat", "--input-file", str(payloads)]
        what += ["--custom-dataset-type", "raw-payload", "--tokenizer", str(tokenizer), "--use-server-token-count"]
        how = ["--concurrency", str(IN_FLIGHT), "--request-count", str(load.n)]
        how += ["--workers-max", "1", "--record-processors", "1"]
        quiet = ["--ui", "none", "--no-gpu-telemetry", "--no-server-metrics"]
        streaming = ["--streaming"] if load.streaming else []
        files = ["--artifact-dir", str(load.directory)]
        return [str(venv / "bin/aiperf"), "profile", *what, *how, *quiet, *streaming, *files]

    def completed(load: Load) -> int:
        report = json.loads((load.directory / "profile_export_aiperf.json").read_text())
        return int(report["request_count"]["avg"])

    return Client(command, completed)


def endpoints(venv: Path, workers: int) -> Client:
    """`workers` processes (-1: its default), without a tokenizer."""

    def command(load: Load) -> list[str]:
        rows = load.directory / "prompts.jsonl"
        load.bodies()
        how = ["--load-pattern", "concurrency", "--concurrency", str(IN_FLIGHT), "--num-samples", str(load.n)]
        how += ["--duration", "0", "--workers", str(workers), "--streaming", "on" if load.streaming else "off"]
        what = ["--endpoints", load.url, "--model", "bench", "--dataset", str(rows)]
        how += ["--client.worker-initialization-timeout", "300", "--report-dir", str(load.directory / "report")]
        program = ["env", "HF_HUB_OFFLINE=1", str(venv / "bin/inference-endpoint")]
        return [*program, "benchmark", "online", *what, *how]

    def completed(load: Load) -> int:
        report = json.loads((load.directory / "report/performance/result_summary.json").read_text())
        return int(report["n_samples_completed"]) - int(report["n_samples_failed"])

    return Client(command, completed)


def cpu_s(client: Client, url: str, n: int, streaming: bool) -> float:
    """CPU seconds of a whole run of n requests."""
    with tempfile.TemporaryDirectory() as name:
        load = Load(url, n, streaming, Path(name))
        command = [sys.executable, str(Path(__file__).with_name("process_tree.py")), *client.command(load)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-5000:]}")
        completed = client.completed(load)
        assert completed == n, f"{completed} of {n} requests succeeded: {' '.join(command)}\n{done.stderr[-5000:]}"
        return float(done.stdout)


@contextmanager
def server(streaming: bool) -> Iterator[str]:
    if streaming:
        with bench_stream.streamer(PACE_S) as url:
            yield url
    else:
        with tempfile.TemporaryDirectory() as name, bench_client.nginx(Path(name)) as url:
            yield url


@dataclass(frozen=True)
class Series:
    """Figures of every client on one server, in CPU s a request, and the requests of the two runs of each."""

    streaming: bool
    few: int
    many: int
    found: dict[str, list[float]]

    def take(self, name: str, client: Client, url: str) -> None:
        """Add a figure of one client."""
        least = cpu_s(client, url, self.few, self.streaming)
        most = cpu_s(client, url, self.many, self.streaming)
        self.found.setdefault(name, []).append((most - least) / (self.many - self.few))
        print(f"# {name}: {self.few} {least:.2f} s, {self.many} {most:.2f} s", file=sys.stderr)


def measure(clients: dict[str, Client], runs: dict[str, int], series: list[Series]) -> None:
    """Fill the series, run by run. Ctrl-C ends it with what has been measured."""
    with suppress(KeyboardInterrupt), server(False) as plain, server(True) as streams:
        for run in range(max(runs.values())):
            for one in series:
                for name, client in clients.items():
                    if run < runs[name]:
                        one.take(name, client, streams if one.streaming else plain)


def table(title: str, found: dict[str, list[float]], shown: Callable[[float], float], digits: int) -> None:
    """Print a row for each client; `times` is its CPU time over that of the first one."""
    print(f"{title:<38}{'median':>12}{'least':>12}{'most':>12}{'times':>8}")
    first = statistics.median(next(iter(found.values())))
    for name, values in found.items():
        cells = [statistics.median(values), min(values), max(values)]
        low, high = sorted(shown(value) for value in cells[1:])
        figures = "".join(f"{figure:>12,.{digits}f}" for figure in (shown(cells[0]), low, high))
        print(f"{name:<38}{figures}{cells[0] / first:>8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoints", type=Path, metavar="VENV")
    parser.add_argument("--locust", type=Path, metavar="VENV")
    parser.add_argument("--aiperf", type=Path, metavar="VENV")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--default-runs", type=int, help="runs of endpoints with its own number of workers (--runs)")
    parser.add_argument("--plain", type=int, nargs=2, default=(2000, 22_000), metavar=("FEW", "MANY"))
    parser.add_argument("--streams", type=int, nargs=2, default=(64, 1064), metavar=("FEW", "MANY"))
    parser.add_argument("--json", type=Path, help="also write the CPU seconds a request of each run to this file")
    asked = parser.parse_args()
    clients = {"this engine": Client(ours, lambda load: load.n)}
    if asked.endpoints:
        clients["MLCommons endpoints, 1 worker"] = endpoints(asked.endpoints, 1)
        clients[DEFAULT] = endpoints(asked.endpoints, -1)
    if asked.locust:
        clients["locust, FastHttpUser"] = locust(asked.locust)
    if asked.aiperf:
        clients["aiperf, 1 worker"] = aiperf(asked.aiperf)
    runs = dict.fromkeys(clients, asked.runs)
    if asked.endpoints and asked.default_runs is not None:
        runs[DEFAULT] = asked.default_runs
    plain = Series(False, asked.plain[0], asked.plain[1], {})
    streams = Series(True, asked.streams[0], asked.streams[1], {})
    measure(clients, runs, [plain, streams])
    table("CPU s / 1,000 plain requests", plain.found, lambda spent: spent * 1000, 4)
    table("chunks / CPU s, paced", streams.found, lambda spent: bench_stream.CHUNKS / spent, 0)
    if asked.json:
        asked.json.write_text(json.dumps({"plain": plain.found, "streams": streams.found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
