"""How fast a phase was: the figures that a comparison of runs is made of, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from ..stats.estimates import Estimate, percentile, time_per_query
from .columns import QueryColumns
from .spec import Concurrency, Load, MaxThroughput

_SHARES = {"p50": 0.50, "p90": 0.90, "p99": 0.99}
#: Stretches of a phase whose queries were all issued at once: nobody knows how many are served together.
_STRETCHES_AT_ONCE = 8


def served_together(load: Load, n: int, most: int) -> int:
    """Return how many of `n` queries may be served together, where at most `most` were in flight."""
    if isinstance(load, Concurrency):
        return load.target
    return ceil(n / _STRETCHES_AT_ONCE) if isinstance(load, MaxThroughput) else max(1, most)


def is_at_once(load: Load) -> bool:
    """Whether all queries are issued at once, so that latencies are times of waiting."""
    return isinstance(load, MaxThroughput)


def estimates(
    queries: QueryColumns, *, in_flight: int, metrics: Sequence[str], confidence: float
) -> dict[str, Estimate]:
    """Return the figures of a phase's completed queries that can be estimated, by their names."""
    timed = queries.timed()
    ok = timed.ok
    completed_ns, issued_ns, first_ns = timed.completed_ns[ok], timed.issued_ns[ok], timed.first_token_ns[ok]
    if not len(completed_ns):
        return {}
    order = np.argsort(completed_ns, kind="stable")
    streamed = order[first_ns[order] >= 0]
    first_token_s = (first_ns[streamed] - issued_ns[streamed]) / 1e9
    return estimates_of(
        issued_ns[order] / 1e9,
        completed_ns[order] / 1e9,
        first_token_s,
        in_flight=in_flight,
        metrics=metrics,
        confidence=confidence,
    )


def estimates_of(
    issued_s: NDArray[np.float64],
    completed_s: NDArray[np.float64],
    first_token_s: NDArray[np.float64],
    *,
    in_flight: int,
    metrics: Sequence[str],
    confidence: float,
) -> dict[str, Estimate]:
    """Return the figures of queries in the order of completion, shapes (n,), and (m,) for those streamed; seconds."""
    found: dict[str, Estimate | None] = {}
    values = {"latency": completed_s - issued_s, "ttft": first_token_s}
    for metric in metrics:
        of, _, share = metric.partition("_")
        if of == "throughput":
            found[metric] = time_per_query(completed_s, float(issued_s.min()), in_flight, confidence)
        else:
            found[metric] = percentile(values[of], _SHARES[share], in_flight, confidence)
    return {metric: estimate for metric, estimate in found.items() if estimate is not None}
