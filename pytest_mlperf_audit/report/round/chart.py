"""How the ratios of a round are distributed about 1 and their limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import ziaplot

from ..canvas import MUTED, SERIES, Scale, count_scale, graph, limit_line, to_svg

#: The limits that MLPerf sets on a ratio, of the tests that have one: 10 %, and 20 % for SingleStream and MultiStream.
LIMITS: Final = {"test04": (1.1, 1.2), "test01": (0.9, 1.1)}

_LOW, _HIGH, _STEP = 0.5, 1.5, 0.025


def ratios_histogram(ratios: Sequence[float], limits: Sequence[float], key: str) -> str | None:
    """Draw how many ratios fall where, those beyond the ends gathered in the last bars; None without any."""
    if not ratios:
        return None
    edges = np.arange(_LOW - _STEP, _HIGH + _STEP * 1.5, _STEP)
    middle = np.clip(np.asarray(ratios), edges[0] + _STEP / 2, edges[-1] - _STEP / 2)
    counts = [int(count) for count in np.histogram(middle, bins=edges)[0]]
    labels = ("≤ 0.5", "0.75", "1", "1.25", "≥ 1.5")
    x = Scale("audit score / reference score", float(edges[0]), float(edges[-1]), (0.5, 0.75, 1, 1.25, 1.5), labels)
    y = count_scale("audits", max(counts) * 1.05)
    with graph(x, y, 158) as drawn:
        drawn.add(ziaplot.Bars(list(edges[:-1]), counts, width=_STEP, align="left").color(SERIES[0]))
        for limit in limits:
            limit_line(drawn, limit, f"{limit:g}", (y.low, y.high))
        drawn.add(ziaplot.Segment((1, y.low), (1, y.high)).color(MUTED).strokewidth(0.8).stroke("dashed"))
        return to_svg(drawn, "ratios", key)
