"""Rules on the run of each point: its load, duration and counts, and its warm-up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ...loadgen.detail import finite
from ..verdict import Check
from .findings import judged
from .point import CONFIG, SUMMARY, Curve, Point, each, value
from .regions import ULTRA_LOW

#: Least durations in seconds: up to 32, above, and above for trajectories of several turns.
_SHORT_S, _LONG_S, _AGENTIC_S = 600, 1200, 2400
#: Rows of the data sets known by name; source: submission_checker, `aggregate/point_result.py` (MIN_QUERY_COUNT).
ROWS: Final = {
    "open_orca": 24576,
    "cnn_dailymail": 13368,
    "aime25": 30,
    "gpqa": 198,
    "livecodebench": 880,
    "shopify_product_catalogue": 48289,
    "shopify_product_catalogue_8k": 8000,
    "mlperf_gpt_oss_performance": 6396,
    "mlperf_gpt_oss_accuracy": 4395,
    "math500": 500,
}
_WARM_UP: Final = (
    "duration_s",
    "requests_issued",
    "requests_completed",
    "data_source",
    "concurrency",
    "initialization_steps",
)
_LONGEST_WARM_UP_S: Final = 86_400
#: A window may be longer than its run by this share.
_TOLERANCE: Final = 0.01
#: The fewest passes over the data set of a window whose figures are official; source: § 4.4 of the rules.
_FEWEST_PASSES: Final = 4


def load_pattern(curve: Curve) -> Check:
    """Every point keeps a fixed number of queries in flight: its own."""
    wrong = []
    for point, pattern in each(curve, "runtime_settings.load_pattern"):
        if point.disclosure is None or point.offline == "dedicated":
            continue
        if pattern not in ("concurrency", "agentic_inference"):
            wrong.append(f"{point.name}: load pattern {pattern!r:.40}")
        wrong += [f"{point.name}: {slip}" for slip in _other_load(point, pattern)]
    patterns = {str(pattern) for point, pattern in each(curve, "runtime_settings.load_pattern") if not point.offline}
    if len(patterns) > 1:
        wrong.append(f"points have different load patterns: {', '.join(sorted(patterns))}")
    return judged("load_pattern", "6.1", "each point keeps its number of queries in flight", wrong)


def _other_load(point: Point, pattern: object) -> Iterator[str]:
    """Yield where the run's own files have another load than the point declares."""
    for file, data, path in (
        (CONFIG, point.config, "settings.load_pattern"),
        (SUMMARY, point.summary, "run_config.load_pattern"),
    ):
        ran, kind = value(data, f"{path}.target_concurrency"), value(data, f"{path}.type")
        if ran is not None and ran != point.concurrency:
            yield f"{file} ran with {ran!r:.20} in flight, not {point.concurrency}"
        if kind is not None and kind != pattern:
            yield f"{file} ran with load pattern {kind!r:.40}, not {pattern!r:.40}"


def duration(curve: Curve) -> Check:
    """Each point measured for long enough."""
    above_s = _AGENTIC_S if curve.is_agentic else _LONG_S
    wrong, unknown = [], []
    for point in curve.points:
        least_s = _SHORT_S if point.concurrency <= ULTRA_LOW else above_s
        window_s = finite(value(point.disclosure, "steady_state.window.duration_s"))
        whole_ns = finite(value(point.summary, "duration_ns"))
        seconds = window_s if window_s is not None else whole_ns and whole_ns / 1e9
        if seconds is None:
            unknown.append(f"{point.name}: no file says how long it measured")
        elif seconds < least_s:
            wrong.append(f"{point.name}: measured for {seconds:.4g} s, {least_s} are due")
        wrong += [f"{point.name}: {slip}" for slip in _of_window(point)]
    fine = f"{_SHORT_S} s up to {ULTRA_LOW} in flight, {above_s} s above"
    return judged("duration", "4.4, 6.2", fine, wrong, unknown)


