"""Figures of one run with the interval that its queries leave, and the change between two runs. Pure numpy.

Neighbouring queries of a run are alike: a slow minute slows many of them. So the spread of a figure is never taken from
single queries. A run is cut into stretches of equal counts, in the order of completion, and the stretches say how much
the figure moves (batch means; Law, Simulation Modeling and Analysis, chapter 9.5.3).

Throughput. Each stretch has a time per query; the log of their mean has the interval of Student's t.

Percentiles. The share of queries below the percentile is a mean as well, so its spread comes from the stretches, too.
The interval is between the percentiles at that share less and more its half-width (Woodruff 1952).

A change. The two intervals are put together on the log scale as MOVER has it (Zou and Donner 2008): it needs no law
and takes intervals that are not symmetric. Of several earlier runs of one machine, the spread between the runs tells
what no single run can: how much it differs from day to day. The next run is held against their prediction interval.

Rates of error are simulated by `tests/benchmarks/simulate_compare.py`; its figures stand in docs/compare.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import atan, cos, exp, log, pi, sin, sqrt

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Stretches of a run: as many as this, fewer where a stretch would have fewer queries than `_LEAST_IN_STRETCH`.
_STRETCHES = 20
_FEWEST_STRETCHES = 6
_LEAST_IN_STRETCH = 4
#: A percentile's interval may not reach into the last queries on either side.
_LEAST_BEYOND = 2


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A figure above 0, with its interval; `n` queries are in it."""

    value: float
    low: float
    high: float
    n: int


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """`after` over `before`, with its interval: 1.12 of a latency is 12 % longer."""

    factor: float
    low: float
    high: float


def time_per_query(completed_s: Floats, began_s: float, in_flight: int, confidence: float) -> Estimate | None:
    """Return the seconds per completed query of a run; None where it is too short to tell how much they move.

    `completed_s` are when queries completed, shape (n,), in any order; `began_s` is the first issue. A stretch has at
    least as many queries as were in flight, since completions come in groups of these.
    """
    n = len(completed_s)
    stretches = _stretches(n, max(_LEAST_IN_STRETCH, in_flight))
    if not stretches:
        return None
    ends = np.concatenate(([began_s], np.sort(completed_s)[_edges(n, stretches)[1:] - 1]))
    counts = np.diff(_edges(n, stretches))
    pace = np.diff(ends) / counts
    value = float((ends[-1] - ends[0]) / n)
    if value <= 0:
        return None
    half = _student(stretches - 1, confidence) * float(pace.std(ddof=1)) / sqrt(stretches) / value
    return Estimate(value=value, low=value * exp(-half), high=value * exp(half), n=n)


def percentile(values: Floats, share: float, in_flight: int, confidence: float) -> Estimate | None:
    """Return a percentile of values above 0 in the order of completion, (n,); None where they are too few for one.

    `share` is 0.5 for the median.
    """
    n = len(values)
    stretches = _stretches(n, max(_LEAST_IN_STRETCH, in_flight))
    if not stretches:
        return None
    value = float(np.quantile(values, share))
    edges = _edges(n, stretches)
    below = np.add.reduceat((values <= value).astype(np.float64), edges[:-1]) / np.diff(edges)
    # Never narrower than independent queries would leave it: few stretches may look alike by chance.
    spread = max(float(below.std(ddof=1)) / sqrt(stretches), sqrt(share * (1 - share) / n))
    half = _student(stretches - 1, confidence) * spread
    if min(share - half, 1 - share - half) * n < _LEAST_BEYOND or value <= 0:
        return None
    low, high = (float(bound) for bound in np.quantile(values, (share - half, share + half)))
    return Estimate(value=value, low=low, high=high, n=n) if low > 0 else None


def change(before: Estimate, after: Estimate) -> Change:
    """Return how a figure changed between two runs, by their intervals."""
    centre = log(after.value / before.value)
    down = sqrt(log(after.value / after.low) ** 2 + log(before.high / before.value) ** 2)
    up = sqrt(log(after.high / after.value) ** 2 + log(before.value / before.low) ** 2)
    return Change(factor=exp(centre), low=exp(centre - down), high=exp(centre + up))


#: Below this many earlier runs their spread is not known well enough to be of use.
FEWEST_RUNS = 5


def of_runs(earlier: Sequence[float], confidence: float) -> Estimate | None:
    """Return what the next run's figure is held against: earlier runs' middle, and where a next one would lie.

    None below `FEWEST_RUNS`. The interval is the prediction interval of a normal law on the log scale.
    """
    n = len(earlier)
    if n < FEWEST_RUNS:
        return None
    logs = np.log(np.asarray(earlier))
    half = _student(n - 1, confidence) * float(logs.std(ddof=1)) * sqrt(1 + 1 / n)
    middle = float(logs.mean())
    return Estimate(value=exp(middle), low=exp(middle - half), high=exp(middle + half), n=n)


def wider(one: Estimate, other: Estimate) -> Estimate:
    """Return `one`'s value with an interval as wide as the wider of both is on each side."""
    return Estimate(
        value=one.value,
        low=one.value * min(one.low / one.value, other.low / other.value),
        high=one.value * max(one.high / one.value, other.high / other.value),
        n=one.n,
    )


def _stretches(n: int, least: int) -> int:
    """Return into how many stretches a run of `n` queries is cut, 0 where they would be too few."""
    stretches = min(_STRETCHES, n // least)
    return stretches if stretches >= _FEWEST_STRETCHES else 0


def _edges(n: int, stretches: int) -> NDArray[np.int64]:
    return np.asarray(np.linspace(0, n, stretches + 1).round(), dtype=np.int64)


@lru_cache
def _student(freedom: int, confidence: float) -> float:
    """Return Student's two-sided quantile, by halving, to nine digits."""
    low, high = 0.0, 1.0
    while _within(high, freedom) < confidence:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """Return the chance that Student's t lies between -t and t (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = atan(t / sqrt(freedom))
    odd, square = freedom % 2, cos(angle) ** 2
    term, total = (cos(angle), 0.0) if odd else (1.0, 0.0)
    for power in range(1 + odd, freedom, 2):
        total += term
        term *= square * power / (power + 1)
    return (angle + sin(angle) * total) * 2 / pi if odd else sin(angle) * total
