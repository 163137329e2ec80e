"""Summary of a set of latencies."""

from __future__ import annotations

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
