"""In which order a phase draws rows of the data set.

One small class per order, so that the load engine needs no audit's name to know what to send.
`msgspec` tags make each readable in phase.json: {"kind": "single", "index": 3}.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec


class WithoutReplacement(msgspec.Struct, frozen=True, tag_field="kind", tag="without_replacement"):
    """Every row once, shuffled by `seed`; with `wrap`, shuffled anew and again, else the order ends."""

    seed: int
    wrap: bool = False

    def indices(self, size: int) -> Iterator[int]:
        """Yield row indices of a data set of `size` rows."""
        rng = random.Random(self.seed)  # noqa: S311 - a reproducible order, not a secret
        yield from rng.sample(range(size), size)
        while self.wrap and size:
            yield from rng.sample(range(size), size)


class WithReplacement(msgspec.Struct, frozen=True, tag_field="kind", tag="with_replacement"):
    """Independent uniform draws by `seed`, without end."""

    seed: int

    def indices(self, size: int) -> Iterator[int]:
        """Yield row indices of a data set of `size` rows."""
        rng = random.Random(self.seed)  # noqa: S311 - a reproducible order, not a secret
        while True:
            yield rng.randrange(size)


class Single(msgspec.Struct, frozen=True, tag_field="kind", tag="single"):
    """The same row again and again (LoadGen's performance_issue_same_index)."""

    index: int

    def indices(self, size: int) -> Iterator[int]:
        """Yield `index` without end; IndexError when the data set has no such row."""
        if not 0 <= self.index < size:
            raise IndexError(f"row {self.index} of a data set of {size} rows")
        return itertools.repeat(self.index)


class InTurn(msgspec.Struct, frozen=True, tag_field="kind", tag="in_turn"):
    """A few rows, one after the other, again and again."""

    rows: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)]

    def indices(self, size: int) -> Iterator[int]:
        """Yield the rows in turn without end; IndexError when the data set has one of them not."""
        for row in self.rows:
            if not 0 <= row < size:
                raise IndexError(f"row {row} of a data set of {size} rows")
        return itertools.cycle(self.rows)


class Sequential(msgspec.Struct, frozen=True, tag_field="kind", tag="sequential"):
    """Rows as they stand in the data set; with `wrap`, from the top again and again."""

    wrap: bool = False

    def indices(self, size: int) -> Iterator[int]:
        """Yield row indices of a data set of `size` rows."""
        return itertools.cycle(range(size)) if self.wrap else iter(range(size))


class Scripted(msgspec.Struct, frozen=True, tag_field="kind", tag="scripted"):
    """No order of rows: a script (see `runs.script`) says what is sent; it needs at least `at_least` queries.

    `parameters` are what the script was planned with, as plain values: whoever judges its records needs them, too.
    """

    at_least: int = 0
    parameters: dict[str, Any] = {}


SampleOrder = WithoutReplacement | WithReplacement | Single | InTurn | Sequential


def order_length(order: SampleOrder, size: int) -> int | None:
    """Return how many rows an order draws from a data set of `size` rows; None where it has no end."""
    ends = isinstance(order, WithoutReplacement | Sequential) and not (order.wrap and size)
    return size if ends else None


def without_replacement(seed: int, *, wrap: bool = False) -> WithoutReplacement:
    """Order of distinct rows, as an MLPerf reference run draws them."""
    return WithoutReplacement(seed=seed, wrap=wrap)


def with_replacement(seed: int) -> WithReplacement:
    """Order of independent draws."""
    return WithReplacement(seed=seed)


def single(index: int) -> Single:
    """Order that repeats one row."""
    return Single(index=index)


def in_turn(rows: Iterable[int]) -> InTurn:
    """Order that repeats a few rows in turn."""
    return InTurn(rows=tuple(rows))


def sequential(*, wrap: bool = False) -> Sequential:
    """Order of the file."""
    return Sequential(wrap=wrap)
