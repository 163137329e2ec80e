"""Charts of an audit as SVG text: latencies, completions over time, ratio against its limit, strips of a probe's arms.

Phases are named in the page's own legend. Only the labels of strips may come from outside. `key` keeps the ids of
several charts on a page apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..audits.verdict import Ratio
from ..text import plain
from .canvas import (
    BAD,
    GRID,
    INK,
    N_COLOURS,
    SERIES,
    STEPS,
    Floats,
    axes_of,
    fixed_ticks,
    linear_seconds,
    log_seconds,
    to_svg,
)
from .clean import apart
from .ratios import name

__all__ = (
    "MAX_SERIES",
    "N_COLOURS",
    "Floats",
    "Strip",
    "completions_over_time",
    "dash",
    "latency_distribution",
    "ratio_against_limit",
    "strips",
)

#: Points of one curve: x and y of equal length, both rising.
Curve = tuple[Floats, Floats]

MAX_SERIES = 12
MAX_STRIPS = 16
#: Share of a strip chart's width that its labels take.
_LABELS = 0.49
#: SVG dash patterns; with six colours they keep twelve series apart, in print and for any eyes.
DASHES = ("", "5 2", "1.5 1.5", "6 2 1.5 2")

_POINTS_IN_ALL = 1200
_LOG_ABOVE = 20
#: Dots of all strips of a chart together.
_DOTS_IN_ALL = 640
#: A strip chart spans at least this factor, so that a difference of nothing does not fill it.
_LEAST_SPAN = 5.0
_RATIO_TICKS = (0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 100_000, 1e6)


class Strip(msgspec.Struct, frozen=True):
    """Single durations of one kind of query; `marked` for the kind that a cache answers."""

    label: str
    seconds: Floats
    marked: bool = False


def dash(series: int) -> str:
    """Return the dash pattern of a series, as in SVG's stroke-dasharray."""
    return DASHES[(series + series // N_COLOURS) % len(DASHES)]


def latency_distribution(latencies_s: Sequence[Floats], key: str = "") -> str | None:
    """Draw the share of completed queries against latency, one step curve a phase; None when nothing completed."""
    curves = [_cumulative(np.sort(values), _points(latencies_s)) for values in latencies_s]
    shares = [(x, y / y[-1] * 100) if x.size else (x, y) for x, y in curves]
    if not (drawn := [x for x, _ in shares if x.size]):
        return None
    low, high = max(min(float(x[0]) for x in drawn), 1e-7), max(float(x[-1]) for x in drawn)
    with axes_of(f"latency {key}") as (figure, axes):
        if high / low > _LOG_ABOVE:
            log_seconds(axes, low, high)
        else:
            linear_seconds(axes, low, high, "latency")
        _steps(axes, ((np.append(x[:1], x), np.append(0.0, y)) if x.size else (x, y) for x, y in shares))
        axes.set_ylim(0, 104)
        axes.set_yticks((0, 25, 50, 75, 100), labels=("0", "25", "50", "75", "100 %"))
        return to_svg(figure, "latency")


def completions_over_time(completed_s: Sequence[Floats], key: str = "") -> str | None:
    """Draw completed queries against seconds since the phase's first issue; None when nothing completed."""
    curves = [_cumulative(np.sort(values), _points(completed_s)) for values in completed_s]
    if not (drawn := [curve for curve in curves if curve[0].size]):
        return None
    with axes_of(f"completions {key}") as (figure, axes):
        linear_seconds(axes, 0.0, max(float(x[-1]) for x, _ in drawn), "time since the first query")
        _steps(axes, ((np.append(0.0, x), np.append(0.0, y)) if x.size else (x, y) for x, y in curves))
        axes.set_ylim(0, max(float(y[-1]) for _, y in drawn) * 1.05)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, steps=(1, 2, 5, 10)))
        axes.yaxis.set_major_formatter(FuncFormatter(_count))
        return to_svg(figure, "completions")


