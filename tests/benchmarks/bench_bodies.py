"""How long large bodies take, beside curl on the same server; for docs/benchmarks.md.

    python tests/benchmarks/bench_bodies.py [--sizes 10 256] [--runs 7] [--json F]

Needs curl. Sizes are in MiB. The body is a mapped file, as a tensor of a .npy file is; the server reads it and holds
nothing. Each figure is the median of the runs, which alternate between the clients; memory is what the client's process
has grown by at its most, the mapped file's own pages left out.
"""

from __future__ import annotations

import argparse
import json
import mmap
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from typing_extensions import Self

from pytest_mlperf_audit.load.http import HttpTransport
from pytest_mlperf_audit.load.loop import loop_name, run_until_done
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.load.transport import Message
from pytest_mlperf_audit.runs.body import Pieces

MIB = 2**20
SERVE = """
import time
from tests.support.hashing_server import HashingServer
print(HashingServer(hashes=False).url, flush=True)
time.sleep(9999)
"""


class Ignored:
    """Takes a reply and keeps nothing of it."""

    def on_head(self, status: int, headers: object) -> None:  # noqa: ARG002
        assert status == 200

    def on_data(self, data: bytes, at_ns: int) -> None:
        pass

    def on_resent(self) -> None:
        pass

    def on_end(self, error: BaseException | None) -> None:
        pass


class Memory:
    """Samples how much anonymous memory this process has, until it is left."""

    def __enter__(self) -> Self:
        self._process, self._over = psutil.Process(), threading.Event()
        self._before = self.most = self._anonymous()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.grown_mib = (self.most - self._before) / MIB

    def _anonymous(self) -> int:
        memory = self._process.memory_info()
        return int(memory.rss - memory.shared)

    def _watch(self) -> None:
        while not self._over.wait(0.002):
            self.most = max(self.most, self._anonymous())


def ours(url: str, path: Path, runs: int) -> tuple[list[float], float]:
    """Seconds of each of `runs` queries over one kept connection, and the growth of memory in MiB."""

    async def send() -> list[float]:
        transport = HttpTransport(Target(urls=(url,)), "/", {"Content-Type": "application/octet-stream"}, MIB)
        took = []
        try:
            await transport.connect(1)
            for _ in range(runs):
                with path.open("rb") as file:
                    view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
                began_s = time.perf_counter()
                await transport.query(Message(Pieces([view])), Ignored(), None)
                took.append(time.perf_counter() - began_s)
        finally:
            await transport.close()
        return took

    with Memory() as memory:
        took = run_until_done(send)
    return took, memory.grown_mib


def curl(url: str, path: Path) -> float:
    """Seconds of curl's transfer, by its own account, without its start and its connecting."""
    command = ["curl", "-s", "-o", "/dev/null", "-X", "POST", "-T", str(path), "-H", "Expect:", "-w"]
    out = subprocess.run([*command, "%{time_total} %{time_connect}", url], capture_output=True, text=True, check=True)
    total, connect = map(float, out.stdout.split())
    return total - connect


def measured(mib: int, runs: int) -> dict[str, Any]:
    """Return the medians of one size."""
    server = subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    url = server.stdout.readline().strip()
    try:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "body"
            path.write_bytes(bytes(range(256)) * (mib * MIB // 256))
            rows = [(*ours(url, path, 1), curl(url, path)) for _ in range(runs)]
    finally:
        server.kill()
        server.wait()
    mine, theirs = (statistics.median(row) for row in ([s for [s], _, _ in rows], [s for _, _, s in rows]))
    grown = max(grown for _, grown, _ in rows)
    return {"mib": mib, "ours_s": mine, "curl_s": theirs, "ratio": mine / theirs, "grown_mib": grown}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 256])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [measured(size, options.runs) for size in options.sizes]
    print(f"loop {loop_name()}")
    for row in rows:
        print(
            "{mib} MiB: {ours_s:.4f} s, curl {curl_s:.4f} s, ratio {ratio:.2f}; grown {grown_mib:.1f} MiB".format(**row)
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
