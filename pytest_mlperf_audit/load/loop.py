"""An event loop for the length of one call, which a signal ends in good order."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

_T = TypeVar("_T")

_STOPPING = (signal.SIGINT, signal.SIGTERM)

#: What ends the loops of threads that no signal reaches, by the thread's id.
_stops: dict[int | None, Callable[[], object]] = {}


def run_until_done(make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run a coroutine on a loop of its own, uvloop's where there is one; SIGINT and SIGTERM cancel it.

    Raises KeyboardInterrupt when a signal came, after the coroutine has cleaned up. The process's event loop policy and
    current loop are left alone, so that other async plugins are not disturbed.
    """
    loop = _new_loop()
    signals: list[int] = []
    try:
        task = loop.create_task(make())
        with _signals(loop, task, signals):
            try:
                result = loop.run_until_complete(task)
            except BaseException:
                if signals:
                    raise KeyboardInterrupt from None
                raise
            if signals:  # it came too late to cancel anything
                raise KeyboardInterrupt
            return result
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def stop_thread(thread: threading.Thread) -> None:
    """End what `run_until_done` runs in a thread that is not the main one, as SIGINT does in that one.

    The thread raises KeyboardInterrupt when the coroutine has cleaned up. Where it runs none, nothing is done.
    """
    if stop := _stops.get(thread.ident):
        with suppress(RuntimeError):  # its loop has just been closed
            stop()


def loop_name() -> str:
    """Return which event loop is used: 'uvloop' or 'asyncio'."""
    loop = _new_loop()
    loop.close()
    return type(loop).__module__.partition(".")[0]


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform != "win32":
        with suppress(ImportError):
            import uvloop  # noqa: PLC0415 - optional

            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return loop
    return asyncio.new_event_loop()


@contextmanager
def _signals(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], seen: list[int]) -> Iterator[None]:
    def stop(signum: int) -> None:
        if not seen:  # an impatient second one must not cut the cleaning up short
            task.cancel()
        seen.append(signum)

    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        ident = threading.get_ident()
        _stops[ident] = partial(loop.call_soon_threadsafe, stop, signal.SIGINT)
        try:
            yield
        finally:
            del _stops[ident]
        return

    before = {signum: signal.getsignal(signum) for signum in _STOPPING}
    # A signal that is ignored (nohup, a shell's background job) stays ignored; None is a handler not set by Python.
    handled = [signum for signum, handler in before.items() if handler not in {signal.SIG_IGN, None}]
    for signum in handled:
        loop.add_signal_handler(signum, stop, signum)
    try:
        yield
    finally:
        for signum in handled:
            loop.remove_signal_handler(signum)
            signal.signal(signum, before[signum])


def settle(over: asyncio.Future[None], error: BaseException | None) -> None:
    """Have a future done, or failed with what is wrong, unless it is already."""
    if over.done():
        return
    if error is None:
        over.set_result(None)
    elif isinstance(error, StopIteration):  # which no future takes
        over.set_exception(RuntimeError(f"StopIteration: {error}"))
    else:
        over.set_exception(error)
