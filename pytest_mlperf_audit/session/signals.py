"""SIGTERM ends a session as Ctrl-C does: in good order, exit status 2."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


def interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Handle SIGTERM as SIGINT."""
    raise KeyboardInterrupt


def on_sigterm(handler: Any) -> Any:
    """Set the handler of SIGTERM and return the one before; outside the main thread, or for None, do nothing."""
    if handler is None or threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, handler)


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
def sigterm_deferred() -> Iterator[None]:
    """Hold SIGTERM back, and end as by Ctrl-C if one came.

    Without this, one that comes while records are being written would kill an xdist worker.
    """
    with deferred(signal.SIGTERM) as late:
        yield
    if late:
        raise KeyboardInterrupt
