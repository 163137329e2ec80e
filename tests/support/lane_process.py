"""Servers of lane_server.py in processes of their own.

    python -m tests.support.lane_process '{"kind": "key64", "lanes": 4, "service_ms": 8, "cv": 0.05}'
    python -m tests.support.lane_process --fork

Prints its port as one line and serves until its standard input ends; with --fork, forks a server for each line of
options that comes, prints "PID PORT" for it, and ends with them all when no more lines can come. `kind` is a name of
the tables in plain_caches.py, cheats.py, oddities.py and telling_servers.py, or `honest`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import urllib.request
from pathlib import Path
from typing import Any

from typing_extensions import Self

from .cheats import BEYOND_REACH, CHEATS
from .lane_server import Behaviour, LaneServer
from .oddities import ODDITIES
from .plain_caches import MEASURED, PLAIN_CACHES
from .telling_servers import TELLING

KINDS: dict[str, type[Behaviour]] = {
    "honest": Behaviour,
    **{name: behaviour for name, (_, behaviour) in PLAIN_CACHES.items()},
    **MEASURED,
    **CHEATS,
    **BEYOND_REACH,
    **ODDITIES,
    **TELLING,
}
_PATIENCE_S = 30.0


async def serve(options: dict[str, Any], parent: int, *, forked: bool) -> None:
    """Serve until the file `parent` ends."""
    settings = dict(options)
    server = LaneServer(KINDS[settings.pop("kind", "honest")], settings)
    listening = await asyncio.start_server(server.connected, "127.0.0.1", 0, limit=2**24, backlog=4096)
    port = listening.sockets[0].getsockname()[1]
    asyncio.get_running_loop().add_reader(parent, os._exit, 0)
    print(*([os.getpid()] if forked else []), port, flush=True)
    await listening.serve_forever()


def fork_each_line() -> None:
    """Fork a server for each line of options."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    alive, _held_open = os.pipe()
    for line in sys.stdin:
        if os.fork() == 0:
            os.close(_held_open)
            try:
                asyncio.run(serve(json.loads(line), alive, forked=True))
            except BaseException:  # noqa: BLE001 - who waits for its port is to hear of it
                traceback.print_exc()
                print("no server", flush=True)
            os._exit(1)


class LaneProcesses:
    """Starts servers, each forked in milliseconds from a process that has imported all; a context manager."""

    def __enter__(self) -> Self:
        root = Path(__file__).parents[2]
        command = [sys.executable, "-m", "tests.support.lane_process", "--fork"]
        self._forking = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._forking.communicate()

    def start(self, **options: Any) -> RunningServer:
        """Start a server. Raises ValueError where its options are wrong; it then says more on stderr."""
        assert self._forking.stdin is not None
        assert self._forking.stdout is not None
        print(json.dumps(options), file=self._forking.stdin, flush=True)
        pid, _, port = self._forking.stdout.readline().partition(" ")
        return RunningServer(int(pid), int(port))


class RunningServer:
    """A server that runs."""

    def __init__(self, pid: int, port: int) -> None:
        self._pid = pid
        self.url = f"http://127.0.0.1:{port}"

    def stats(self) -> dict[str, int]:
        """Return what it received, computed, and served without computing."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/stats", timeout=_PATIENCE_S) as reply:
            return dict(json.load(reply))

    def stop(self) -> None:
        """End it, and wait until it is gone."""
        deadline_s = time.monotonic() + _PATIENCE_S
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
            while time.monotonic() < deadline_s:
                os.kill(self._pid, 0)
                time.sleep(0.002)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.argv[1:] == ["--fork"]:
        fork_each_line()
    else:
        asyncio.run(serve(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}, sys.stdin.fileno(), forked=False))
