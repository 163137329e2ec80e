"""Locks between processes: of an endpoint, and of a report directory. The kernel's, so a killed process frees them."""

from __future__ import annotations

import getpass
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import ReportDirError
from ..load.target import Target


def runtime_dir() -> Path:
    """Return where locks lie: one directory per user, the same for all processes of theirs on this machine.

    Raises ReportDirError when somebody else owns it.
    """
    user = getpass.getuser()
    directory = Path(tempfile.gettempdir()) / f"pytest-mlperf-audit-{user}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.owner() != user:
        raise ReportDirError(f"{directory} belongs to somebody else; remove it or set TMPDIR to a directory of yours")
    return directory


def named_lock(kind: str, name: str) -> FileLock:
    """Return the lock of that kind and name, not yet acquired."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return FileLock(runtime_dir() / f"{kind}-{digest}.lock")


@contextmanager
def endpoint_lock(target: Target, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the one lock of an endpoint; `waiting` is called once if another process has it."""
    lock = named_lock("endpoint", "\n".join(sorted(target.urls)))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire(poll_interval=0.1)
    try:
        yield
    finally:
        lock.release()
