"""How the ratios of a round are distributed about 1 and their limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.ticker import MaxNLocator

from ..canvas import BAD, INK, MUTED, SERIES, axes_of, to_svg

#: The limits that MLPerf sets on a ratio, of the tests that have one: 10 %, and 20 % for SingleStream and MultiStream.
LIMITS: Final = {"test04": (1.1, 1.2), "test01": (0.9, 1.1)}

_LOW, _HIGH, _STEP = 0.5, 1.5, 0.025


def ratios_histogram(ratios: Sequence[float], limits: Sequence[float], key: str) -> str | None:
    """Draw how many ratios fall where, those beyond the ends gathered in the last bars; None without any."""
    if not ratios:
        return None
    edges = np.arange(_LOW - _STEP, _HIGH + _STEP * 1.5, _STEP)
    middle = np.clip(np.asarray(ratios), edges[0] + _STEP / 2, edges[-1] - _STEP / 2)
    with axes_of(f"ratios {key}", 2.2, top_in=0.25) as (figure, axes):
        axes.hist(middle, bins=list(edges), color=SERIES[0])
        for limit in limits:
            axes.axvline(limit, color=BAD, linewidth=1.2)
            axes.annotate(
                f"{limit:g}", (limit, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
                textcoords="offset points", ha="center", fontsize=9, color=INK,
            )  # fmt: skip
        axes.axvline(1, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.grid(visible=False, axis="x")
        ticks = [0.5, 0.75, 1, 1.25, 1.5]
        axes.set_xticks(ticks, labels=["≤ 0.5", "0.75", "1", "1.25", "≥ 1.5"])
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel("audit score / reference score", color=INK)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        return to_svg(figure, "ratios")
