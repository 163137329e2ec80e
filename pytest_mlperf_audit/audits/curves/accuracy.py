"""Accuracy of a curve: a result in each region, and each as good as the model's target.

Several data sets come to one mean, weighted by their rows. Source: endpoints-submission-cli 1.5.3.0,
`submission_checker` (`accuracy_targets.py`, `models/aggregate/context.py`: _gate_accuracy).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from ...loadgen.detail import finite
from ..verdict import Check
from .findings import judged
from .point import Curve, number, value
from .regions import Region
from .submitted import declared_regions


class _Target(NamedTuple):
    """Least scores by metric, in per cent, and how many samples an accuracy run sends at least."""

    scores: Mapping[str, float]
    n_samples: int


TARGETS: Final[Mapping[str, _Target]] = {
    "deepseek-r1": _Target({"exact_match": 81.3582 * 0.99}, 4388),
    "gpt-oss-120b": _Target({"exact_match": 83.13 * 0.99}, 4395),
    "llama3_1-8b": _Target(
        {
            "rouge1": 38.7792 * 0.99,
            "rouge2": 15.9075 * 0.99,
            "rougel": 24.4957 * 0.99,
            "rougelsum": 35.793 * 0.99,
        },
        13368,
    ),
}


class _Result(NamedTuple):
    """What was scored of one data set: its name, scores by metric, rows, and how often each was sent."""

    dataset: str
    scores: Mapping[str, float]
    n_rows: float | None
    repeats: float


def accuracy(curve: Curve) -> Check:
    """There is a result in each region, and for offline, and each reaches the model's target."""
    wrong, unknown = [], []
    found = {point.name: _results(point.accuracy) for point in curve.points}
    scored = [point for point in curve.points if found[point.name]]
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
        wrong += [f"{point.name}: {slip}" for slip in _below(found[point.name], target)] if target else []
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


def _below(results: list[_Result], target: _Target) -> Iterator[str]:
    for name, count in Counter(one.dataset for one in results).items():
        if count > 1 and name:
            yield f"accuracy_results.json has {count} results of {name:.60}"
    means = _means(results)
    if not (known := {metric: least for metric, least in target.scores.items() if metric in means}):
        yield f"accuracy_results.json has none of {', '.join(target.scores)}"
    for metric, least in known.items():
        score = means[metric]
        score = score * 100 if 0 <= score <= 1 < least else score
        if not least <= score <= 100:
            due = f"{least:.5g} is due" if score < least else "a score in per cent is due"
            yield f"{metric} is {score:.5g}, {due}"
    sent = [one.n_rows * one.repeats for one in results if one.n_rows is not None]
    if sent and sum(sent) < target.n_samples:
        yield f"its accuracy run sent {sum(sent):g} samples, {target.n_samples} are due"


def _means(results: list[_Result]) -> dict[str, float]:
    """Return the mean of each metric, weighted by rows where every result of it says how many it has."""
    by_metric: dict[str, list[tuple[float, float | None]]] = defaultdict(list)
    for one in results:
        for metric, score in one.scores.items():
            by_metric[metric].append((score, one.n_rows))
    return {metric: _mean(pairs) for metric, pairs in by_metric.items()}


def _mean(pairs: list[tuple[float, float | None]]) -> float:
    weights = [weight for _, weight in pairs if weight is not None and weight >= 0]
    if len(weights) == len(pairs) and (whole := sum(weights)) > 0:
        return sum(score * weight for (score, _), weight in zip(pairs, weights, strict=True)) / whole
    return sum(score for score, _ in pairs) / len(pairs)


def _results(content: Mapping[str, Any] | None) -> list[_Result]:
    """Return what a point's accuracy results hold; a plain score is an exact match."""
    listed = value(content, "accuracy_scores")
    if listed is None:
        listed = content
    if isinstance(listed, Mapping):
        named = [(str(name), one) for name, one in listed.items()]
    else:
        named = [("", one) for one in listed] if isinstance(listed, list) else []
    read = [_result(name, one) for name, one in named if isinstance(one, Mapping)]
    return [one for one in read if one.scores]


def _result(name: str, entry: Mapping[str, Any]) -> _Result:
    score = entry.get("score")
    named = score if isinstance(score, Mapping) else {"exact_match": score}
    scores = {str(metric).lower(): found for metric, one in named.items() if (found := number(one)) is not None}
    rows, repeats = (entry.get(key, entry.get(alias)) for key, alias in _ALIASES)
    return _Result(str(entry.get("dataset_name") or name), scores, finite(rows), finite(repeats) or 1)


_ALIASES: Final = (("unit_samples", "num_samples"), ("num_repeats", "n_repeats"))
