"""Do the figures of a point follow from each other? Series of result_summary.json, its rates, and its counts.

Source: mlcommons/endpoints `metrics/report.py` (Report.from_snapshot: throughput and its window; series), and
endpoints_rules.md § 4.1 and § 9.1. The tool's percentiles come from a histogram, so that each may be off a little.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import isclose
from typing import Final

from ...loadgen.detail import finite
from ..verdict import Check
from .findings import judged
from .point import Curve, Point, number, value

#: A stored figure may differ from what follows from the others by this share, a point's utilization by so much.
_TOLERANCE, _UTILIZATION = 0.01, 0.1
_TIMES: Final = ("ttft", "tpot", "latency")
_SERIES: Final = (*_TIMES, "output_sequence_lengths", "input_sequence_lengths")
#: After so many queries for each in flight, beginning and end of a run weigh little.
_MANY_ROUNDS: Final = 8
_MEDIAN: Final = 50.0
#: The window of a throughput where it is not that of the whole run; the tool writes null then.
_WINDOW: Final = "legacy_loadgen_window_duration_ns"


def metrics(curve: Curve) -> Check:
    """The figures of a point follow from each other, and its percentiles rise."""
    wrong = [f"{point.name}: {slip}" for point in curve.points if point.summary is not None for slip in _slips(point)]
    rates = {point.name: rate for point in curve.points if (rate := _tps(point)) is not None}
    for point in curve.points:
        declared, rate = finite(value(point.system, "tps_utilization")), rates.get(point.name)
        if declared is None or rate is None or not (most := max(rates.values())):
            continue
        if abs(declared - rate / most) > _UTILIZATION:
            wrong.append(f"{point.name}: tps_utilization is {declared:g}, its share of the best is {rate / most:.3g}")
    unknown = [f"{point.name}: there is no result_summary.json" for point in curve.points if point.summary is None]
    unknown += [f"{point.name}: {doubt}" for point in curve.points if (doubt := _idle(point))]
    return judged("metrics", "4.1, 9.1", "figures follow from each other", wrong, unknown)


def _figure(point: Point, path: str) -> float | None:
    return finite(value(point.summary, path))


def _tps(point: Point) -> float | None:
    tokens, nanoseconds = _figure(point, "output_sequence_lengths.total"), _figure(point, "duration_ns")
    return tokens / nanoseconds * 1e9 if tokens is not None and nanoseconds else None


def _slips(point: Point) -> Iterator[str]:
    yield from _of_counts(point)
    for name in _SERIES:
        yield from _of_series(point, name)
    yield from _of_rates(point)
    in_flight = _in_flight(point)
    if in_flight is not None and in_flight > point.concurrency * (1 + _TOLERANCE):
        yield (
            f"its latencies come to {in_flight:.4g} queries in flight on average, more than the {point.concurrency} "
            "that it keeps"
        )


def _of_counts(point: Point) -> Iterator[str]:
    issued, completed, failed = (_figure(point, f"n_samples_{what}") for what in ("issued", "completed", "failed"))
    if issued and completed is not None and completed + (failed or 0) != issued:
        yield f"{completed:g} queries completed and {failed or 0:g} failed, of {issued:g}"
    if any(count is not None and count < 0 for count in (issued, completed, failed)):
        yield "a count is below 0"
    if (seconds := _figure(point, "duration_ns")) is None or seconds <= 0:
        yield "duration_ns is no time"
    if value(point.summary, "complete") is False or value(point.summary, "state") == "interrupted":
        yield "result_summary.json says that its run did not end as planned"


def _of_series(point: Point, name: str) -> Iterator[str]:
    """Yield what of a series' figures contradicts the others: bounds, percentiles, median, mean and total."""
    levels = sorted(_percentiles(point, name).items())
    low, high, mean, median, total = (
        _figure(point, f"{name}.{key}") for key in ("min", "max", "avg", "median", "total")
    )
    if any(one[1] > other[1] for one, other in pairwise(levels)):
        yield f"percentiles of {name} do not rise"
    if any(figure < 0 for figure in (*dict(levels).values(), low, high, mean, total) if figure is not None):
        yield f"a figure of {name} is below 0"
    inner = [figure for figure in (*dict(levels).values(), mean) if figure is not None]
    if low is not None and any(figure < low * (1 - _TOLERANCE) for figure in (*inner, high) if figure is not None):
        yield f"a figure of {name} is below its min"
    if high is not None and any(figure > high * (1 + _TOLERANCE) for figure in inner):
        yield f"a figure of {name} is above its max"
    half = dict(levels).get(_MEDIAN)
    if median is not None and half is not None and not isclose(median, half, rel_tol=_TOLERANCE):
        yield f"the median of {name} is {median:.6g}, its 50th percentile {half:.6g}"
    sent = _figure(point, "n_samples_issued") or _figure(point, "n_samples_completed")
    if total and mean and sent and total / mean > sent * (1 + _TOLERANCE):
        yield f"total and mean of {name} are of {total / mean:.6g} queries, and {sent:g} were issued"


