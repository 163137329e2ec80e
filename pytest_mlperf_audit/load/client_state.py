"""What the client knows of itself while a phase lasts: how late its event loop is, its CPU time, its connections.

The lag is sampled a hundred times a second by a timer of the kernel that becomes readable, so that it waits its turn as
a reply does. Where there is no such timer (macOS), the loop's own is used, which may be 1 ms late by rounding. A loop
that was late by several periods missed that many samples; they are counted with the lag that each would have had, so
that the samples are spread evenly over the phase's time. Their moments are shifted within their periods, lest they keep
step with a server's.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from array import array
from functools import cache
from time import CLOCK_MONOTONIC, perf_counter, perf_counter_ns, process_time

import numpy as np
from numpy.typing import NDArray

from ..runs.phase import ClientState
from .transport import Connections

_PERIOD_NS = 10_000_000
#: The golden ratio's fraction: multiples of it fill the period evenly.
_SHIFT = 0.6180339887498949
#: A reply waits for the turn that is under way, as the timer does, and for its place in the next one.
_WAITS_FOR = 2.0
_NS = 10**9
_TIMES = ctypes.c_long * 4


class ClientWatch:
    """Watches from its making until `stop`. `connections` are those of the client so far; to be made on the loop."""

    def __init__(self, connections: Connections) -> None:
        self._loop = asyncio.get_running_loop()
        self._before = self._after = connections
        self._lags = array("q")
        self._file = _timer()
        self._handle: asyncio.TimerHandle | None = None
        if self._file is not None:
            self._loop.add_reader(self._file, self._ticked)
        self._cpu_s, self._wall_s = -process_time(), -perf_counter()
        self._start_ns, self._number = perf_counter_ns(), 0
        self._set(self._start_ns)

    def stop(self, connections: Connections) -> None:
        """Watch no more; a loop that is late at this moment counts as such."""
        self._cpu_s += process_time()
        self._wall_s += perf_counter()
        self._after = connections
        self._sample(perf_counter_ns())
        if self._handle is not None:
            self._handle.cancel()
        if self._file is not None:
            self._loop.remove_reader(self._file)
            os.close(self._file)

    def state(self, mean_latency_s: float | None) -> ClientState:
        """Return what was seen; `mean_latency_s` is that of the phase's queries, None where none completed."""
        lags_s = np.array(self._lags, dtype=np.float64) / _NS
        return ClientState(
            lag_p99_s=float(np.percentile(lags_s, 99)) if len(lags_s) else 0.0,
            lag_max_s=float(lags_s.max(initial=0.0)),
            lag_mean_s=float(lags_s.mean()) if len(lags_s) else 0.0,
            lag_samples=len(lags_s),
            delay_share=_delay_share(lags_s, mean_latency_s),
            cpu_share=self._cpu_s / self._wall_s if self._wall_s > 0 else 0.0,
            opened=self._after.opened - self._before.opened,
            reused=self._after.reused - self._before.reused,
            resent=self._after.resent - self._before.resent,
        )

    def _ticked(self) -> None:
        if self._file is not None:
            try:
                os.read(self._file, 8)
            except BlockingIOError:
                return
        now_ns = perf_counter_ns()
        self._sample(now_ns)
        self._set(now_ns)

    def _sample(self, now_ns: int) -> None:
        late_ns = now_ns - self._due_ns
        if late_ns >= 0:
            self._lags.extend(range(late_ns, -1, -_PERIOD_NS))
            self._number += late_ns // _PERIOD_NS + 1

    def _set(self, now_ns: int) -> None:
        self._due_ns = self._start_ns + round((self._number + self._number * _SHIFT % 1) * _PERIOD_NS) + 1
        if self._file is not None:
            _arm(self._file, self._due_ns)
        else:
            self._handle = self._loop.call_later(max(0, self._due_ns - now_ns) / _NS, self._ticked)


def _delay_share(lags_s: NDArray[np.float64], mean_latency_s: float | None) -> float:
    """Return how much of a mean latency the lag can have been, at most all of it, on average over the phase's time."""
    if not mean_latency_s or not len(lags_s):
        return 0.0
    return float(np.minimum(1.0, _WAITS_FOR * lags_s / mean_latency_s).mean())


@cache
def _system() -> ctypes.CDLL | None:
    """Return the C library where it has timers of the kernel's."""
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    return library if hasattr(library, "timerfd_create") else None


def _timer() -> int | None:
    """Return the file of a new timer of the kernel's, on the clock of perf_counter; None where there is none."""
    if (system := _system()) is None:
        return None
    file = int(system.timerfd_create(CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
    return None if file < 0 else file


def _arm(file: int, due_ns: int) -> None:
    """Have a timer become readable at a time, once: its struct is an interval (none) and a value, in s and ns."""
    if (system := _system()) is not None:
        system.timerfd_settime(file, 1, _TIMES(0, 0, *divmod(due_ns, _NS)), None)
