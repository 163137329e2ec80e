"""Locks between processes: of an endpoint, and of a report directory. The kernel's, so a killed process frees them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import ReportDirError
from ..load.target import Target
from .flock import Lock
from .signals import sigterm_deferred

#: What a lock's file is called, before the id of the process in mid-phase that holds it.
_MEASURING = "measuring-"


def runtime_dir() -> Path:
    """Return where locks lie: one directory per user, the same for all processes of theirs on this machine.

    Raises ReportDirError when somebody else owns it.
    """
    user = os.getuid()  # a number: containers often run under one that has no name
    directory = Path(tempfile.gettempdir()) / f"pytest-mlperf-audit-{user}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != user:
        raise ReportDirError(f"{directory} belongs to somebody else; remove it or set TMPDIR to a directory of yours")
    return directory


def named_lock(kind: str, name: str) -> Lock:
    """Return the lock of that kind and name, not yet acquired."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return Lock(runtime_dir() / f"{kind}-{digest}.lock")


@contextmanager
def endpoint_lock(target: Target, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of each of the endpoint's addresses; `waiting` is called when another process has one.

    Everybody takes them in the same order, so that no two wait for each other.
    """
    with ExitStack() as held:
        for address in sorted({_address(url) for url in target.urls}):
            held.enter_context(_acquired(named_lock("endpoint", address), waiting))
        yield


def _acquired(lock: Lock, waiting: Callable[[], None]) -> AbstractContextManager[object]:
    if not lock.try_acquire():
        waiting()
        lock.acquire()
    return lock


@contextmanager
def measuring(session_dir: Path) -> Iterator[None]:
    """Let the session know that this process is in mid-phase, so that it can end the phase by SIGTERM."""
    with Lock(session_dir / f"{_MEASURING}{os.getpid()}"), sigterm_deferred():
        yield


def processes_measuring(session_dir: Path) -> Iterator[int]:
    """Yield the ids of processes that are in mid-phase; one that was killed no longer holds its lock."""
    for path in session_dir.glob(f"{_MEASURING}*"):
        lock = Lock(path)
        if lock.try_acquire():
            lock.release()
        else:
            yield int(path.name.removeprefix(_MEASURING))


def _address(url: str) -> str:
    """Return host and port, under whichever path, scheme or name of this machine a YAML has them."""
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname in {"localhost", "::1"} else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
