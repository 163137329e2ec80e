"""One comparison of queries by an exact test: within strata, in one stratum, in pairs, or by its leading run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from statistics import median

import numpy as np

from ....stats.ranks import (
    Effect,
    Floats,
    leading_run,
    least_u,
    paired_effect,
    signed_rank,
    stratified_effect,
    stratified_u,
)
from ..settings import Kind
from .evidence import Block, Measure, columns

#: What hits now and then are looked for in: all kinds of prompts together.
EVERYWHERE = "all prompts"

_Arms = Sequence[str]


@dataclass(frozen=True, eq=False)
class Contrast:
    """One comparison: `p` one-sided for "the first is faster", medians in seconds, `n` queries.

    `least_p` is the smallest p that so many queries can give. `steady` is false for hits now and then, whose effect is
    that of the hits alone. `lead` is how many times faster than the fastest of the slow the fastest was. `held_back`:
    no finding, since twins may cost more than what they are compared with.
    """

    kind: Kind
    of: str
    p: float
    least_p: float
    estimate: Callable[[], Effect]
    fast_s: float
    slow_s: float
    n: int
    steady: bool = True
    lead: float = 1.0
    held_back: bool = False

    @property
    def name(self) -> str:
        """A name that is unique in the family."""
        return f"{self.kind}[{self.of}]"

    @property
    def gain_s(self) -> float:
        """Difference of the medians in seconds, whichever is the faster."""
        return abs(self.slow_s - self.fast_s)

    @cached_property
    def effect(self) -> Effect:
        """The speed-up with its interval; most contrasts are never asked, since their p is large."""
        return self.estimate()


def within_strata(
    kind: Kind, of: str, blocks: Sequence[Block], fast: _Arms, slow: _Arms, measures: Sequence[Measure]
) -> Contrast:
    """Compare the arms `fast` with the arms `slow` within each block, by every measure."""
    return least_sure([u_test(kind, of, columns(blocks, fast, one), columns(blocks, slow, one)) for one in measures])


def in_one_stratum(
    kind: Kind, of: str, blocks: Sequence[Block], fast: _Arms, slow: _Arms, measures: Sequence[Measure]
) -> Contrast:
    """Compare all with all, since nothing but chance pairs them: their prompts differ."""
    tested = []
    for measure in measures:
        a, b = (columns(blocks, arms, measure).reshape(1, -1) for arms in (fast, slow))
        tested.append(u_test(kind, of, a, b))
    return least_sure(tested)


def u_test(kind: Kind, of: str, a: Floats, b: Floats) -> Contrast:
    """Compare logs of latency, shapes (strata, m) and (strata, n), by Mann-Whitney's U."""
    least_p, estimate = least_u(len(a), a.shape[1], b.shape[1]), partial(stratified_effect, a, b)
    lead = float(np.exp(b.min() - a.min()))
    return Contrast(kind, of, stratified_u(a, b), least_p, estimate, *medians_s(a, b), a.size + b.size, lead=lead)


def in_pairs(
    kind: Kind, of: str, blocks: Sequence[Block], arms: tuple[str, str], measures: Sequence[Measure]
) -> Contrast:
    """Compare two arms of one query each in every block, by every measure."""
    tested = []
    for measure in measures:
        a, b = (columns(blocks, (arm,), measure)[:, 0] for arm in arms)
        tested.append(pair(kind, of, a, b))
    return least_sure(tested)


def pair(kind: Kind, of: str, a: Floats, b: Floats) -> Contrast:
    """Compare logs of latency, shapes (pairs,), by Wilcoxon's signed rank."""
    estimate = partial(paired_effect, a, b)
    return Contrast(kind, of, signed_rank(a, b), 0.5 ** len(a), estimate, *medians_s(a, b), 2 * len(a))


def sporadic(sources: Sequence[Sequence[tuple[Floats, Floats]]]) -> Contrast:
    """Return the test for hits now and then (replicas, small caches), of all kinds of prompts together.

    Each kind is measured in its own median latency. That treats repeats and twins alike, so the test stays exact.
    """
    n_measures = max(map(len, sources))
    return least_sure([run([tested[min(at, len(tested) - 1)] for tested in sources]) for at in range(n_measures)])


def run(groups: Sequence[tuple[Floats, Floats]], of: str = EVERYWHERE) -> Contrast:
    """Compare by how many of the fastest queries of all are repeats; see `leading_run`."""
    usual = [median([*again.ravel().tolist(), *twins.ravel().tolist()]) for again, twins in groups]
    scaled = [(again - one, twins - one) for (again, twins), one in zip(groups, usual, strict=True)]
    p, n_hits = leading_run(scaled)
    again, twins = (sorted(np.concatenate([pair[side].ravel() for pair in scaled]).tolist()) for side in (0, 1))
    miss = median(twins)
    hit = median(again[:n_hits]) if n_hits else miss
    times, usual_s = float(np.exp(miss - hit)), float(np.exp(usual[0]))
    return Contrast(
        kind="response",
        of=of,
        p=p,
        least_p=float(np.prod([least_u(len(fast), fast.shape[1], slow.shape[1]) for fast, slow in groups])),
        estimate=lambda: Effect(times, 0.0, float("inf")),
        fast_s=float(np.exp(hit)) * usual_s,
        slow_s=float(np.exp(miss)) * usual_s,
        n=len(again) + len(twins),
        steady=False,
        lead=float(np.exp(twins[0] - again[0])),
    )


def least_sure(tested: Sequence[Contrast]) -> Contrast:
    """Return the contrast with the largest p, so that a finding needs every one of them; medians are in seconds."""
    least = max(tested, key=lambda contrast: contrast.p)
    return replace(least, fast_s=tested[0].fast_s, slow_s=tested[0].slow_s)


def medians_s(a: Floats, b: Floats) -> tuple[float, float]:
    """Return the medians of logs of seconds, in seconds."""
    return float(np.exp(median(a.ravel().tolist()))), float(np.exp(median(b.ravel().tolist())))
