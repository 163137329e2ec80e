"""Who sends: a fixed number of queries in flight, or arrivals on a schedule."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator
from time import perf_counter_ns
from typing import Any

from ..runs.spec import MaxThroughput, Poisson, RunSpec
from .files import MOST_IN_FLIGHT, room_for, wanted_by

#: Sends the next query and returns whether there was one; the argument is when it was due, None for "now".
_SendNext = Callable[[int | None], Coroutine[Any, Any, bool]]


def in_flight(spec: RunSpec) -> int:
    """Return how many connections a phase needs from its start, and make room for them."""
    wanted = wanted_by(spec)
    if isinstance(spec.load, MaxThroughput):
        return room_for(wanted)
    room_for(MOST_IN_FLIGHT if isinstance(spec.load, Poisson) else wanted)
    return wanted


def senders(spec: RunSpec, send_next: _SendNext) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield the coroutines that together drive a phase; each ends when there is nothing left to send."""
    if isinstance(spec.load, Poisson):
        yield _open_loop(spec.load, send_next)
    else:
        for _ in range(in_flight(spec)):
            yield _closed_loop(send_next)


async def _closed_loop(send_next: _SendNext) -> None:
    while await send_next(None):
        pass


async def _open_loop(load: Poisson, send_next: _SendNext) -> None:
    """Issue each query when it is due, however many are still in flight; a late reply never delays an arrival."""
    in_flight: set[asyncio.Task[bool]] = set()
    last: list[asyncio.Task[bool]] = []

    def finished(task: asyncio.Task[bool]) -> None:
        in_flight.discard(task)
        if task.cancelled() or task.exception() is not None or not task.result():
            last.append(task)

    try:
        for due_ns in arrivals(load, perf_counter_ns()):
            await _until(due_ns)
            if last:
                break
            task = asyncio.ensure_future(send_next(due_ns))
            in_flight.add(task)
            task.add_done_callback(finished)
            await asyncio.sleep(0)  # lets the query be issued, or the phase say that it is over
        await asyncio.gather(*in_flight)
    finally:
        for task in in_flight:
            task.cancel()
        await asyncio.gather(*in_flight, return_exceptions=True)
    for task in last:
        task.result()  # raises what ended it, if that was a failure


async def _until(due_ns: int) -> None:
    """Sleep, never short: uvloop rounds to milliseconds, so the last half of one is waited in turns of the loop."""
    while (left_ns := due_ns - perf_counter_ns()) > 0:  # noqa: ASYNC110 - there is no event to wait for but the time
        await asyncio.sleep(left_ns / 1e9)


def arrivals(load: Poisson, start_ns: int) -> Iterator[int]:
    """Yield arrival times in nanoseconds, the first at `start_ns`, gaps exponential with mean 1 / target_qps."""
    rng = random.Random(load.seed)  # noqa: S311 - a reproducible schedule, not a secret
    gaps = (round(rng.expovariate(load.target_qps) * 1e9) for _ in itertools.count())
    return itertools.accumulate(gaps, initial=start_ns)
