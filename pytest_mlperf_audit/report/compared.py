"""A comparison with an earlier run, as a report shows it: a row a figure, its change against the limit, the history."""

from __future__ import annotations

import msgspec
import ziaplot

from ..text import plain
from ..verdicts.comparison import Compared, Comparison
from .canvas import BAD, INK, SERIES, Scale, dots, forbidden, graph, limit_line, linear_ticks, to_svg
from .clean import number, seconds

_NAMES = {
    "throughput": "throughput",
    "latency_p50": "latency p50",
    "latency_p90": "latency p90",
    "latency_p99": "latency p99",
    "ttft_p50": "first token p50",
    "ttft_p90": "first token p90",
    "ttft_p99": "first token p99",
}
_WORDS = {True: "pass", False: "FAIL", None: "undecided"}


class ComparedRow(msgspec.Struct, frozen=True):
    """A figure of the table, as text."""

    name: str
    before: str
    after: str
    change: str
    word: str
    sentence: str


def rows_of(comparison: Comparison) -> list[ComparedRow]:
    """Return a row for each figure."""
    return [_row(figure) for figure in comparison.figures]


def _row(figure: Compared) -> ComparedRow:
    def shown(value: float | None) -> str:
        if value is None:
            return "-"
        return f"{number(value)} queries/s" if figure.metric == "throughput" else seconds(value)

    change = "-"
    if figure.slower is not None and figure.slower_low is not None and figure.slower_high is not None:
        change = f"{_signed(figure.slower)} ({_signed(figure.slower_low)} to {_signed(figure.slower_high)})"
    return ComparedRow(
        _NAMES[figure.metric], shown(figure.before), shown(figure.after), change, _WORDS[figure.passed], figure.sentence
    )


def _signed(share: float) -> str:
    return f"{share:+.1%}".replace("%", " %")


def changes_chart(comparison: Comparison) -> str | None:
    """Draw how much slower each figure is, with its interval, against the limit; None where no figure has one."""
    drawn_of = [
        (figure, figure.slower, figure.slower_low, figure.slower_high)
        for figure in comparison.figures
        if figure.slower is not None and figure.slower_low is not None and figure.slower_high is not None
    ]
    if not drawn_of:
        return None
    limit = comparison.threshold
    ends = [value for _, *values in drawn_of for value in values] + [0.0, limit]
    room = (max(ends) - min(ends)) * 0.08
    low, high = min(ends) - room, max(ends) + room
    ticks = linear_ticks(low, high)
    x = Scale("slower than before", low, high, ticks, [f"{tick:.0%}".replace("%", " %") for tick in ticks])
    labels = [_NAMES[figure.metric] for figure, *_ in drawn_of]
    y = Scale("", 0.5 - len(labels), 0.8, [-float(row) for row in range(len(labels))], labels)
    with graph(x, y, 54 + 20 * len(labels)) as drawn:
        forbidden(drawn, (limit, high), (y.low, y.high))
        drawn.add(ziaplot.Segment((0.0, y.low), (0.0, y.high)).color(INK).strokewidth(1))
        limit_line(drawn, limit, f"limit {limit:.0%}", (y.low, y.high))
        for row, (figure, value, least, most) in enumerate(drawn_of):
            drawn.add(ziaplot.PolyLine([least, most], [-row, -row]).marker("|", 4).color(SERIES[0]).strokewidth(2))
            mark, colour = ("x", BAD) if figure.passed is False else ("round", SERIES[0])
            drawn.add(dots([value], [-float(row)], colour, mark, 4.5))
        return to_svg(drawn, "compared", "")


def trend_chart(comparison: Comparison) -> str | None:
    """Draw the throughput of the runs of a history, this one last; None below three."""
    rates = [point.rate for point in comparison.trend if point.rate is not None]
    if len(rates) < 3:
        return None
    ticks = linear_ticks(0, max(rates) * 1.15)
    y = Scale("queries/s", 0, max(rates) * 1.15, ticks, [f"{tick:,g}" for tick in ticks])
    x = Scale("run, this one last", 0.5, len(rates) + 0.5, [1, len(rates)], ["1", str(len(rates))])
    places = [float(run) for run in range(1, len(rates) + 1)]
    with graph(x, y, 120) as drawn:
        drawn.add(ziaplot.PolyLine(places, rates).color(SERIES[0]).strokewidth(1.5))
        drawn.add(dots(places, rates, SERIES[0], "round", 2.5))
        drawn.add(dots(places[-1:], rates[-1:], SERIES[1], "round", 4.5))
        return to_svg(drawn, "trend", "")


def notes_of(comparison: Comparison) -> list[str]:
    """Return what a reader must know."""
    return [plain(note, 300) for note in comparison.notes]
