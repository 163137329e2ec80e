"""What every chart is drawn on: axes without decoration, scales in seconds, SVG text that a page can style.

Colours in the SVG are CSS variables of the page, so that one drawing serves light, dark and paper.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Drawing = tuple[Figure, Axes]

N_COLOURS = 6
INK, MUTED, GRID, BAD = "#000001", "#000002", "#000003", "#000004"
SERIES = tuple(f"#00001{index}" for index in range(N_COLOURS))
#: Round steps between ticks.
STEPS = (1, 2, 2.5, 5, 10)

_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", BAD: "bad"} | {
    colour: f"series-{index}" for index, colour in enumerate(SERIES)
}
_WIDTH_IN = 4.6
#: What matplotlib adds and a page does not want: metadata, a style for the whole page, a size, a font, spare ids.
_TIDY = (
    (r"<metadata>.*?</metadata>\s*", ""),
    (r"<defs>\s*<style.*?</style>\s*</defs>\s*", ""),
    (r'(<svg [^>]*?) width="[^"]*"', r"\1"),
    (r'(<svg [^>]*?) height="[^"]*"', r"\1"),
    (r"font-family: [^;\"]*", "font-family: inherit"),
    (r' id="(?![pm][0-9a-f]{10}")[^"]*"', ""),
)
_UNITS = ((60e0, 60e0, "min"), (1e0, 1e0, "s"), (1e-3, 1e-3, "ms"), (0.0, 1e-6, "µs"))


@contextmanager
def axes_of(
    salt: str, height_in: float = 2.5, bottom_in: float = 0.5, top_in: float = 0.1, left: float = 0.13
) -> Iterator[Drawing]:
    """One set of axes on a transparent figure, under matplotlib's own defaults whatever a matplotlibrc says.

    `salt` keeps the ids of several charts on a page apart; `left` is the share of the width that labels take.
    """
    with mpl.rc_context():
        # The backend stays as it is: rc_context would not put it back. Validating 300 defaults again takes 10 ms.
        dict.update(
            cast("dict[str, Any]", mpl.rcParams),
            {key: value for key, value in mpl.rcParamsDefault.items() if key != "backend"},
        )
        mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": salt, "font.size": 10})
        figure = Figure(figsize=(_WIDTH_IN, height_in), facecolor="none")
        FigureCanvasSVG(figure)
        area = (left, bottom_in / height_in, 0.97 - left, 1 - (bottom_in + top_in) / height_in)
        axes = figure.add_axes(area, facecolor="none")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(MUTED)
        axes.tick_params(length=0, colors=MUTED, labelcolor=INK, labelsize=9)
        axes.grid(visible=True, color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        yield figure, axes


def to_svg(figure: Figure, name: str) -> str:
    """Render to an <svg> element without date or size; colours are CSS variables, ids only those referred to."""
    buffer = io.BytesIO()
    figure.canvas.print_svg(buffer, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))  # type: ignore[attr-defined]
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    for pattern, replacement in _TIDY:
        text = re.sub(pattern, replacement, text, flags=re.DOTALL)
    return text.replace("<svg ", f'<svg class="chart {name}" ', 1)


def linear_seconds(axes: Axes, low: float, high: float, what: str) -> None:
    """Scale the x axis in the unit that suits `high`, from 0 where `low` is 0."""
    scale, unit = next(
        (scale, unit) for above, scale, unit in _UNITS if high >= (above * 3 if unit == "min" else above)
    )
    margin = (high - low) * 0.04 or max(high, 1e-6) * 0.1
    axes.set_xlim(low - margin if low > 0 else 0, high + margin)
    axes.set_xlabel(f"{what} ({unit})", color=INK)
    axes.xaxis.set_major_locator(_ScaledLocator(scale))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / scale:,g}"))


class _ScaledLocator(MaxNLocator):
    """Round ticks in the unit shown rather than in seconds."""

    def __init__(self, scale: float) -> None:
        super().__init__(nbins=5, steps=STEPS)
        self._scale = scale

    def tick_values(self, vmin: float, vmax: float) -> Any:
        return np.round(super().tick_values(vmin / self._scale, vmax / self._scale), 10) * self._scale


def log_seconds(axes: Axes, low: float, high: float, most_ticks: int = 11) -> None:
    """Scale the x axis logarithmically; ticks carry their unit."""
    axes.set_xscale("log")
    axes.set_xlim(low / 1.3, high * 1.3)
    axes.set_xlabel("latency (logarithmic)", color=INK)
    ticks = _log_ticks(low / 1.3, high * 1.3, most_ticks)
    fixed_ticks(axes, ticks, [_decade(tick) for tick in ticks])


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return round places between two, as dense as `most` allows."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for mantissas in ((1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**power for power in powers for m in mantissas if low <= m * 10.0**power <= high]
        if len(ticks) <= most:
            return ticks
    return ticks[:: -(-len(ticks) // most)]


def fixed_ticks(axes: Axes, ticks: Sequence[float], labels: Sequence[str]) -> None:
    """Put ticks at these places of the x axis, and nowhere else."""
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, labels=labels)


def _decade(value: float) -> str:
    scale, unit = next((scale, unit) for above, scale, unit in _UNITS[1:] if value >= above * 0.999)
    return f"{value / scale:,g} {unit}"
