"""Charts of single values as SVG text: a value against its bounds, and how far each phase of a run came.

Labels of phases may come from outside; `key` keeps the ids of several charts on a page apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import ziaplot

from ..text import plain
from .canvas import BAD, INK, MUTED, PAPER, SERIES, Scale, dots, forbidden, graph, limit_line, linear_ticks, to_svg
from .clean import number

_MAX_ROWS = 12
_LABEL = 24


class Bound(msgspec.Struct, frozen=True):
    """A limit of a value, and on which side of it the value may not lie; None where nothing tells."""

    value: float
    label: str
    forbidden: Literal["below", "above"] | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far a phase came: shares (0 to 1) of its queries that completed and that failed, and that in words."""

    label: str
    completed: float
    failed: float
    words: str


def value_against_bounds(value: float, bounds: Sequence[Bound], name: str, *, good: bool, key: str = "") -> str:
    """Draw a value against its bounds, with what they forbid shaded; `name` says what was observed."""
    x = _scale([value, *(bound.value for bound in bounds)], name)
    with graph(x, Scale("", -0.5, 0.8, [0.0], [""]), 70) as drawn:
        for bound in bounds:
            if bound.forbidden:
                ends = (bound.value, x.high) if bound.forbidden == "above" else (x.low, bound.value)
                forbidden(drawn, ends, (-0.5, 0.8))
        for bound in bounds:
            limit_line(drawn, bound.value, bound.label, (-0.5, 0.8))
        drawn.add(dots([value], [0.0], SERIES[0] if good else BAD, "round" if good else "x", 4.5))
        drawn.add(_text(value, 0.0, number(value), _side(value, x), "-7"))
        return to_svg(drawn, "value", key)


def phase_progress(rows: Sequence[Progress], key: str = "") -> str | None:
    """Draw a bar for each phase: what completed of it, what failed, what is missing; None without a phase."""
    rows = rows[:_MAX_ROWS]
    if not rows:
        return None
    labels = [plain(row.label, _LABEL) for row in rows]
    y = Scale("", 0.4 - len(rows), 0.6, [-float(place) for place in range(len(rows))], labels)
    ticks = (0, 0.25, 0.5, 0.75, 1)
    x = Scale("", 0, 1.04, ticks, ("0 %", "25 %", "50 %", "75 %", "100 %"))
    with graph(x, y, 20 + 30 * len(rows)) as drawn:
        for place, row in enumerate(rows):
            _bar(drawn, 0.0, 1.0, -place, f"{MUTED} 16%")
            _bar(drawn, 0.0, row.completed, -place, SERIES[0])
            _bar(drawn, row.completed, row.failed, -place, BAD)
            drawn.add(_text(0.015, -place + 0.22, row.words, "left", "0"))
        return to_svg(drawn, "progress", key)


def _bar(drawn: ziaplot.Graph, start: float, width: float, y: float, colour: str) -> None:
    if width > 0:
        drawn.add(ziaplot.Rectangle(start, y - 0.3, width, 0.26).style(f"fill_color: {colour}; color: none"))


def _text(x: float, y: float, words: str, side: str, dy: str) -> ziaplot.Text:
    """Return words with paper about them, to be read on bars and lines."""
    text = ziaplot.Text(x, y, words, halign=side).color(INK)
    text.attribute("dy", dy).attribute("stroke", PAPER).attribute("stroke-width", "3")
    return text.attribute("paint-order", "stroke")


def _side(value: float, x: Scale) -> str:
    share = (value - x.low) / (x.high - x.low)
    return "left" if share < 0.08 else "right" if share > 0.92 else "center"


def _scale(values: Sequence[float], name: str) -> Scale:
    """From 0, unless all values lie close together and far from it."""
    low, high = min(values), max(values)
    span = high - low
    if 0 < span < low / 2:
        start, end = low - 0.6 * span, high + 0.6 * span
    else:
        start, end = min(0.0, low * 1.2), max(high * 1.2, 0.0)
        end = end if end > start else start + 1
        start -= (end - start) * (0.08 if low <= 0 else 0)  # room for the label of a limit at 0
    ticks = linear_ticks(start, end)
    return Scale(name, start, end, ticks, [f"{tick:,g}" for tick in ticks])
