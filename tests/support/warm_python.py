"""A Python that has imported pytest and the package already, and is forked for each session: 0.05 s instead of 1 s.

    python warm_python.py --fork                # prints SOCKET; serves until its stdin ends
    python -IS warm_start.py SOCKET -m pytest   # as `python -m pytest`, in a process of its own

`warm_start.py` hands over its arguments, environment, directory, stdin, stdout and stderr, and waits. What is forked
ends with it. `python -m pytest` and `python -c` are all that is known here.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any


class Loading:
    """A pytest plugin: imports while pytest rewrites assertions, so that no session finds a module that it missed."""

    @staticmethod
    def pytest_configure() -> None:
        import pytest_mlperf_audit

        for module in pkgutil.walk_packages(pytest_mlperf_audit.__path__, "pytest_mlperf_audit."):
            importlib.import_module(module.name)


class Forks:
    """Forks for who connects, and tells them the exit status."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.selector = selectors.DefaultSelector()
        self.running: dict[int, socket.socket] = {}
        self.woken, self.wakes = os.pipe()
        os.set_blocking(self.wakes, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started this one, which then ends its stdin
        signal.set_wakeup_fd(self.wakes)
        for file in (listener, self.woken, sys.stdin):
            self.selector.register(file, selectors.EVENT_READ)

    def serve(self) -> dict[str, Any] | None:
        """Return in each forked process, with what it shall be; in this one None, when stdin ends."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is sys.stdin:
                    for pid in self.running:
                        os.kill(pid, signal.SIGKILL)
                    return None
                if key.fileobj == self.woken:
                    os.read(self.woken, 4096)
                    self._reap()
                elif key.fileobj is not self.listener:
                    self._abandoned(key.fileobj)
                elif order := self._fork(self.listener.accept()[0]):
                    return order

    def _fork(self, connection: socket.socket) -> dict[str, Any] | None:
        message, files, *_ = socket.recv_fds(connection, 2**20, 3)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.selector.close()
            for file in (self.woken, self.wakes, self.listener.detach(), connection.detach()):
                os.close(file)
            for other in self.running.values():
                other.close()
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            return dict(json.loads(message))
        for file in files:
            os.close(file)
        self.running[pid] = connection
        self.selector.register(connection, selectors.EVENT_READ)
        return None

    def _reap(self) -> None:
        for pid in list(self.running):
            if (ended := os.waitpid(pid, os.WNOHANG))[0]:
                connection = self.running.pop(pid)
                with contextlib.suppress(KeyError):  # it was abandoned
                    self.selector.unregister(connection)
                with contextlib.suppress(OSError), connection:
                    connection.sendall(b"%d" % os.waitstatus_to_exitcode(ended[1]))

    def _abandoned(self, connection: object) -> None:
        for pid, other in self.running.items():
            if other is connection:
                self.selector.unregister(other)
                os.kill(pid, signal.SIGKILL)


def become(order: dict[str, Any]) -> None:
    """Do in a forked process what `python ARGUMENTS` does in a new one."""
    os.environ.clear()
    os.environ.update(order["environ"])
    os.chdir(order["directory"])
    tempfile.tempdir = None
    what, code, *arguments = order["arguments"]
    added = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    sys.path[:0] = [order["directory"] if what == "-m" else "", *added]
    importlib.invalidate_caches()
    sys.argv[:] = [what, *arguments]
    if what == "-c":
        exec(code, {"__name__": "__main__"})
        return
    import pytest
    import xdist.plugin

    xdist.plugin._sys_path[:] = sys.path  # noted on import, for the workers
    sys.exit(pytest.main())


def main() -> None:
    import pytest

    sys.path.pop(0)
    with tempfile.TemporaryDirectory() as empty:
        plugins = [
            part for name in ("mlperf_audit", "xdist", "no:cacheprovider", "no:terminal") for part in ("-p", name)
        ]
        pytest.main([empty, f"--rootdir={empty}", *plugins], plugins=[Loading()])
    gc.collect()
    gc.freeze()
    directory = Path(tempfile.mkdtemp(prefix="warm-python-"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "socket"))
        listener.listen()
        print(directory / "socket", flush=True)
        order = Forks(listener).serve()
    if order:
        become(order)
    else:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
