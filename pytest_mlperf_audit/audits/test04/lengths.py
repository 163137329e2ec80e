"""Whether a ratio may be one of lengths: a repeated row, or its reply, may be shorter than those of its twins.

Twins have as many words as the row; they may be some tokens longer to read, and a model may answer them at another
length. An honest model's time a query then lies between "the same for all", "the same for each token read" and "the
same for each token written". So a speed-up is sure only where it shows by all three, and excluded where by none.
"""

from __future__ import annotations

from math import sqrt
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...runs.phase import MeasuredPhase
from .reference import may_differ_in_length

#: Mean lengths are taken as so many standard errors to the favour of the system.
_STANDARD_ERRORS: Final = 3.0


#: A phase of more queries is not read from disk once more for the tokens of its prompts.
_MOST_READ: Final = 100_000


class Lengths(NamedTuple):
    """Mean tokens of the repeats over those of their twins: `read`, `written`; and the least of either in truth.

    Prompts whose tokens nobody has counted are as long as their words say.
    """

    read: float
    written: float
    least: float

    @property
    def most(self) -> float:
        """What a ratio is at most, in queries or in tokens."""
        return max(1.0, self.read, self.written)


def lengths(reference: MeasuredPhase, run: MeasuredPhase) -> Lengths | None:
    """Return how long the repeats and their replies are beside their twins'.

    None where replies do not say, where they have no length, or where rows are the reference, as MLPerf has it.
    """
    if not may_differ_in_length(reference.spec):
        return None
    twins, repeats = _written(reference), _written(run)
    if twins is None or repeats is None:
        return None
    least = max(0.0, repeats.mean() - _STANDARD_ERRORS * _standard_error(repeats))
    most = twins.mean() + _STANDARD_ERRORS * _standard_error(twins)
    prompts = _read(run), _read(reference)
    read = prompts[0] / prompts[1] if prompts[0] and prompts[1] else 1.0
    return Lengths(read, float(repeats.mean() / twins.mean()), min(1.0, read, float(least / most)))


def _written(run: MeasuredPhase) -> NDArray[np.int64] | None:
    queries = run.queries
    tokens = queries.tokens[queries.ok]
    return tokens if len(tokens) and (tokens > 0).all() else None


def _standard_error(tokens: NDArray[np.int64]) -> float:
    return float(tokens.std(ddof=1)) / sqrt(len(tokens)) if len(tokens) > 1 else 0.0


def _read(run: MeasuredPhase) -> float | None:
    """Return the mean tokens of a phase's prompts, None where the endpoint has not counted them all."""
    if run.figures.n_issued > _MOST_READ:
        return None
    counts = [record.prompt_tokens for record in run.read() if record.ok]
    known = [count for count in counts if count]
    return sum(known) / len(known) if known and len(known) == len(counts) else None


def may_explain(reference: MeasuredPhase, run: MeasuredPhase, ratio: float, limit: float) -> str:
    """Return how lengths alone may be what a ratio is over `limit` by, "" where they surely are not."""
    found = lengths(reference, run)
    return _words(found, ratio * found.least) if found and ratio * found.least < limit else ""


def may_hide(reference: MeasuredPhase, run: MeasuredPhase, ratio: float, limit: float) -> str:
    """Return how lengths may hide that repeats are faster than `limit`, "" where they do not."""
    found = lengths(reference, run)
    return _words(found, ratio * found.most) if found and ratio * found.most >= limit else ""


def _words(found: Lengths, by_tokens: float) -> str:
    return (
        f"in tokens the ratio may be {by_tokens:.4g}, since the repeats have {found.read:.3g} times as many to read as "
        f"their twins, and their replies {found.written:.3g} times as many"
    )
