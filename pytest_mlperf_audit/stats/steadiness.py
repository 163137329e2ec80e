"""Was a phase steady? Its one part that was slower than the rest, where chance does not explain it. Pure numpy.

Service times, in the order of issue, are exchangeable while a system is steady. They are cut into blocks, and of all
contiguous parts the one that, on the log scale, leaves the least variance within itself and within the rest is tested
against the rest by Mann-Whitney's U, exactly; p is multiplied by the number of parts among which was chosen. Parts at
an end (a warm-up, a system that became slower) have half of the error to themselves, as they are few.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from .ranks import stratified_u

#: Each query is its own block up to this many; more are averaged.
_BLOCKS: Final = 64
#: Fewer blocks than these are no part: of the slow one, and of the rest, which is what a verdict would rest on.
_FEWEST_SLOW: Final = 3
_FEWEST_REST: Final = 5
#: A steady phase is called unsteady with at most this chance, shared by parts at an end and others.
_ERROR: Final = 0.01
#: Standard errors between an estimate and its bound, which is no less than a third of it: service times that vary more
#: than that were attributed wrongly, and explain nothing.
_ERRORS: Final = 2.5
_LEAST_SHARE: Final = 1 / 3

Floats = NDArray[np.float64]


class SlowPart(msgspec.Struct, frozen=True):
    """Queries `begin` up to `end` in the order of issue, of `n`, took `factor` times as long as the rest.

    `rest` is the mean service time of the rest over that of all, `error` its relative standard error.
    """

    begin: int
    end: int
    n: int
    factor: float
    rest: float
    error: float

    @property
    def least(self) -> float:
        """What `rest` may be by chance: of a rest of six queries as well, with 95 % confidence (Student's t)."""
        return self.rest * max(_LEAST_SHARE, 1 - _ERRORS * self.error)


def slow_part(service_s: Floats) -> SlowPart | None:
    """Return the part that was slower than the rest, None where chance may explain what there is; shape (n,).

    Of a long phase the first queries are looked at one by one as well: it may have become slower early on.
    """
    n = service_s.size
    if n < _FEWEST_SLOW + _FEWEST_REST or service_s.min() <= 0.0:
        return None
    edges = np.linspace(0, n, min(n, _BLOCKS) + 1).round().astype(int)
    begin, end = _found(np.add.reduceat(service_s, edges[:-1]) / np.diff(edges)) or (0, 0)
    begin, end = int(edges[begin]), int(edges[end])
    if not end and n > _BLOCKS:
        begin, end = _found(service_s[:_BLOCKS]) or (0, 0)
        end = n if end == _BLOCKS else end
    return _part(service_s, begin, end) if end else None


def _part(service_s: Floats, begin: int, end: int) -> SlowPart:
    others_s = np.concatenate((service_s[:begin], service_s[end:]))
    rest_s = float(others_s.mean())
    return SlowPart(
        begin=begin,
        end=end,
        n=service_s.size,
        factor=float(service_s[begin:end].mean()) / rest_s,
        rest=rest_s / float(service_s.mean()),
        error=float(others_s.std(ddof=1)) / rest_s / sqrt(others_s.size),
    )


def _found(means: Floats) -> tuple[int, int] | None:
    """Return the blocks of the slow part, from and up to."""
    k = means.size
    begin, end = np.triu_indices(k + 1, 1)
    length = end - begin
    fits = (length >= _FEWEST_SLOW) & (k - length >= _FEWEST_REST)
    at_end = (begin == 0) | (end == k)
    within = (begin >= _FEWEST_SLOW) & (k - end >= _FEWEST_SLOW)
    logs = np.log(means)
    before = np.concatenate(([0.0], np.cumsum(logs - logs.mean())))
    height = (before[end] - before[begin]) / np.sqrt(length * np.maximum(k - length, 1))
    sure: list[tuple[float, int, int]] = []
    for chosen in (fits & at_end, fits & within):
        if not chosen.any():
            continue
        best = int(np.argmax(np.where(chosen, height, -np.inf)))
        i, j = int(begin[best]), int(end[best])
        p = stratified_u(np.concatenate((logs[:i], logs[j:]))[None, :], logs[None, i:j])
        if p * int(chosen.sum()) <= _ERROR / 2:
            sure.append((float(height[best]), i, j))
    return max(sure)[1:] if sure else None