def _of_rates(point: Point) -> Iterator[str]:
    rate, tpot_ns = _tps(point), _percentiles(point, "tpot").get(90.0)
    if point.offline != "dedicated" and (tpot_ns is None or tpot_ns <= 0):
        yield "there is no 90th percentile of the time per output token"
        tpot_ns = None
    due = {"system_tps": rate, "tps_per_user": 1e9 / tpot_ns if tpot_ns else None, **_by_window(point)}
    for name, follows in due.items():
        stored = _figure(point, name)
        if stored is not None and follows is not None and not isclose(stored, follows, rel_tol=_TOLERANCE):
            yield f"{name} is {stored:.6g}, {follows:.6g} follows from the other figures"


def _by_window(point: Point) -> dict[str, float | None]:
    """Return queries and tokens a second over the window that the file names; nothing where it names none.

    LoadGen's window, where there is one, ends with the query issued last, and its first query is not counted.
    """
    if point.summary is None or _WINDOW not in point.summary:
        return {}
    whole_ns, tokens = _figure(point, "duration_ns"), _figure(point, "output_sequence_lengths.total")
    completed, own_ns = _figure(point, "n_samples_completed"), _figure(point, _WINDOW)
    if own_ns and completed is not None:
        completed -= 1
    if not (window_ns := own_ns or whole_ns) or completed is None:
        return {}
    return {
        "qps": completed / window_ns * 1e9,
        "tps": None if tokens is None else tokens / window_ns * 1e9,
    }


def _in_flight(point: Point) -> float | None:
    """Return the queries in flight on average, by the sum of their latencies; None where the files do not tell."""
    total_ns, whole_ns = _figure(point, "latency.total"), _figure(point, "duration_ns")
    if not total_ns or not whole_ns or whole_ns < 0 or point.offline == "dedicated":
        return None
    return total_ns / whole_ns


def _idle(point: Point) -> str:
    """Return a doubt where far fewer queries were in flight than the point says, "" otherwise.

    A run of few queries for each in flight is idle at its end by right, and one of conversations between their turns.
    """
    in_flight, completed = _in_flight(point), _figure(point, "n_samples_completed")
    if in_flight is None or completed is None or completed < _MANY_ROUNDS * point.concurrency or point.is_agentic:
        return ""
    if in_flight * 2 >= point.concurrency:
        return ""
    return (
        f"its latencies come to {in_flight:.3g} queries in flight on average, less than half of the "
        f"{point.concurrency} that it keeps; ask the submitter"
    )


def _percentiles(point: Point, name: str) -> dict[float, float]:
    """Return the percentiles of a metric by their level; the tool writes "99" or "99.0"."""
    found = value(point.summary, f"{name}.percentiles")
    pairs = found.items() if isinstance(found, Mapping) else ()
    read = [(number(key), number(one)) for key, one in pairs]
    return {level: one for level, one in read if level is not None and one is not None}


def copied(one: Point, other: Point) -> str:
    """Return which series of times two points share to the last digit, "" for none: two runs share no such series."""
    for name in _TIMES:
        levels = _percentiles(one, name)
        mine, theirs = (_figure(point, f"{name}.total") for point in (one, other))
        if len(levels) >= _ENOUGH and mine == theirs and levels == _percentiles(other, name):
            return name
    return ""


#: Fewer percentiles than these may be alike by chance.
_ENOUGH: Final = 3
