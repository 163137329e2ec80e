"""What beside the system may have slowed a phase: the client itself, or a part of the phase that was not like the rest.

A ratio of two phases that fails accuses a system only where neither explains it. Whatever is said here rests on what is
on disk, so that a recheck says the same; a phase of before the client noted its own state is taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..runs.phase import MeasuredPhase
from ..runs.spec import Concurrency, MaxThroughput
from ..stats.ratio import Completions, service_times_s
from ..stats.steadiness import SlowPart, slow_part
from .verdict import Check

#: A phase of which the client may have taken this share for itself says nothing of how fast the system is. At 0.7, a
#: system one and a half times as fast would have shown as 1.11 times.
BOUNDED: Final = 0.7
#: Of fewer samples the lag is not known well enough to take a pass away.
_SAMPLES: Final = 20
#: By the pace of its replies the rest of a phase may seem so many times slower than by its latencies: in a fast part,
#: too, slow queries take places in flight.
_BORNE_OUT: Final = 1.5
#: Replies that came three times as slowly in a part bear out whatever latencies say of it.
_PLAIN: Final = 1 / 3
#: A rest of no more queries than are in flight is one observation: where its replies came in less than this part of the
#: time, its pace is not known.
_ONE_WAVE: Final = 0.7
_CURE: Final = (
    "stop other processes on the client's machine, share the load out with more processes or hosts "
    "(settings.client.num_workers, settings.client.hosts), or send fewer queries at once"
)


class _Doubt(NamedTuple):
    """Why a phase may have been slow, and the least share of its time that was the system's own all the same."""

    left: float
    words: str
    cure: str


def client_share(run: MeasuredPhase) -> float:
    """Return the share of a phase's time, 0 to 1, that the client may have taken for itself; 0 where it is not known.

    While the event loop is free no reply waits for it. So a client without load takes no more than its CPU time, and
    what it takes under load, when it waits for a CPU, shows as lag.
    """
    state = run.record.client
    return min(1.0, state.cpu_share + state.delay_share) if state else 0.0


def bounded(run: MeasuredPhase) -> bool:
    """Whether the client bounded a phase, so that a faster system could not have shown."""
    state = run.record.client
    enough = state is not None and (state.cpu_share >= BOUNDED or state.lag_samples >= _SAMPLES)
    return enough and client_share(run) >= BOUNDED


def always_in_flight(run: MeasuredPhase) -> int | None:
    """Return how many queries are in flight at any time, None where all are from the start."""
    load = run.spec.load
    if isinstance(load, Concurrency):
        return load.target
    if isinstance(load, MaxThroughput) and 0 < load.max_in_flight < run.spec.n_samples:
        return load.max_in_flight
    return None


def unless_disturbed(check: Check, slow: MeasuredPhase, factor: float, limit: float) -> Check:
    """Return a failed check as undecided where what slowed the phase `slow` may be all that it fails by.

    `factor` is how much slower than the other that phase was; the check would have passed below `limit`.
    """
    if check.passed is not False or slow.record.client is None:
        return check
    doubts = list(_doubts(slow))
    for some in (*([doubt] for doubt in doubts), doubts):
        left = 1.0
        for doubt in some:
            left *= doubt.left
        if some and factor * left < limit:
            return undecided(check, slow, [doubt.words for doubt in some], [doubt.cure for doubt in some])
    return check


def undecided(check: Check, run: MeasuredPhase, words: list[str], cures: list[str]) -> Check:
    """Return a check as undecided for what was odd with a phase."""
    reason = f"{check.reason}; undecided, for in the {run.label} phase {' and '.join(words)}: {', and '.join(cures)}"
    return msgspec.structs.replace(check, passed=None, reason=reason)


def without_power(check: Check, run: MeasuredPhase) -> Check:
    """Return a check that passed as undecided where the client bounded the phase that should have been faster."""
    if check.passed is not True or not bounded(run):
        return check
    return undecided(check, run, [f"{bounded_words(run)}, so that no faster system could have shown"], [_CURE])


def notes(*runs: MeasuredPhase) -> tuple[str, ...]:
    """Return a sentence for each phase that the client bounded."""
    return tuple(
        f"{run.label}: {bounded_words(run)}, so its throughput is the client's rather than the system's; {_CURE}"
        for run in runs
        if bounded(run)
    )


def bounded_words(run: MeasuredPhase) -> str:
    """Return that the client bounded a phase, with its figures."""
    return f"the client was the bottleneck ({_figures(run)})"


def _figures(run: MeasuredPhase) -> str:
    if (state := run.record.client) is None:
        return "its own state was not noted"
    return (
        f"CPU share {state.cpu_share:.0%}, event loop late by {state.lag_mean_s * 1000:.3g} ms on average and "
        f"{state.lag_max_s * 1000:.3g} ms at worst"
    )


def _doubts(run: MeasuredPhase) -> Iterator[_Doubt]:
    if (share := client_share(run)) >= BOUNDED:
        yield _Doubt(0.0, bounded_words(run), _CURE)
    elif share > 0:
        words = f"the client may have taken up to {share:.0%} of the time for itself ({_figures(run)})"
        yield _Doubt(1 - share, words, _CURE)
    if part := unsteady(run):
        yield _Doubt(part.least, unsteady_words(part), "let the system settle with settings.warmup, and run it again")


def unsteady(run: MeasuredPhase) -> SlowPart | None:
    """Return the part of a phase that was slower than the rest, None where it was steady."""
    queries, width = run.queries, always_in_flight(run)
    order = np.argsort(queries.issued_ns, kind="stable")
    issued_s, completed_s = queries.issued_ns[order] / 1e9, queries.completed_ns[order] / 1e9
    if width is None:  # latencies are waiting times
        service_s = service_times_s(Completions(issued_s, completed_s), None)
        return None if service_s is None else slow_part(service_s)
    latencies_s = completed_s - issued_s
    if (part := slow_part(latencies_s)) is None:
        return None
    ended_s = np.sort(completed_s - issued_s[0])
    rest = _rest_by_pace(part, ended_s)
    by_latency = part.rest * float(latencies_s.mean()) / min(width, part.n) / float(ended_s[-1] / part.n)
    # Where queries queue, the first ones do not, and one slow query delays all behind it: then latencies mislead.
    if part.n - (part.end - part.begin) <= width and rest < _ONE_WAVE:
        rest = 0.0
    elif rest <= max(_BORNE_OUT * by_latency, _PLAIN):
        rest = by_latency
    return msgspec.structs.replace(part, rest=rest) if rest < 1 else None


def _rest_by_pace(part: SlowPart, ended_s: NDArray[np.float64]) -> float:
    """Return the time per reply without the slow part over that of the whole phase; `ended_s` in order, (n,)."""
    slow_s = ended_s[part.end - 1] - (ended_s[part.begin - 1] if part.begin else 0.0)
    others = part.n - (part.end - part.begin)
    return float((ended_s[-1] - slow_s) / others / (ended_s[-1] / part.n))


def unsteady_words(part: SlowPart) -> str:
    """Return what was odd with a slow part of a phase."""
    took = f"took {part.factor:.3g} times as long as the others"
    if part.begin == 0:
        return f"the first {part.end} of {part.n} queries {took}, as in a warm-up"
    if part.end == part.n:
        return f"the queries from number {part.begin + 1} of {part.n} on {took}, as if the system had become slower"
    return f"queries {part.begin + 1} to {part.end} of {part.n} {took}, as under a disturbance"
