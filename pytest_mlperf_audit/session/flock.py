"""A lock between processes, as a file that is there only while somebody holds it. The kernel frees a killed one's."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

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

    def acquire(self) -> None:
        """Take the lock as soon as nobody has it. Raises OSError."""
        while not self.try_acquire():
            time.sleep(_POLL_S)

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
