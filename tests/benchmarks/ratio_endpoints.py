"""Endpoints for simulate_ratio.py: all runs of a cell at once, each on its own clock. Times in mean service times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rng = np.random.Generator

#: What a hit takes, and what each further query of a batch adds to its time.
_HIT = 0.01
_PER_QUERY = 0.15
#: The correlation of one query's time with the next one's where they are `alike`.
_ALIKE = 0.9


def lognormal(rng: Rng, cv: float, shape: tuple[int, ...]) -> Floats:
    """Return factors of mean 1."""
    variance = np.log1p(cv * cv)
    return np.asarray(np.exp(rng.standard_normal(shape) * np.sqrt(variance) - variance / 2))


def _gamma(rng: Rng, cv: float, shape: tuple[int, ...]) -> Floats:
    return rng.gamma(1 / cv**2, cv**2, shape)


def _bimodal(rng: Rng, cv: float, shape: tuple[int, ...]) -> Floats:
    """One query in ten is slow."""
    gap = cv / 0.3
    slow = rng.random(shape) < 0.1
    return np.where(slow, 1 + 0.9 * gap, max(1 - 0.1 * gap, 0.02)) * lognormal(rng, 0.01, shape)


def _pareto(rng: Rng, cv: float, shape: tuple[int, ...]) -> Floats:
    """Lognormal, and one query in twenty slowed by 1 + Pareto(1.5): infinite variance."""
    slowed = 1 + rng.random(shape) ** (-1 / 1.5)
    return lognormal(rng, cv, shape) * np.where(rng.random(shape) < 0.05, slowed, 1.0)


LAWS: dict[str, Callable[[Rng, float, tuple[int, ...]], Floats]] = {
    "lognormal": lognormal,
    "gamma": _gamma,
    "bimodal": _bimodal,
    "pareto": _pareto,
}


class Stalls(NamedTuple):
    """A share of the queries, in runs of a mean length, is slower by a factor."""

    share: float = 0.0
    factor: float = 1.0
    length: float = 1.0


NO_STALLS = Stalls()


@dataclass(frozen=True)
class Model:
    """An endpoint, and how many queries are in flight. `cache`: "" for none; a repeat is `ratio` times as fast.

    "scale": every repeat is; "hits": a share of 1 - 1 / ratio of them takes a hundredth. `warm`: the first so many
    queries are so many times as slow. `drift`: the relative change of a query's time over the first pair, going on.
    `content`: the CV of what the data set's rows cost, one of which is repeated. `alike`: successive times are.
    """

    serves: Literal["lanes", "sharing", "batches"] = "lanes"
    law: str = "lognormal"
    cv: float = 0.3
    in_flight: int = 8
    lanes: int = 8
    n: int = 64
    cache: Literal["", "scale", "hits"] = ""
    ratio: float = 1.0
    warm: tuple[int, float] = (0, 1.0)
    drift: float = 0.0
    stalls: Stalls = NO_STALLS
    content: float = 0.0
    alike: bool = False

    @property
    def load(self) -> str:
        """Name how it is loaded."""
        many = "at once" if self.in_flight >= self.n else f"{self.in_flight} in flight"
        how = {"lanes": "{} lanes", "sharing": "work of {} shared", "batches": "batches of {}"}[self.serves]
        return f"{many}, {how.format(self.lanes)}"


class Endpoint:
    """All runs of a model. `now` and `sent` go on from block to block."""

    def __init__(self, model: Model, runs: int, rng: Rng) -> None:
        self.model, self.rng, self.sent = model, rng, 0
        self.runs = np.arange(runs)
        self._own = lognormal(rng, model.content, (runs,)) if model.content else np.ones(runs)
        self._stalled = rng.random(runs) < model.stalls.share
        self._level = rng.standard_normal(runs)

    def keep(self, index: NDArray[np.intp]) -> None:
        """Go on with some of the runs."""
        self.runs = np.arange(len(index))
        self._own, self._stalled, self._level = self._own[index], self._stalled[index], self._level[index]

    def serve(self, repeats: NDArray[np.bool_] | bool, size: int, *, twins: bool = True) -> tuple[Floats, Floats]:
        """Serve a block of one arm in every run; return its makespan and its pace.

        Not a repeat: a twin of the repeated row, which costs the same, or another row.
        """
        repeat = np.broadcast_to(np.asarray(repeats), self.runs.shape)
        work = self._work(repeat, size, twins=twins)
        loop = min(self.model.in_flight, size)
        done = {"lanes": _lanes, "sharing": _sharing, "batches": _batches}[self.model.serves](
            work, loop, self.model.lanes
        )
        self.sent += size
        # A query is issued at a completion, so the sum of latencies is that of the last `loop` completions.
        pace = np.partition(done, size - loop, axis=1)[:, size - loop :].sum(axis=1) / size
        return done.max(axis=1), pace

    def _work(self, repeat: NDArray[np.bool_], size: int, *, twins: bool) -> Floats:
        """Return what each query takes alone; shape (runs, size)."""
        model, rng = self.model, self.rng
        shape = (len(self.runs), size)
        work = self._alike(size) if model.alike else LAWS[model.law](rng, model.cv, shape)
        if model.content:
            of_others = self._own[:, None] if twins else lognormal(rng, model.content, shape)
            work *= np.where(repeat[:, None], self._own[:, None], of_others)
        if model.cache == "scale":
            work /= np.where(repeat, model.ratio, 1.0)[:, None]
        elif model.cache == "hits":
            hit = repeat[:, None] & (rng.random(shape) < 1 - 1 / model.ratio)
            work *= np.where(hit, _HIT, 1.0)
        index = self.sent + np.arange(size)
        drift = np.clip(1 + model.drift * index / (2 * model.n), 0.3, 3.0)
        work *= np.where(index < model.warm[0], drift * model.warm[1], drift)
        return work * self._stall_factors(size) if model.stalls.share else work

    def _stall_factors(self, size: int) -> Floats:
        share, factor, length = self.model.stalls
        factors = np.empty((len(self.runs), size))
        for at in range(size):
            draw = self.rng.random(len(self.runs))
            begins = draw < share / (1 - share) / length
            self._stalled = np.where(self._stalled, draw >= 1 / length, begins)
            factors[:, at] = np.where(self._stalled, factor, 1.0)
        return factors

    def _alike(self, size: int) -> Floats:
        """Return lognormal factors, an autoregression of the logarithms."""
        sigma = np.sqrt(np.log1p(self.model.cv**2))
        factors = np.empty((len(self.runs), size))
        for at in range(size):
            self._level = _ALIKE * self._level + np.sqrt(1 - _ALIKE**2) * self.rng.standard_normal(len(self.runs))
            factors[:, at] = np.exp(sigma * self._level - sigma**2 / 2)
        return factors


def _lanes(work: Floats, loop: int, lanes: int) -> Floats:
    """Return when each query is done: in order, on the lane that is free first."""
    runs, size = work.shape
    free, done, run = np.zeros((runs, min(lanes, loop))), np.empty((runs, size)), np.arange(runs)
    for query in range(size):
        lane = free.argmin(axis=1)
        free[run, lane] = done[:, query] = free[run, lane] + work[:, query]
    return done


def _sharing(work: Floats, loop: int, lanes: int) -> Floats:
    """Return when each query is done: all in flight are worked on, at the pace of so many lanes together."""
    runs, size = work.shape
    run, now = np.arange(runs), np.zeros(runs)
    left = work[:, :loop].copy()
    done = np.empty((runs, size))
    for finished in range(size):
        active = min(loop, size - finished)
        rate = min(1.0, lanes / active)
        first = left.argmin(axis=1)
        least = left[run, first]
        now = now + least / rate
        left -= least[:, None]
        done[:, finished] = now
        upcoming = finished + loop
        left[run, first] = work[:, upcoming] if upcoming < size else np.inf
    return done


def _batches(work: Floats, loop: int, lanes: int) -> Floats:
    """Return when each query is done: up to so many that wait are served together, which takes the mean of their work.

    Each further query of a batch adds a part of it; its clients ask again when the batch is done, behind who waits.
    """
    runs, size = work.shape
    now, done = np.zeros(runs), np.empty((runs, size))
    waiting, sent, served = loop, loop, 0
    while served < size:
        many = min(waiting, lanes)
        batch = work[:, served : served + many]
        now = now + batch.mean(axis=1) * (1 + _PER_QUERY * (many - 1))
        done[:, served : served + many] = now[:, None]
        served += many
        further = min(many, size - sent)
        waiting, sent = waiting - many + further, sent + further
    return done
