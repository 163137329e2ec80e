"""Three charts per audit as SVG text: latency distribution, completions over time, ratio against its limit.

Colours in the SVG are CSS variables of the page, so that one drawing serves light, dark and paper. No text in a
chart comes from outside: phases are named in the page's own legend. `key` keeps the ids of several charts on a page
apart.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from .clean import apart
from .words import Ratio

Floats = NDArray[np.float64]
#: Points of one curve: x and y of equal length, both rising.
Curve = tuple[Floats, Floats]
_Drawing = tuple[Figure, Axes]

MAX_SERIES = 12
N_COLOURS = 6
#: SVG dash patterns; with six colours they keep twelve series apart, in print and for any eyes.
DASHES = ("", "5 2", "1.5 1.5", "6 2 1.5 2")

_INK, _MUTED, _GRID, _BAD = "#000001", "#000002", "#000003", "#000004"
_SERIES = tuple(f"#00001{index}" for index in range(N_COLOURS))
_VARIABLES = {_INK: "ink", _MUTED: "muted", _GRID: "grid", _BAD: "bad"} | {
    colour: f"series-{index}" for index, colour in enumerate(_SERIES)
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
_POINTS_IN_ALL = 1200
_LOG_ABOVE = 20
_UNITS = ((60e0, 60e0, "min"), (1e0, 1e0, "s"), (1e-3, 1e-3, "ms"), (0.0, 1e-6, "µs"))
_STEPS = (1, 2, 2.5, 5, 10)
_RATIO_TICKS = (0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 100_000, 1e6)


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
    with _axes(f"latency {key}") as (figure, axes):
        if high / low > _LOG_ABOVE:
            _log_seconds(axes, low, high)
        else:
            _linear_seconds(axes, low, high, "latency")
        _steps(axes, ((np.append(x[:1], x), np.append(0.0, y)) if x.size else (x, y) for x, y in shares))
        axes.set_ylim(0, 104)
        axes.set_yticks((0, 25, 50, 75, 100), labels=("0", "25", "50", "75", "100 %"))
        return _svg(figure, "latency")


def completions_over_time(completed_s: Sequence[Floats], key: str = "") -> str | None:
    """Draw completed queries against seconds since the phase's first issue; None when nothing completed."""
    curves = [_cumulative(np.sort(values), _points(completed_s)) for values in completed_s]
    if not (drawn := [curve for curve in curves if curve[0].size]):
        return None
    with _axes(f"completions {key}") as (figure, axes):
        _linear_seconds(axes, 0.0, max(float(x[-1]) for x, _ in drawn), "time since the first query")
        _steps(axes, ((np.append(0.0, x), np.append(0.0, y)) if x.size else (x, y) for x, y in curves))
        axes.set_ylim(0, max(float(y[-1]) for _, y in drawn) * 1.05)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, steps=(1, 2, 5, 10)))
        axes.yaxis.set_major_formatter(FuncFormatter(_count))
        return _svg(figure, "completions")


