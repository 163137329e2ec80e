"""Chunks of streamed chat completions that the client takes in and records per CPU second; for docs/benchmarks.md.

    python tests/benchmarks/bench_stream.py [--queries 1000] [--runs 5] [--pace-ms 4]

The server, a process of its own, sends 64 chunks a reply, each in a write of its own, `--pace-ms` apart, and then all
at once. CPU seconds of the client alone; medians of the runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.datasets import load_dataset
from pytest_mlperf_audit.endpoints.source import RequestSource
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.load.group import PlannedPhase, run_group
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.runs.order import without_replacement
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec

CHUNKS = 64
IN_FLIGHT = 64
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def events() -> list[bytes]:
    """Return the chunks of one reply as HTTP chunks."""
    found = []
    for number in range(CHUNKS):
        last = number == CHUNKS - 1
        choice = {
            "index": 0,
            "delta": {} if last else {"content": f" tok{number:03d}"},
            "finish_reason": "stop" if last else None,
        }
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        event = f"data: {json.dumps(chunk)}\n\n{'data: [DONE]' + chr(10) * 2 if last else ''}".encode()
        found.append(b"%x\r\n%b\r\n" % (len(event), event))
    return found


class Streamer(asyncio.Protocol):
    """Answers each POST with a stream and anything else with two letters."""

    pace_s = 0.0
    chunks = events()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].lower()
            _, found, length = head.partition(b"content-length:")
            n_body = int(length.split(b"\r\n")[0]) if found else 0
            if len(self.received) < end + 4 + n_body:
                return
            self.received = self.received[end + 4 + n_body :]
            if not head.startswith(b"post"):
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            elif self.pace_s:
                self.transport.write(HEAD)
                self.send(0)
            else:
                self.transport.write(b"".join([HEAD, *self.chunks, b"0\r\n\r\n"]))

    def send(self, number: int) -> None:
        """Send a chunk, and the next one later."""
        if number == CHUNKS:
            self.transport.write(b"0\r\n\r\n")
            return
        self.transport.write(self.chunks[number])
        asyncio.get_running_loop().call_later(self.pace_s, self.send, number + 1)


async def serve(file: int, pace_s: float) -> None:
    Streamer.pace_s = pace_s
    server = await asyncio.get_running_loop().create_server(Streamer, sock=socket.socket(fileno=file))
    await server.serve_forever()


def chunks_a_second(url: str, n: int) -> float:
    """Run one phase, and return the chunks that this process took in per second of its CPU time."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        path = directory / "prompts.jsonl"
        path.write_text("".join(json.dumps({"prompt": f"What is {row}?"}) + "\n" for row in range(64)))
        rows = load_dataset(DatasetConfig(name="bench", path=path), [directory])
        source = RequestSource(rows, OpenAIChatAdapter(ModelParams(name="bench"), streaming=True))
        spec = RunSpec(
            label="bench",
            n_samples=n,
            order=without_replacement(1, wrap=True),
            load=Concurrency(target=IN_FLIGHT),
            query_timeout_s=3600.0,
        )
        before = resource.getrusage(resource.RUSAGE_SELF)
        [record] = run_group([PlannedPhase(spec, directory / "phase")], source, Target(urls=(url,)))
        after = resource.getrusage(resource.RUSAGE_SELF)
    assert record.figures.n_completed == n, record.figures.failures
    assert record.figures.time_to_first_token is not None
    return CHUNKS * n / (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


@contextmanager
def streamer(pace_s: float) -> Iterator[str]:
    """The server, in a process of its own."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(4096)
        file = listening.fileno()
        server = subprocess.Popen([sys.executable, __file__, "--serve", str(file), str(pace_s)], pass_fds=[file])
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.terminate()
            server.wait()


def measured(pace_s: float, n: int, runs: int) -> list[float]:
    with streamer(pace_s) as url:
        client = [sys.executable, __file__, "--client", url, "--queries", str(n)]
        return [float(subprocess.run(client, check=True, capture_output=True).stdout) for _ in range(runs)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--pace-ms", type=float, default=4.0)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--client", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        asyncio.run(serve(int(asked.serve[0]), float(asked.serve[1])))
    elif asked.client:
        print(chunks_a_second(asked.client, asked.queries))
    else:
        for what, pace_s in ((f"{asked.pace_ms:g} ms apart", asked.pace_ms / 1000), ("at once", 0.0)):
            found = measured(pace_s, asked.queries, asked.runs)
            median, least, most = statistics.median(found), min(found), max(found)
            print(f"{what:<14}{median:>10,.0f} chunks a CPU second ({least:,.0f} to {most:,.0f})")


if __name__ == "__main__":
    main()
