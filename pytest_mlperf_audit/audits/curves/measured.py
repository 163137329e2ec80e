"""Rules on the run of each point: its load, duration and counts, its warm-up, salt, metrics and accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import isclose, isfinite
from typing import Any, Final

from ...loadgen.detail import finite
from ..verdict import Check
from .findings import judged
from .point import Curve, Point, each, value
from .regions import ULTRA_LOW, Region
from .submitted import declared_regions

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
#: Least scores, by model and metric; source: submission_checker, `accuracy_targets.py`.
TARGETS: Final[Mapping[str, Mapping[str, float]]] = {
    "deepseek-r1": {"exact_match": 81.3582 * 0.99},
    "gpt-oss-120b": {"exact_match": 83.13 * 0.99},
    "llama3_1-8b": {
        "rouge1": 38.7792 * 0.99,
        "rouge2": 15.9075 * 0.99,
        "rougel": 24.4957 * 0.99,
        "rougelsum": 35.793 * 0.99,
    },
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
#: A stored figure may differ from what follows from the others by this share, a point's utilization by so much.
_TOLERANCE, _UTILIZATION = 0.01, 0.1


def load_pattern(curve: Curve) -> Check:
    """Every point keeps a fixed number of queries in flight: its own."""
    wrong = []
    for point, pattern in each(curve, "runtime_settings.load_pattern"):
        if point.disclosure is None or point.offline == "dedicated":
            continue
        if pattern not in ("concurrency", "agentic_inference"):
            wrong.append(f"{point.name}: load pattern {pattern!r:.40}")
        ran = value(point.config, "settings.load_pattern.target_concurrency")
        if ran is not None and ran != point.concurrency:
            wrong.append(f"{point.name}: config.yaml ran with {ran!r:.20} in flight, not {point.concurrency}")
    patterns = {pattern for point, pattern in each(curve, "runtime_settings.load_pattern") if not point.offline}
    if len(patterns) > 1:
        wrong.append(f"points have different load patterns: {', '.join(sorted(map(str, patterns)))}")
    return judged("load_pattern", "6.1", "each point keeps its number of queries in flight", wrong)


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
    return judged("duration", "6.2", f"{_SHORT_S} s up to {ULTRA_LOW} in flight, {above_s} s above", wrong, unknown)


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
    return judged("metrics", "4.1, 9.1", "figures follow from each other", wrong, unknown)


def _tps(point: Point) -> float | None:
    tokens = finite(value(point.summary, "output_sequence_lengths.total"))
    nanoseconds = finite(value(point.summary, "duration_ns"))
    return tokens / nanoseconds * 1e9 if tokens is not None and nanoseconds else None


def _slips(point: Point) -> Iterator[str]:
    issued, completed, failed = (
        finite(value(point.summary, f"n_samples_{what}")) for what in ("issued", "completed", "failed")
    )
    if issued and completed is not None and completed + (failed or 0) != issued:
        yield f"{completed:g} queries completed and {failed or 0:g} failed, of {issued:g}"
    if (seconds := finite(value(point.summary, "duration_ns"))) is None or seconds <= 0:
        yield "duration_ns is no time"
    for name in ("ttft", "tpot", "latency", "output_sequence_lengths"):
        levels = sorted(_percentiles(point, name).items())
        if any(low[1] > high[1] for low, high in pairwise(levels)):
            yield f"percentiles of {name} do not rise"
    rate, tpot_ns = _tps(point), _percentiles(point, "tpot").get(90.0)
    if point.offline != "dedicated" and (tpot_ns is None or not isfinite(tpot_ns) or tpot_ns <= 0):
        yield "there is no 90th percentile of the time per output token"
        tpot_ns = None
    per_user = 1e9 / tpot_ns if tpot_ns else None
    for name, follows in (("system_tps", rate), ("tps_per_user", per_user)):
        stored = finite(value(point.summary, name))
        if stored is not None and follows is not None and not isclose(stored, follows, rel_tol=_TOLERANCE):
            yield f"{name} is {stored:.6g}, {follows:.6g} follows from the other figures"


def _percentiles(point: Point, name: str) -> dict[float, float]:
    """Return the percentiles of a metric by their level; the tool writes "99" or "99.0"."""
    found = value(point.summary, f"{name}.percentiles")
    pairs = found.items() if isinstance(found, Mapping) else ()
    read = [(_number(key), _number(one)) for key, one in pairs]
    return {level: one for level, one in read if level is not None and one is not None}


def _number(text: Any) -> float | None:
    """Return a number, which the tool may have written as text, None for anything else."""
    try:
        return finite(float(text))
    except (TypeError, ValueError):
        return None


def accuracy(curve: Curve) -> Check:
    """There is a result in each region, and for offline, and each reaches the model's target."""
    wrong, unknown = [], []
    scored = [point for point in curve.points if _scores(point.accuracy)]
    if (regions := declared_regions(curve)) is None:
        unknown.append("without a valid C_max there are no regions")
    else:
        at = [point.concurrency for point in scored if point.offline != "dedicated"]
        wrong += [f"no accuracy result in {region}" for region in _unfilled(regions.required, at)]
    offline = [point.name for point in curve.points if point.offline and point not in scored]
    wrong += [f"{name}: offline, and no accuracy result" for name in offline]
    target = TARGETS.get(curve.directory.name)
    if target is None and not curve.is_agentic:
        unknown.append(f"the target of {curve.directory.name} is not known here")
    for point in scored if target and not curve.is_agentic else ():
        wrong += [f"{point.name}: {slip}" for slip in _below(point, target or {})]
    if curve.is_agentic:
        unknown.append("the mean of an agentic curve's results is not worked out here")
    return judged("accuracy", "4.3, 5.3", f"{len(scored)} points have accuracy results", wrong, unknown)


def _unfilled(regions: tuple[Region, ...], at: list[int]) -> list[Region]:
    """Return the regions that get no result of their own; one result fills one region, though it may lie in two."""
    owners: dict[str, int] = {}

    def take(region: Region, tried: set[int]) -> bool:
        for one in at:
            if one in region and one not in tried:
                tried.add(one)
                holder = next((other for other in regions if owners.get(other.name) == one), None)
                if holder is None or take(holder, tried):
                    owners[region.name] = one
                    return True
        return False

    return [region for region in regions if region.start <= region.end and not take(region, set())]


def _below(point: Point, target: Mapping[str, float]) -> Iterator[str]:
    found = _scores(point.accuracy)
    known = {metric: least for metric, least in target.items() if metric in found}
    if not known:
        yield f"accuracy_results.json has none of {', '.join(target)}"
    for metric, least in known.items():
        score = found[metric]
        score = score * 100 if score <= 1 < least else score
        if score < least:
            yield f"{metric} is {score:.5g}, {least:.5g} is due"


def _scores(accuracy: Mapping[str, Any] | None) -> dict[str, float]:
    """Return all scores of a point's accuracy results by metric; a plain score is an exact match."""
    listed = value(accuracy, "accuracy_scores")
    entries = listed if isinstance(listed, list) else list((listed or accuracy or {}).values())
    found: dict[str, float] = {}
    for entry in entries:
        score = entry.get("score") if isinstance(entry, Mapping) else None
        named = score if isinstance(score, Mapping) else {"exact_match": score}
        read = {str(metric).lower(): _number(one) for metric, one in named.items()}
        found |= {metric: one for metric, one in read.items() if one is not None}
    return found
