"""How many queries a phase has in flight or when they arrive, and on how many connections.

Each connection is an open file. This process's limit is raised as far as allowed, and what is missing is known before a
query is sent.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import random
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from time import perf_counter_ns

from ..errors import PlanError
from ..runs.spec import Concurrency, MaxThroughput, Poisson, RunSpec
from .target import Target

#: The most connections that MaxThroughput opens unless told otherwise; beyond it queries wait for a free one.
_MOST_IN_FLIGHT = 4096

#: For what is opened later on: an event loop, logs, name servers, certificates, the report. In steps, so that a file
#: more or less, between one process of a run and the next, does not change how many connections there are.
_SPARE = 64
_STEP = 32

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})
_HOW = (
    "raise it: `ulimit -n {needed}` in the shell (above its hard limit as root, or in /etc/security/limits.conf), "
    "LimitNOFILE={needed} for a service, `--ulimit nofile={needed}` for a container"
)


def in_flight(spec: RunSpec) -> int:
    """Return how many connections a phase needs from its start, and make room for them."""
    wanted = wanted_by(spec)
    if isinstance(spec.load, MaxThroughput):
        return room_for(wanted)
    room_for(_MOST_IN_FLIGHT if isinstance(spec.load, Poisson) else wanted)
    return wanted


async def until(due_ns: int) -> None:
    """Sleep, never short: uvloop rounds to milliseconds, so the last half of one is waited in turns of the loop."""
    while (left_ns := due_ns - perf_counter_ns()) > 0:  # noqa: ASYNC110 - there is no event to wait for but the time
        await asyncio.sleep(left_ns / 1e9)


def arrivals(load: Poisson, start_ns: int) -> Iterator[int]:
    """Yield arrival times in nanoseconds, the first at `start_ns`, gaps exponential with mean 1 / target_qps."""
    rng = random.Random(load.seed)  # noqa: S311 - a reproducible schedule, not a secret
    gaps = (round(rng.expovariate(load.target_qps) * 1e9) for _ in itertools.count())
    return itertools.accumulate(gaps, initial=start_ns)


class NoFilesError(OSError):
    """This process can open no more files; it says nothing about the endpoint."""

    def __init__(self, number: int) -> None:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        super().__init__(
            number,
            f"this process may open no more files than the {limit} it has, and each query in flight needs one; "
            f"{_HOW.format(needed=4 * limit)}, or ask for fewer queries at once",
        )

    def __str__(self) -> str:
        return str(self.strerror)


def out_of_files(error: OSError) -> bool:
    """Whether an error is about the limit on open files."""
    return error.errno in _EXHAUSTED


def room_for(wanted: int) -> int:
    """Raise this process's limit as far as allowed and needed; return how many of so many connections it leaves."""
    needed = wanted + _others()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    with suppress(OSError, ValueError):  # macOS and some sandboxes refuse what the hard limit promises
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    return max(1, min(wanted, soft - _others()))


@contextmanager
def limit_given_back() -> Iterator[None]:
    """Let the limit be afterwards what it was: the process may be another's, whose `select` knows 1,024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def check_files(specs: Sequence[RunSpec], target: Target | None) -> None:
    """Raise PlanError where a phase was told to open more connections than this process may."""
    for spec, room, beside in _too_large(specs, target):
        if key := _key(spec):
            raise PlanError(_too_few(spec, key, room, beside))


def turn_warnings(specs: Sequence[RunSpec], target: Target | None) -> list[str]:
    """Return a warning where a phase that sends all at once has to take turns."""
    found = [_turns(spec, room, beside) for spec, room, beside in _too_large(specs, target) if not _key(spec)]
    return found[:1]


def _too_large(specs: Sequence[RunSpec], target: Target | None) -> Iterator[tuple[RunSpec, int, int]]:
    """Yield the phases for which there is no room, how many connections there is room for, and how many files beside.

    Connections are shared out evenly by the addresses, and a phase's log stays open until its group is over.
    """
    beside = len(specs) + (len(target.urls) + len(target.metrics) if target else 1)
    with limit_given_back():
        for spec in specs:
            wanted = wanted_by(spec)
            if (room := room_for(wanted + beside) - beside) < wanted:
                yield spec, room, beside


def wanted_by(spec: RunSpec) -> int:
    """Return how many connections a phase asks for from its start."""
    if isinstance(spec.load, Concurrency):
        return spec.load.target if spec.min_duration_ms else min(spec.load.target, spec.n_samples)
    if isinstance(spec.load, MaxThroughput):
        return min(spec.n_samples, spec.load.max_in_flight if spec.load.max_in_flight > 0 else _MOST_IN_FLIGHT)
    return 1


def _key(spec: RunSpec) -> str | None:
    """Return the key by which the YAML asks for so many connections, None where it does not."""
    if isinstance(spec.load, Concurrency):
        return "settings.load_pattern.target_concurrency"
    if isinstance(spec.load, MaxThroughput) and spec.load.max_in_flight < 0:
        return None
    return "settings.client.max_connections"


def _too_few(spec: RunSpec, key: str, room: int, beside: int) -> str:
    wanted = wanted_by(spec)
    needed = wanted + beside + _others()
    lower = f"; or set {key} to {room}" if room > 0 else ""
    return (
        f"phase {spec.label} needs {needed} open files ({wanted} connections, {needed - wanted} for the rest), and "
        f"this process may open {_allowed()}; {_HOW.format(needed=needed)}{lower}"
    )


def _turns(spec: RunSpec, room: int, beside: int) -> str:
    wanted = wanted_by(spec)
    return (
        f"only {max(1, room)} of {wanted} queries will be in flight at once, as this process may open {_allowed()} "
        f"files; {_HOW.format(needed=wanted + beside + _others())}"
    )


def _allowed() -> int:
    """Return the limit that stands in the way: the hard one, or the soft one where that cannot be raised."""
    with limit_given_back():
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            return hard
    return soft


@cache
def _others() -> int:
    """Return how many files are open beside connections, or will be."""
    return -(-(_open_now() + _SPARE) // _STEP) * _STEP


def _open_now() -> int:
    for directory in (Path("/proc/self/fd"), Path("/dev/fd")):
        with suppress(OSError):
            return sum(1 for _ in directory.iterdir())
    return _SPARE
