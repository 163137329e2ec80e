"""What every chart is drawn on: a graph of ziaplot with our scales, and its SVG as a page wants it.

Colours are CSS variables of the page, so that one drawing serves light, dark and paper; text has the page's font.
"""

from __future__ import annotations

import hashlib
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
import numpy as np
import ziaplot
from numpy.typing import NDArray
from ziaplot.diagrams.graph import getticks
from ziaplot.style.themes import zptheme
from ziaplot.text import text_size

Floats = NDArray[np.float64]

N_COLOURS = 6
INK, MUTED, GRID, BAD, PAPER = "var(--ink)", "var(--muted)", "var(--grid)", "var(--bad)", "var(--bg)"
SERIES = tuple(f"var(--series-{index})" for index in range(N_COLOURS))

#: A chart's width, and the sizes of its labels and of its axes' names, in units of the SVG; a page scales all of it.
_WIDTH, _TEXT, _NAME = 331, 9, 10
#: Room for half the label of a tick at either end, for a limit's label above, and between ticks and an axis's name.
_SIDE, _ABOVE, _GAP = 12, 12, 3
_STYLE = f"""
    Canvas {{ color: none }}
    Graph {{ color: none; edge_color: {MUTED}; edge_width: 1 }}
    Graph.GridX {{ color: {GRID}; stroke: -; stroke_width: 0.8 }}
    Graph.GridY {{ color: {GRID}; stroke: -; stroke_width: 0.8 }}
    Graph.TickX {{ color: {INK}; font: inherit; font_size: {_TEXT}; height: 3; stroke_width: 1; margin: 3; pad: 0 }}
    Graph.TickY {{ color: {INK}; font: inherit; font_size: {_TEXT}; height: 3; stroke_width: 1; margin: 3; pad: 0 }}
    Graph.XName {{ color: {INK}; font: inherit; font_size: {_NAME} }}
    Graph.YName {{ color: {INK}; font: inherit; font_size: {_NAME} }}
    Text {{ font: inherit; font_size: {_TEXT} }}
    Scatter {{ edge_color: none; edge_width: 0 }}
    Bars {{ edge_color: none; edge_width: 0 }}
"""
_UNITS = ((60e0, 60e0, "min"), (1e0, 1e0, "s"), (1e-3, 1e-3, "ms"), (0.0, 1e-6, "µs"))


class Scale(msgspec.Struct, frozen=True):
    """An axis: what it measures, its ends, its ticks and their labels; `log` for a logarithmic one."""

    name: str
    low: float
    high: float
    ticks: Sequence[float]
    labels: Sequence[str]
    log: bool = False

    def place(self, values: Floats | Sequence[float]) -> list[float]:
        """Return where values lie on the graph; on a logarithmic scale those below its low end at that end."""
        return [float(value) for value in (np.log10(np.maximum(values, self.low)) if self.log else values)]


@contextmanager
def graph(x: Scale, y: Scale, height: float) -> Iterator[ziaplot.Graph]:
    """Yield a graph with these axes, `height` units high, under our own settings whatever else uses ziaplot here."""
    config = ziaplot.config
    settings = config.text, config.precision, zptheme.theme, zptheme.usercss
    config.text, config.precision = "text", 2
    ziaplot.theme("lobo")
    ziaplot.css("")
    try:
        drawn = ziaplot.Graph().css(_STYLE).size(_WIDTH - _SIDE - _left(y.labels), height)
        drawn.axesnames(x.name or None, y.name or None).legend("none")
        drawn.xrange(*x.place((x.low, x.high))).xticks(x.place(x.ticks), list(x.labels))
        drawn.yrange(*y.place((y.low, y.high))).yticks(y.place(y.ticks), list(y.labels))
        if not any(y.labels):
            drawn.noyticks()
        yield drawn
    finally:
        config.text, config.precision, zptheme.theme, zptheme.usercss = settings


