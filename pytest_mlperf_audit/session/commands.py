"""Running a program of the user's: a list of arguments, no shell, a time limit, a bounded part of what it prints."""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

#: What is kept of a program's output, and how much more is read so that no secret is cut in two.
KEPT: Final = 65_536
_MARGIN: Final = 8_192
_POLL_S: Final = 0.25
#: What a program gets to end by itself when it is told to, and to close its output when it has ended.
_GRACE_S: Final = 5.0
_OUTPUT_GRACE_S: Final = 1.0


class Ended(msgspec.Struct, frozen=True):
    """How a program ended; `exit_status` is None where it was killed at its time limit. `tail` ends what it printed."""

    exit_status: int | None
    tail: bytes


def run(arguments: list[str], cwd: Path, timeout_s: float, tick: Callable[[], None] = lambda: None) -> Ended:
    """Run a program in a process group of its own, and end all of the group however this ends. Raises OSError.

    `tick` is called four times a second; what it raises, and Ctrl-C, ends the program.
    """
    process = subprocess.Popen(  # noqa: S603 - the user's own program, as a list of arguments
        arguments,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as pipe:
        try:
            return _followed(process, pipe.fileno(), timeout_s, tick)
        finally:
            _end(process)


def _followed(process: subprocess.Popen[bytes], pipe: int, timeout_s: float, tick: Callable[[], None]) -> Ended:
    """Read what a process prints until it has ended, or its time is up."""
    tail = b""
    deadline_s = time.monotonic() + timeout_s
    patience_s = math.inf
    while (now_s := time.monotonic()) < min(deadline_s, patience_s):
        tick()
        readable, _, _ = select.select([pipe], [], [], min(_POLL_S, deadline_s - now_s))
        if readable:
            piece = os.read(pipe, KEPT)
            tail = (tail + piece)[-KEPT - _MARGIN :]
            if not piece and process.poll() is None:
                time.sleep(_POLL_S / 10)  # it has closed its output, and goes on
        else:
            piece = None
        if process.poll() is not None:
            if piece == b"":
                break
            # What it started in the background may hold its output open for ever.
            patience_s = min(patience_s, now_s + _OUTPUT_GRACE_S)
    return Ended(process.poll(), tail)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: asked first, and then made to."""
    try:
        if process.poll() is None:
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
    finally:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[bytes], signum: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # all of the group is gone
        os.killpg(process.pid, signum)