def ratio_against_limit(ratios: Sequence[Ratio], key: str = "") -> str | None:
    """Draw each ratio, with its interval where there is one, against the limit; None when there is no ratio."""
    ratios = ratios[:MAX_SERIES]
    if not ratios:
        return None
    limit = ratios[0].limit
    with _axes(f"ratio {key}", 0.75 + 0.28 * len(ratios), bottom_in=0.47, top_in=0.25) as (figure, axes):
        _ratio_scale(axes, [limit, *(value for ratio in ratios for value in (ratio.value, ratio.low, ratio.high))])
        axes.axvspan(limit, axes.get_xlim()[1], color=_BAD, alpha=0.16, linewidth=0)
        axes.axvline(limit, color=_BAD, linewidth=1.6)
        axes.annotate(
            f"limit {apart(ratios[0].value, limit)[1]}", (limit, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
            textcoords="offset points", ha="center", fontsize=9, color=_INK,
        )  # fmt: skip
        for position, ratio in enumerate(ratios):
            _ratio_marker(axes, position, ratio)
        axes.set_ylim(len(ratios) - 0.4, -0.6)
        axes.set_yticks(range(len(ratios)), labels=[f"row {ratio.row}" if ratio.row else "" for ratio in ratios])
        axes.grid(visible=False, axis="y")
        return _svg(figure, "ratio")


def _ratio_marker(axes: Axes, position: int, ratio: Ratio) -> None:
    if ratio.low is not None and ratio.high is not None:
        axes.hlines(position, ratio.low, ratio.high, color=_SERIES[0], linewidth=2)
    marker, colour = ("D", _SERIES[0]) if ratio.passed else ("X", _BAD)
    axes.plot([ratio.value], [position], marker, color=colour, markersize=8, clip_on=False)
    left = ratio.value > axes.transData.inverted().transform(axes.transAxes.transform((0.7, 0)))[0]
    axes.annotate(
        apart(ratio.value, ratio.limit)[0], (ratio.value, position), xytext=(-9 if left else 9, 0),
        textcoords="offset points", ha="right" if left else "left", va="center", fontsize=10, color=_INK,
    )  # fmt: skip


def _ratio_scale(axes: Axes, values: Iterable[float | None]) -> None:
    """From 0 to beyond the largest; logarithmic where the largest would push the limit to the edge."""
    known = [value for value in values if value is not None and value > 0]
    low, high = min(known), max(known)
    axes.set_xlabel("throughput, repeated against distinct prompts", color=_INK)
    if high <= 3:
        axes.set_xlim(0, high * 1.2)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=_STEPS))
        return
    axes.set_xscale("log")
    axes.set_xlim(min(low, 1.0) / 2, high * 2)
    ticks = [tick for tick in _RATIO_TICKS if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
    _fixed_ticks(axes, ticks, [f"{tick:,g}" for tick in ticks])


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
            colour = _SERIES[index % N_COLOURS]
            axes.plot(x, y, color=colour, linewidth=1.8, linestyle=style, drawstyle="steps-post")


def _linear_seconds(axes: Axes, low: float, high: float, what: str) -> None:
    scale, unit = next(
        (scale, unit) for above, scale, unit in _UNITS if high >= (above * 3 if unit == "min" else above)
    )
    margin = (high - low) * 0.04 or max(high, 1e-6) * 0.1
    axes.set_xlim(low - margin if low > 0 else 0, high + margin)
    axes.set_xlabel(f"{what} ({unit})", color=_INK)
    axes.xaxis.set_major_locator(_ScaledLocator(scale))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / scale:,g}"))


class _ScaledLocator(MaxNLocator):
    """Round ticks in the unit shown rather than in seconds."""

    def __init__(self, scale: float) -> None:
        super().__init__(nbins=5, steps=_STEPS)
        self._scale = scale

    def tick_values(self, vmin: float, vmax: float) -> Any:
        return np.round(super().tick_values(vmin / self._scale, vmax / self._scale), 10) * self._scale


def _log_seconds(axes: Axes, low: float, high: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(low / 1.3, high * 1.3)
    axes.set_xlabel("latency (logarithmic)", color=_INK)
    powers = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 1)
    mantissas = (1, 2, 5) if len(powers) < 5 else (1,)
    ticks = [m * 10.0**power for power in powers for m in mantissas if low / 1.3 <= m * 10.0**power <= high * 1.3]
    _fixed_ticks(axes, ticks, [_decade(tick) for tick in ticks])


def _fixed_ticks(axes: Axes, ticks: Sequence[float], labels: Sequence[str]) -> None:
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, labels=labels)


def _decade(value: float) -> str:
    scale, unit = next((scale, unit) for above, scale, unit in _UNITS[1:] if value >= above * 0.999)
    return f"{value / scale:,g} {unit}"


def _count(value: float, _position: object) -> str:
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value:,.0f}"


@contextmanager
def _axes(salt: str, height_in: float = 2.5, bottom_in: float = 0.5, top_in: float = 0.1) -> Iterator[_Drawing]:
    """One set of axes on a transparent figure, under matplotlib's own defaults whatever a matplotlibrc says."""
    with mpl.rc_context():
        # The backend stays as it is: rc_context would not put it back. Validating 300 defaults again takes 10 ms.
        dict.update(
            cast("dict[str, Any]", mpl.rcParams),
            {key: value for key, value in mpl.rcParamsDefault.items() if key != "backend"},
        )
        mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": salt, "font.size": 10})
        figure = Figure(figsize=(_WIDTH_IN, height_in), facecolor="none")
        FigureCanvasSVG(figure)
        area = (0.13, bottom_in / height_in, 0.84, 1 - (bottom_in + top_in) / height_in)
        axes = figure.add_axes(area, facecolor="none")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(_MUTED)
        axes.tick_params(length=0, colors=_MUTED, labelcolor=_INK, labelsize=9)
        axes.grid(visible=True, color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        yield figure, axes


def _svg(figure: Figure, name: str) -> str:
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
