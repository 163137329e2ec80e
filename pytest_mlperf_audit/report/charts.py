"""Charts of an audit as SVG text: latencies, completions over time, ratio against its limit, strips of a probe's arms.

Phases are named in the page's own legend. Only the labels of strips may come from outside. `key` keeps the ids of
several charts on a page apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
import ziaplot

from ..audits.verdict import Ratio
from ..text import plain
from .canvas import (
    BAD,
    INK,
    N_COLOURS,
    PAPER,
    SERIES,
    Floats,
    Scale,
    count_scale,
    dots,
    forbidden,
    graph,
    limit_line,
    linear_seconds,
    linear_ticks,
    log_seconds,
    log_ticks,
    steps,
    to_svg,
)
from .clean import apart
from .ratios import bounds, name

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
_Curve = tuple[Floats, Floats]

MAX_SERIES = 12
_MAX_STRIPS = 16
#: Longest label of a strip, in characters of Latin text; others are twice as wide.
_LABEL = 34
#: SVG dash patterns; with six colours they keep twelve series apart, in print and for any eyes.
DASHES = ("", "5 2", "1.5 1.5", "6 2 1.5 2")

_POINTS_IN_ALL = 1200
_LOG_ABOVE = 20
#: Dots of all strips of a chart together.
_DOTS_IN_ALL = 640
#: A strip chart spans at least this factor, so that a difference of nothing does not fill it.
_LEAST_SPAN = 5.0


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
    if not (drawn := [x for x, _ in curves if x.size]):
        return None
    low = max(min(float(x[0]) for x in drawn), 1e-7)
    high = max(low, *(float(x[-1]) for x in drawn))
    across = log_seconds(low, high) if high / low > _LOG_ABOVE else linear_seconds(low, high, "latency")
    share = Scale("completed queries", 0, 104, (0, 25, 50, 75, 100), ("0 %", "25 %", "50 %", "75 %", "100 %"))
    shares = [(np.append(x[:1], x), np.append(0.0, y / y[-1] * 100)) if x.size else (x, y) for x, y in curves]
    return _curves(across, share, shares, "latency", key)


def completions_over_time(completed_s: Sequence[Floats], key: str = "") -> str | None:
    """Draw completed queries against seconds since the phase's first issue; None when nothing completed."""
    curves = [_cumulative(np.sort(values), _points(completed_s)) for values in completed_s]
    if not (drawn := [curve for curve in curves if curve[0].size]):
        return None
    time = linear_seconds(0.0, max(float(x[-1]) for x, _ in drawn), "time since the first query")
    count = count_scale("completed queries", max(float(y[-1]) for _, y in drawn) * 1.05)
    from_zero = [(np.append(0.0, x), np.append(0.0, y)) if x.size else (x, y) for x, y in curves]
    return _curves(time, count, from_zero, "completions", key)


def ratio_against_limit(ratios: Sequence[Ratio], key: str = "") -> str | None:
    """Draw each ratio, with its interval where there is one, against the limit; None when there is no ratio."""
    ratios = ratios[:MAX_SERIES]
    if not ratios:
        return None
    limit = ratios[0].limit
    x = _ratio_scale([limit, *(value for ratio in ratios for value in (ratio.decisive, *bounds(ratio)))])
    y = _rows([name(ratio) for ratio in ratios], above=0.8)
    at, end = x.place((limit, x.high))
    with graph(x, y, 54 + 24 * len(ratios)) as drawn:
        forbidden(drawn, (at, end), (y.low, y.high))
        limit_line(drawn, at, f"limit {apart(ratios[0].decisive, limit)[1]}", (y.low, y.high))
        for position, ratio in enumerate(ratios):
            _ratio_marker(drawn, x, -position, ratio)
        return to_svg(drawn, "ratio", key)


