"""The regions of a curve: which concurrencies are ultra low, low, medium and high.

Rules: endpoints_rules.md 5.4 and 5.5. The lowest point, 32 at most, is C_min; C_max is declared. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, log2
from typing import Final, NamedTuple

#: The ultra low region ends here, whatever the curve.
ULTRA_LOW: Final = 32
#: Points above C_max, up to this share of it, may be added later.
_MARGIN: Final = 1.10


class Region(NamedTuple):
    """Concurrencies from `start` to `end`, both included; none where rounding leaves no room."""

    name: str
    start: int
    end: int

    def __contains__(self, concurrency: object) -> bool:
        return isinstance(concurrency, int) and self.start <= concurrency <= self.end

    def __str__(self) -> str:
        return f"{self.name} ({self.start} to {self.end})"


class Regions(NamedTuple):
    """The regions that need a point each, and the margin above them, which needs none."""

    ultra_low: Region
    low: Region
    medium: Region
    high: Region
    margin: Region

    @property
    def required(self) -> tuple[Region, ...]:
        """Those in which a curve has at least one point."""
        return self.ultra_low, self.low, self.medium, self.high

    def known(self, concurrency: int) -> bool:
        """Whether a point may lie here."""
        return 1 <= concurrency <= self.margin.end


def regions_of(c_max: int, concurrencies: Iterable[int], c_min: int | None = None) -> Regions:
    """Return the regions of a curve; `c_min` where the submission declares it. Raises ValueError for a C_max of 32.

    Boundaries are rounded half to even, as the rules' own algorithm rounds them.
    """
    if c_max <= ULTRA_LOW:
        raise ValueError(f"C_max has to be above {ULTRA_LOW}")
    declared = c_min is not None
    low = min(c_min if c_min is not None else min(concurrencies), ULTRA_LOW)
    step = log2(c_max - low) / 3
    low_end, medium_end = round(low + 2**step), round(low + 2 ** (2 * step))
    return Regions(
        Region("ultra low", 1, low if declared else ULTRA_LOW),
        Region("low", low + 1, low_end),
        Region("medium", low_end + 1, medium_end),
        Region("high", medium_end + 1, c_max),
        Region("margin", c_max + 1, ceil(_MARGIN * c_max)),
    )
