"""What load of a phase each of several workers has, and what all of them knew of themselves."""

from __future__ import annotations

from collections.abc import Iterable

from ...runs.phase import ClientState
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


def together(states: Iterable[ClientState | None]) -> ClientState | None:
    """Return what several clients knew of themselves as if of one: the worst of each, connections added up."""
    known = [state for state in states if state is not None]
    if not known:
        return None
    return ClientState(
        lag_p99_s=max(one.lag_p99_s for one in known),
        lag_max_s=max(one.lag_max_s for one in known),
        lag_mean_s=max(one.lag_mean_s for one in known),
        lag_samples=min(one.lag_samples for one in known),
        delay_share=max(one.delay_share for one in known),
        cpu_share=max(one.cpu_share for one in known),
        opened=sum(one.opened for one in known),
        reused=sum(one.reused for one in known),
        resent=sum(one.resent for one in known),
    )