def strips(rows: Sequence[Strip], key: str = "") -> str | None:
    """Draw a row of dots for each kind of query, on a common logarithmic axis, with a bar at its median.

    None when nothing completed.
    """
    rows = [row for row in rows if row.seconds.size][:_MAX_STRIPS]
    if not rows:
        return None
    low = max(min(float(row.seconds.min()) for row in rows), 1e-7)
    high = max(low, *(float(row.seconds.max()) for row in rows))
    margin = max(1.0, float(np.sqrt(_LEAST_SPAN * low / high)))
    x = log_seconds(low / margin, high * margin, most_ticks=4)
    y = _rows([plain(row.label, _LABEL if row.label.isascii() else _LABEL // 2) for row in rows])
    with graph(x, y, 50 + 22 * len(rows)) as drawn:
        for position, row in enumerate(rows):
            _strip(drawn, x, -position, row, max(24, _DOTS_IN_ALL // len(rows)))
        return to_svg(drawn, "strips", key)


def _rows(labels: Sequence[str], above: float = 0.5) -> Scale:
    """Return a scale of rows from top to bottom, at 0, -1, -2 and so on, with room above the first."""
    return Scale("", 0.5 - len(labels), above, [-float(row) for row in range(len(labels))], labels)


def _strip(drawn: ziaplot.Graph, x: Scale, y: float, row: Strip, most: int) -> None:
    ordered = np.sort(row.seconds)
    kept = ordered[np.unique(np.linspace(0, ordered.size - 1, min(ordered.size, most)).astype(np.int64))]
    # Golden-ratio steps spread dots evenly over the strip's width, the same each time.
    across = (np.arange(kept.size) * 0.618034) % 1 * 0.5 - 0.25
    (median,) = x.place([float(np.median(ordered))])
    drawn.add(ziaplot.Segment((median, y - 0.4), (median, y + 0.4)).color(INK).strokewidth(1.8))
    drawn.add(dots(x.place(kept), list(y + across), f"{SERIES[row.marked]} 75%"))


def _ratio_marker(drawn: ziaplot.Graph, x: Scale, y: float, ratio: Ratio) -> None:
    """Draw a ratio: its interval with ends, its mark (a cross where it fails), its number above both."""
    (value,) = x.place([ratio.decisive])
    low_end, high_end = bounds(ratio)
    if low_end is not None and high_end is not None:
        ends = x.place((low_end, high_end))
        drawn.add(ziaplot.PolyLine(ends, [y, y]).marker("|", 4).color(SERIES[0]).strokewidth(2))
    mark, colour = ("round", SERIES[0]) if ratio.passed else ("x", BAD)
    drawn.add(dots([value], [y], colour, mark, 4.5))
    low, high = x.place((x.low, x.high))
    share = (value - low) / (high - low)
    side = "left" if share < 0.08 else "right" if share > 0.92 else "center"
    number = ziaplot.Text(value, y, apart(ratio.decisive, ratio.limit)[0], halign=side).color(INK)
    number.attribute("dy", "-7").attribute("stroke", PAPER).attribute("stroke-width", "3")
    drawn.add(number.attribute("paint-order", "stroke"))  # with paper about it, where the limit's line runs


def _ratio_scale(values: Iterable[float | None]) -> Scale:
    """From 0 to beyond the largest; logarithmic where the largest would push the limit to the edge."""
    known = [value for value in values if value is not None and value > 0]
    low, high = min(known), max(known)
    log = high > 3
    low, high = (min(low, 1.0) / 2, high * 2) if log else (0.0, high * 1.2)
    ticks = log_ticks(low, high, 9) if log else linear_ticks(low, high)
    labels = [f"{tick:,g}" for tick in ticks]
    return Scale("throughput, repeated against distinct inputs", low, high, ticks, labels, log)


def _points(series: Sequence[object]) -> int:
    return max(48, _POINTS_IN_ALL // max(1, min(len(series), MAX_SERIES)) // 4)


def _cumulative(ordered: Floats, points: int) -> _Curve:
    """Thin a sorted array to at most `points` values, and count how many lie at or below each."""
    kept = np.unique(np.linspace(0, ordered.size - 1, points).astype(np.int64)) if ordered.size else np.zeros(0, int)
    return ordered[kept], kept.astype(np.float64) + 1


def _curves(x: Scale, y: Scale, curves: Iterable[_Curve], kind: str, key: str) -> str:
    with graph(x, y, 180) as drawn:
        for index, (across, up) in enumerate(curves):
            if index < MAX_SERIES and across.size:
                curve = steps(x.place(across), y.place(up)).color(SERIES[index % N_COLOURS]).strokewidth(1.8)
                drawn.add(curve.attribute("stroke-dasharray", dash(index) or "none"))
        return to_svg(drawn, kind, key)
