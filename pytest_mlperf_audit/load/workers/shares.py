"""What load of a phase each of several workers has."""

from __future__ import annotations

from ...runs.spec import Concurrency, Load, MaxThroughput, Poisson, RunSpec
from ..pattern import wanted_by


def shares(spec: RunSpec, n_workers: int) -> list[Load]:
    """Return what load each worker has; of a schedule all have all, and take their own arrivals of it.

    One that would have no connection takes no part.
    """
    if isinstance(spec.load, Poisson):
        return [spec.load] * n_workers
    total = wanted_by(spec)
    n_workers = min(n_workers, total)
    sizes = [total // n_workers + (at < total % n_workers) for at in range(n_workers)]
    if isinstance(spec.load, Concurrency):
        return [Concurrency(target=size) for size in sizes]
    return [MaxThroughput(max_in_flight=size) for size in sizes]
