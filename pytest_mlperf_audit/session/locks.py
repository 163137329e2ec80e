"""Locks between processes, of an endpoint and of a report directory; signals held back while a phase is recorded.

A lock is the kernel's on a file that is there only while somebody holds it, so a killed process frees it. SIGTERM ends
a session as Ctrl-C does: in good order, exit status 2.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from typing_extensions import Self

from ..errors import ReportDirError
from ..text import plain

if TYPE_CHECKING:
    from ..load.target import Target

_POLL_S = 0.1


class Lock:
    """Not held at first; may be held again after its release. `with Lock(path):` waits for it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock, if nobody has it. Raises OSError."""
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_at_path(fd):
                    self._fd = fd
                    return True
            except BlockingIOError:
                return False
            finally:
                if self._fd != fd:
                    os.close(fd)

    def acquire(self, tick: Callable[[], None] = lambda: None) -> None:
        """Take the lock as soon as nobody has it; until then `tick` is called, ten times a second. Raises OSError."""
        while not self.try_acquire():
            tick()
            time.sleep(_POLL_S)

    def sign(self) -> None:
        """Say in the file who holds the lock, for those who wait. A full disk costs the name alone."""
        with suppress(OSError):
            if self._fd is not None:
                os.ftruncate(self._fd, 0)
                os.pwrite(self._fd, f"process {os.getpid()} in {Path.cwd()}".encode(errors="replace"), 0)

    def holder(self) -> str:
        """Return who holds the lock, in brackets: ' (process 4711 in /home/me/audits)', "" where it is not known."""
        with suppress(OSError):
            if said := plain(self._path.read_bytes()[:1000].decode(errors="replace"), 200):
                return f" ({said})"
        return ""

    def release(self) -> None:
        """Give the lock up, and remove its file first: whoever has opened it meanwhile sees that, and makes another."""
        if self._fd is None:
            return
        with suppress(OSError):
            self._path.unlink()
        os.close(self._fd)
        self._fd = None

    def __enter__(self) -> Self:
        if self._fd is None:
            self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()

    def _is_at_path(self, fd: int) -> bool:
        """Whether a file is still the one at the path: the holder before may have removed it."""
        try:
            there = self._path.lstat()
        except FileNotFoundError:
            return False
        return os.path.samestat(os.fstat(fd), there)


#: What a lock's file is called, before the id of the process in mid-phase that holds it.
_MEASURING = "measuring-"


def _runtime_dir() -> Path:
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
    return Lock(_runtime_dir() / f"{kind}-{digest}.lock")


@contextmanager
def endpoint_lock(
    target: Target,
    waiting: Callable[[str], None],
    tick: Callable[[], None] = lambda: None,
    *,
    every_s: float = 60.0,
) -> Iterator[None]:
    """Hold the lock of each of the endpoint's addresses; while another process has one, `waiting` is told who.

    It is told at once, and again `every_s`. While it waits, `tick` is called; what that raises ends the wait.
    Everybody takes them in the same order, so that no two wait for each other.
    """
    with ExitStack() as held:
        for address in sorted({_address(url) for url in target.urls}):
            held.enter_context(_acquired(named_lock("endpoint", address), waiting, tick, every_s))
        yield


def _acquired(
    lock: Lock, waiting: Callable[[str], None], tick: Callable[[], None], every_s: float
) -> AbstractContextManager[object]:
    began_s, next_s = time.monotonic(), 0.0

    def tell() -> None:
        nonlocal next_s
        tick()
        now_s = time.monotonic()
        if now_s >= next_s:
            next_s = now_s + every_s
            so_far = f", for {now_s - began_s:.0f} s so far" if now_s - began_s >= 1 else ""
            waiting(f"waiting for another run against this endpoint{lock.holder()}{so_far}")

    lock.acquire(tell)
    lock.sign()
    return lock


@contextmanager
def measuring(session_dir: Path) -> Iterator[None]:
    """Let the session know that this process is in mid-phase, so that it can end the phase by SIGTERM."""
    with Lock(session_dir / f"{_MEASURING}{os.getpid()}"), _sigterm_deferred():
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


def interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Handle SIGTERM as SIGINT."""
    raise KeyboardInterrupt


def on_sigterm(handler: Any) -> Any:
    """Set the handler of SIGTERM and return the one before; outside the main thread, or for None, do nothing."""
    if handler is None or threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, handler)


def hold_second_interrupt() -> Callable[[], None]:
    """Let the next SIGINT pass by, since a session that ends by one has its files to write; the one after it counts.

    Returns what sets the handler before. Outside the main thread nothing is held.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    before = signal.getsignal(signal.SIGINT)

    def count_the_next(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        signal.signal(signal.SIGINT, before)

    def restore() -> None:
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, count_the_next)
    return restore


@contextmanager
def deferred(*signums: int) -> Iterator[list[int]]:
    """Hold signals back until the end, but from code that handles them itself; yields those that came.

    Outside the main thread, which alone may set handlers, nothing is held back.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = {signum: signal.signal(signum, lambda number, _: came.append(number)) for signum in signums}
    try:
        yield came
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextmanager
def _sigterm_deferred() -> Iterator[None]:
    """Hold SIGTERM back, and end as by Ctrl-C if one came.

    Without this, one that comes while records are being written would kill an xdist worker.
    """
    with deferred(signal.SIGTERM) as late:
        yield
    if late:
        raise KeyboardInterrupt