def ratio_against_limit(ratios: Sequence[Ratio], key: str = "") -> str | None:
    """Draw each ratio, with its interval where there is one, against the limit; None when there is no ratio."""
    ratios = ratios[:MAX_SERIES]
    if not ratios:
        return None
    limit = ratios[0].limit
    with axes_of(f"ratio {key}", 0.75 + 0.28 * len(ratios), bottom_in=0.47, top_in=0.25) as (figure, axes):
        _ratio_scale(axes, [limit, *(value for ratio in ratios for value in (ratio.value, ratio.low, ratio.high))])
        axes.axvspan(limit, axes.get_xlim()[1], color=BAD, alpha=0.16, linewidth=0)
        axes.axvline(limit, color=BAD, linewidth=1.6)
        axes.annotate(
            f"limit {apart(ratios[0].value, limit)[1]}", (limit, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
            textcoords="offset points", ha="center", fontsize=9, color=INK,
        )  # fmt: skip
        for position, ratio in enumerate(ratios):
            _ratio_marker(axes, position, ratio)
        axes.set_ylim(len(ratios) - 0.4, -0.6)
        axes.set_yticks(range(len(ratios)), labels=[name(ratio) for ratio in ratios])
        axes.grid(visible=False, axis="y")
        return to_svg(figure, "ratio")


def strips(rows: Sequence[Strip], key: str = "") -> str | None:
    """Draw a row of dots for each kind of query, on a common logarithmic axis, with a bar at its median.

    None when nothing completed.
    """
    rows = [row for row in rows if row.seconds.size][:MAX_STRIPS]
    if not rows:
        return None
    low = max(min(float(row.seconds.min()) for row in rows), 1e-7)
    high = max(low, *(float(row.seconds.max()) for row in rows))
    margin = max(1.0, float(np.sqrt(_LEAST_SPAN * low / high)))
    with axes_of(f"strips {key}", 0.6 + 0.3 * len(rows), left=_LABELS) as (figure, axes):
        log_seconds(axes, low / margin, high * margin, most_ticks=4)
        for position, row in enumerate(rows):
            _strip(axes, position, row, max(24, _DOTS_IN_ALL // len(rows)))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        labels = [plain(row.label, 34).encode("ascii", "replace").decode() for row in rows]
        axes.set_yticks(range(len(rows)), labels=labels, parse_math=False)
        axes.grid(visible=False, axis="y")
        return to_svg(figure, "strips")


def _strip(axes: Axes, position: int, row: Strip, most: int) -> None:
    ordered = np.sort(row.seconds)
    kept = ordered[np.unique(np.linspace(0, ordered.size - 1, min(ordered.size, most)).astype(np.int64))]
    # Golden-ratio steps spread dots evenly over the strip's width, the same each time.
    across = (np.arange(kept.size) * 0.618034) % 1 * 0.5 - 0.25
    colour = SERIES[1] if row.marked else SERIES[0]
    axes.axhline(position, color=GRID, linewidth=0.8, zorder=0)
    axes.plot([float(np.median(ordered))] * 2, [position - 0.4, position + 0.4], color=INK, linewidth=1.8)
    axes.plot(kept, position + across, "o", color=colour, markersize=4, markeredgewidth=0, alpha=0.75)


def _ratio_marker(axes: Axes, position: int, ratio: Ratio) -> None:
    if ratio.low is not None and ratio.high is not None:
        axes.hlines(position, ratio.low, ratio.high, color=SERIES[0], linewidth=2)
    marker, colour = ("D", SERIES[0]) if ratio.passed else ("X", BAD)
    axes.plot([ratio.value], [position], marker, color=colour, markersize=8, clip_on=False)
    left = ratio.value > axes.transData.inverted().transform(axes.transAxes.transform((0.7, 0)))[0]
    axes.annotate(
        apart(ratio.value, ratio.limit)[0], (ratio.value, position), xytext=(-9 if left else 9, 0),
        textcoords="offset points", ha="right" if left else "left", va="center", fontsize=10, color=INK,
    )  # fmt: skip


def _ratio_scale(axes: Axes, values: Iterable[float | None]) -> None:
    """From 0 to beyond the largest; logarithmic where the largest would push the limit to the edge."""
    known = [value for value in values if value is not None and value > 0]
    low, high = min(known), max(known)
    axes.set_xlabel("throughput, repeated against distinct prompts", color=INK)
    if high <= 3:
        axes.set_xlim(0, high * 1.2)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=STEPS))
        return
    axes.set_xscale("log")
    axes.set_xlim(min(low, 1.0) / 2, high * 2)
    ticks = [tick for tick in _RATIO_TICKS if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
    fixed_ticks(axes, ticks, [f"{tick:,g}" for tick in ticks])


def _points(series: Sequence[object]) -> int:
    return max(48, _POINTS_IN_ALL // max(1, min(len(series), MAX_SERIES)) // 4)


def _cumulative(ordered: Floats, points: int) -> Curve:
    """Thin a sorted array to at most `points` values, and count how many lie at or below each."""
    kept = np.unique(np.linspace(0, ordered.size - 1, points).astype(np.int64)) if ordered.size else np.zeros(0, int)
    return ordered[kept], kept.astype(np.float64) + 1


def _steps(axes: Axes, curves: Iterable[Curve]) -> None:
    for index, (x, y) in enumerate(curves):
        if index < MAX_SERIES and x.size:
            pattern = tuple(float(part) for part in dash(index).split())
            style: Any = (0, pattern) if pattern else "solid"
            colour = SERIES[index % N_COLOURS]
            axes.plot(x, y, color=colour, linewidth=1.8, linestyle=style, drawstyle="steps-post")


def _count(value: float, _position: object) -> str:
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value:,.0f}"
