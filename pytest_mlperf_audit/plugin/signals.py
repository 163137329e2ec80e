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
def sigterm_deferred() -> Iterator[None]:
    """Hold SIGTERM back until the end, but from code that handles it itself, as a phase does while it sends.

    Without this, one that comes while records are being written would kill an xdist worker.
    """
    late: list[int] = []
    before = on_sigterm(lambda signum, _: late.append(signum))
    try:
        yield
    finally:
        on_sigterm(before)
    if late:
        raise KeyboardInterrupt
