"""Latencies: their percentiles as they are, and LoadGen's early-stopping estimate of one.

Early stopping is a percentile estimate that holds with confidence 0.99 at finite query counts. Source:
mlcommons/inference `loadgen/early_stopping.cc` and `results.cc`, with c = 0.99 and d = 0. LoadGen searches h_min(t),
the least h with I_p(h, t + 1) < 1 - c, and takes the largest t with n >= h_min(t) + t. Since I_p(n - t, t + 1) is the
probability of at most t over-latency queries among n, and falls as n grows, that t is simply the largest with P(at
most t of n) < 1 - c.
"""

from __future__ import annotations

from math import exp, lgamma, log, log1p

import msgspec
import numpy as np
from numpy.typing import NDArray


class LatencySummary(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies in seconds; `cv` is the sample standard deviation over the mean, None below two values."""

    n: int
    mean_s: float
    min_s: float
    p50_s: float
    p90_s: float
    p99_s: float
    max_s: float
    cv: float | None


def summarize(latencies_s: NDArray[np.float64]) -> LatencySummary:
    """Summarize a non-empty one-dimensional array; percentiles interpolate linearly between order statistics.

    Raises ValueError when the array is empty, as nothing can be said then.
    """
    if latencies_s.size == 0:
        raise ValueError("no latencies to summarize")
    p50, p90, p99 = (float(value) for value in np.percentile(latencies_s, (50, 90, 99)))
    mean = float(latencies_s.mean())
    return LatencySummary(
        n=int(latencies_s.size),
        mean_s=mean,
        min_s=float(latencies_s.min()),
        p50_s=p50,
        p90_s=p90,
        p99_s=p99,
        max_s=float(latencies_s.max()),
        cv=float(latencies_s.std(ddof=1)) / mean if latencies_s.size > 1 and mean > 0 else None,
    )


_CONFIDENCE = 0.99

#: `queries_needed(0.90)`, at hand without the search: the least count for which SingleStream has a score.
P90_FLOOR = 64


def allowed_over_latency(n: int, percentile: float) -> int:
    """Return t, how many of `n` queries may exceed the estimate; 0 when `n` is too small for any estimate.

    `percentile` is in (0, 1).
    """
    low, high = 0, n
    while high - low > 1:
        t = (low + high) // 2
        if _at_most(t, n, 1 - percentile) < 1 - _CONFIDENCE:
            low = t
        else:
            high = t
    return low


def _at_most(t: int, n: int, odds: float) -> float:
    """Return the probability of at most `t` over-latency queries among `n`; from the mean on 1, as it is above 0.25.

    The terms of the binomial sum from the t-th down, each the one before it times a ratio that is below 1.
    """
    if t >= n * odds:
        return 1.0
    log_last = lgamma(n + 1) - lgamma(t + 1) - lgamma(n - t + 1) + t * log(odds) + (n - t) * log1p(-odds)
    k = np.arange(t, 0, -1)
    ratios = k * ((1 - odds) / odds) / (n - k + 1)
    return exp(log_last) * (1.0 + float(np.cumprod(ratios).sum()))


def queries_needed(percentile: float) -> int:
    """Return the least query count that gives an estimate: 64 for 0.90, 662 for 0.99."""
    n = 2
    while not allowed_over_latency(n, percentile):
        n *= 2
    low, high = n // 2, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if allowed_over_latency(middle, percentile) else (middle, high)
    return high


def percentile_estimate(latencies_s: NDArray[np.float64], percentile: float) -> float | None:
    """Return LoadGen's early-stopping estimate of a latency percentile, in the unit given; None if too few queries."""
    n = latencies_s.size
    if n < 2 or not (t := allowed_over_latency(n, percentile)):
        return None
    return float(np.partition(latencies_s, n - t)[n - t])