def to_svg(drawn: ziaplot.Graph, name: str, key: str) -> str:
    """Return a graph as an <svg> element without a size; `name` and `key` keep its ids apart from others'."""
    with warnings.catch_warnings():
        # ziaplot asks for an element's children by its truth value; a session with -W error would end on it.
        warnings.simplefilter("ignore", DeprecationWarning)
        svg = drawn.svgxml()
    width, height = float(svg.attrib.pop("width")), float(svg.attrib.pop("height"))
    left = width + _SIDE - _WIDTH
    svg.set("viewBox", f"{left:g} {-_ABOVE} {_WIDTH} {height + _ABOVE + _GAP:g}")
    for axis in svg.iterfind(f"text[@font-size='{_NAME}']"):
        axis.set("dy", str(-_GAP if "transform" in axis.attrib else _GAP))
    svg.set("class", f"chart {name}")
    prefix = f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    for element in svg.iter():
        for attribute, value in element.items():
            if attribute == "id":
                element.set(attribute, f"{prefix}-{value}")
            elif value.startswith("url(#"):
                element.set(attribute, f"url(#{prefix}-{value[5:]}")
    return ET.tostring(svg, encoding="unicode")


def steps(x: Sequence[float], y: Sequence[float]) -> ziaplot.PolyLine:
    """Return a curve that keeps each value until the next."""
    return ziaplot.PolyLine([*np.repeat(x, 2)[1:], x[-1]], list(np.repeat(y, 2)))


def dots(
    x: Sequence[float], y: Sequence[float], colour: str, shape: str = "round", radius: float = 2
) -> ziaplot.Scatter:
    """Return marks; a single one is there twice, since a path of one point is not drawn."""
    twice = 2 if len(x) == 1 else 1
    return ziaplot.Scatter([*x] * twice, [*y] * twice).marker(shape, radius).color(colour)


def forbidden(drawn: ziaplot.Graph, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Shade what a limit forbids, between two places on each axis."""
    shade = ziaplot.Rectangle(x[0], y[0], x[1] - x[0], y[1] - y[0])
    drawn.add(shade.style(f"fill_color: {BAD} 16%; color: none"))


def limit_line(drawn: ziaplot.Graph, x: float, label: str, y: tuple[float, float]) -> None:
    """Draw a limit across the graph between two heights, its label above it."""
    drawn.add(ziaplot.Segment((x, y[0]), (x, y[1])).color(BAD).strokewidth(1.6))
    drawn.add(ziaplot.Text(x, y[1], label, halign="center").color(INK).attribute("dy", "-3"))


def count_scale(name: str, high: float) -> Scale:
    """Return a scale from 0 to a number of things, with whole ticks."""
    ticks = [tick for tick in linear_ticks(0, high) if tick == int(tick)]
    return Scale(name, 0, high, ticks, [f"{tick / 1e6:g}M" if tick >= 1e6 else f"{tick:,.0f}" for tick in ticks])


def linear_seconds(low: float, high: float, what: str) -> Scale:
    """Return a scale in the unit that suits `high`, from 0 where `low` is 0."""
    scale, unit = next(
        (scale, unit) for above, scale, unit in _UNITS if high >= (above * 3 if unit == "min" else above)
    )
    margin = (high - low) * 0.04 or max(high, 1e-6) * 0.1
    start, end = (low - margin if low > 0 else 0), high + margin
    ticks = linear_ticks(start / scale, end / scale)
    return Scale(f"{what} ({unit})", start, end, [tick * scale for tick in ticks], [f"{tick:,g}" for tick in ticks])


def log_seconds(low: float, high: float, most_ticks: int = 11) -> Scale:
    """Return a logarithmic scale; ticks carry their unit."""
    low, high = low / 1.3, high * 1.3
    ticks = log_ticks(low, high, most_ticks)
    return Scale("latency (logarithmic)", low, high, ticks, [_decade(tick) for tick in ticks], log=True)


def linear_ticks(low: float, high: float) -> list[float]:
    """Return round places between two, eight at most."""
    return [tick for tick in getticks(low, high, 8) if low <= tick <= high]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return round places between two, as dense as `most` allows."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for mantissas in ((1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**power for power in powers for m in mantissas if low <= m * 10.0**power <= high]
        if len(ticks) <= most:
            return ticks
    return ticks[:: -(-len(ticks) // most)]


def _decade(value: float) -> str:
    scale, unit = next((scale, unit) for above, scale, unit in _UNITS[1:] if value >= above * 0.999)
    return f"{value / scale:,g} {unit}"


def _left(labels: Sequence[str]) -> float:
    """Return the room left of a graph: what its labels need in a wide font beyond the width that ziaplot guesses."""
    guessed = max((text_size(label, _TEXT).width for label in labels), default=0.0)
    needed = max((_TEXT * sum(0.62 if char.isascii() else 1.0 for char in label) for label in labels), default=0.0)
    return max(0.0, needed - guessed) + _GAP if any(labels) else _SIDE