def _of_window(point: Point) -> Iterator[str]:
    """Yield what a point says of its steady state that cannot be: the window is a part of the run (section 4.4)."""
    window_s = finite(value(point.disclosure, "steady_state.window.duration_s"))
    whole_ns = finite(value(point.summary, "duration_ns"))
    if window_s is not None and whole_ns is not None and window_s > whole_ns / 1e9 * (1 + _TOLERANCE):
        yield f"its window of {window_s:.4g} s is longer than its run of {whole_ns / 1e9:.4g} s"
    inside = finite(value(point.disclosure, "steady_state.window.n_samples"))
    completed = finite(value(point.summary, "n_samples_completed"))
    if inside is not None and completed is not None and inside > completed:
        yield f"its window has {inside:g} queries, and {completed:g} completed"
    if value(point.disclosure, "steady_state.status") != "windowable":
        return
    first, last = (finite(value(point.disclosure, f"steady_state.window.super_pass_{at}")) for at in ("start", "end"))
    if first is not None and last is not None and last - first + 1 < _FEWEST_PASSES:
        yield f"its window is windowable over {last - first + 1:g} passes, {_FEWEST_PASSES} are due"
    states = value(point.disclosure, "steady_state.state")
    named = states.items() if isinstance(states, Mapping) else ()
    drifting = [str(name) for name, state in named if str(state).startswith("Drifting")]
    if drifting:
        yield f"its window is windowable, and {', '.join(sorted(drifting)[:4])} drift"


def query_count(curve: Curve) -> Check:
    """Each point completed the data set at least once, and issued a whole multiple of it."""
    wrong, unknown = [], []
    for point in curve.points:
        name = value(point.disclosure, "dataset") or value(point.disclosure, "dataset_name")
        rows = ROWS.get(str(name).partition("::")[0])
        issued, completed = (finite(value(point.summary, f"n_samples_{what}")) for what in ("issued", "completed"))
        if rows is None:
            unknown.append(f"{point.name}: how many rows data set {name!r:.60} has is not known here")
        elif issued is None or completed is None:
            unknown.append(f"{point.name}: result_summary.json does not say how many queries were issued and completed")
        elif completed < rows:
            wrong.append(f"{point.name}: {completed:g} queries completed, the data set has {rows} rows")
        elif issued % rows:
            wrong.append(f"{point.name}: {issued:g} queries issued, no multiple of the data set's {rows} rows")
    return judged("query_count", "6.4", "whole passes over the data set", wrong, unknown)


def streaming(curve: Curve) -> Check:
    """Every chunk of a stream had a time of its own."""
    found = [one for one in each(curve, "runtime_settings.stream_all_chunks") if one[0].offline != "dedicated"]
    wrong = [f"{point.name}: stream_all_chunks is false" for point, declared in found if declared is False]
    unknown = [f"{point.name}: does not say stream_all_chunks" for point, declared in found if declared is None]
    return judged("streaming", "6.5", "stream_all_chunks is true at all points", wrong, unknown)


def warm_up(curve: Curve) -> Check:
    """The warm-up is declared, and its logs are kept."""
    wrong = []
    for point, declared in each(curve, "warmup"):
        if point.disclosure is None:
            continue
        if not isinstance(declared, Mapping):
            wrong.append(f"{point.name}: declares no warm-up")
            continue
        if missing := [name for name in _WARM_UP if declared.get(name) is None]:
            wrong.append(f"{point.name}: its warm-up does not say {', '.join(missing)}")
        issued, seconds = finite(declared.get("requests_issued")), finite(declared.get("duration_s"))
        if seconds and seconds > _LONGEST_WARM_UP_S:
            wrong.append(f"{point.name}: warmed up for {seconds:g} s, {_LONGEST_WARM_UP_S} at most")
        if issued and declared.get("logs_retained") is not True:
            wrong.append(f"{point.name}: does not say that the logs of its warm-up are kept")
    return judged("warm_up", "6.3", "declared, with its logs kept", wrong)
