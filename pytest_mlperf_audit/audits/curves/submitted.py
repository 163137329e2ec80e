"""Rules on what was handed in: files, the number of points and where they lie, seeds, and that all is of one system."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ...config.rulesets import RULESETS, Ruleset
from ..verdict import Check
from .figures import copied
from .findings import judged
from .point import CONFIG, SUMMARY, Curve, Point, each, value
from .regions import ULTRA_LOW, Regions, regions_of

_FEWEST, _MOST = 7, 32
_DISCLOSED: Final = (
    "concurrency",
    "runtime_settings",
    "division",
    "max_supported_concurrency",
    "model_name",
    "model_precision",
    "link_to_model",
    "dataset_name",
    "dataset_type",
    "dataset_link",
    "seed_set",
    "target_cohort",
)
_MEASURED: Final = ("n_samples_issued", "n_samples_completed", "duration_ns")
_DESCRIBED: Final = (
    "division",
    "system_name",
    "shortened_system_name",
    "system_availability_status",
    "system_size",
    "system_node_ensemble_count",
    "system_node_ensemble_total",
    "node_types",
)
#: Fields of a system's description that may differ from point to point.
_OF_POINT: Final = frozenset(
    {
        "tps_utilization",
        "tensor_parallel",
        "pipeline_parallel",
        "expert_parallel",
        "data_parallel",
        "disaggregated",
        "batch",
        "config_summary",
        "config_summary_notes",
    }
)
_COHORT = re.compile(r"(\d{4})-(\d{2})-C([01])")
#: A seed set may be adopted for its own cohort and so many that follow; there are two cohorts a month.
_ADOPTABLE: Final = 3
_SEEDS: Final = (("scheduler_rng_seed", "schedule"), ("sample_index_rng_seed", "sample_index"), ("model_seed", "model"))

#: What a run's own configuration calls the first two.
_OF_RUN: Final = (("scheduler_random_seed", "schedule"), ("dataloader_random_seed", "sample_index"))
#: What two runs never have alike, all together.
_OF_ONE_RUN: Final = ("duration_ns", "n_samples_issued", "ttft", "tpot", "latency", "output_sequence_lengths")


def complete(curve: Curve) -> Check:
    """Every file is there and can be read, every field is declared, and the directory is named like its point."""
    wrong = [f"{point.name}: {problem}" for point in curve.points for problem in point.problems]
    for point in curve.points:
        for file, data, fields in (
            ("point.yaml", point.disclosure, _DISCLOSED),
            ("system_desc.json", point.system, _DESCRIBED),
            ("result_summary.json", point.summary, _MEASURED),
            ("config.yaml", point.config, ("settings",)),
        ):
            missing = [name for name in fields if value(data, name) in (None, "")] if data is not None else []
            wrong += [f"{point.name}: {file} does not say {', '.join(missing)}"] if missing else []
        declared = value(point.disclosure, "concurrency")
        if declared not in (None, "") and str(declared) != str(point.number):
            wrong.append(f"{point.name}: point.yaml says concurrency {declared!r:.40}")
    return judged("complete", "8.1 to 8.3", f"{len(curve.points)} points have all their files and fields", wrong)


def shared_paths(curve: Curve) -> Check:
    """What a point says of shared code and documents leads to a directory below the submission."""
    wrong = []
    for key in ("shared_src", "shared_docs"):
        for point, declared in each(curve, key):
            if point.disclosure is not None and not _leads_below(curve.root, declared):
                wrong.append(f"{point.name}: {key} {declared!r:.80} is no directory below the submission")
    return judged("shared_paths", "9.1", "shared_src and shared_docs lead to directories", wrong)


def _leads_below(root: Path, declared: Any) -> bool:
    if not isinstance(declared, str) or not declared or PurePosixPath(declared).is_absolute():
        return False
    return ".." not in PurePosixPath(declared).parts and (root / declared).is_dir()


def points(curve: Curve) -> Check:
    """There are 7 to 32 points, 8 at least with an offline run of its own, and one of them stands for offline."""
    count, offline = len(curve.points), [point for point in curve.points if point.offline]
    fewest = _FEWEST + any(point.offline == "dedicated" for point in offline)
    wrong = []
    if not fewest <= count <= _MOST:
        wrong.append(f"{count} point{'s' * (count != 1)}, {fewest} to {_MOST} are due")
    if curve.is_agentic and offline:
        wrong.append(f"{', '.join(point.name for point in offline)}: an agentic curve has no offline point")
    if not curve.is_agentic and len(offline) != 1:
        wrong.append(f"{len(offline)} points say `offline: dedicated` or `elected`, one is due")
    return judged("points", "5.3, 5.6, 5.7", f"{count} points", wrong)


def declared_regions(curve: Curve) -> Regions | None:
    """Return the regions of a curve, None where no valid C_max is declared."""
    c_max = _c_max(curve)
    lowest = next((value(point.system, "c_min_override") for point in curve.points if point.system), None)
    if c_max is None or c_max <= ULTRA_LOW or not curve.points:
        return None
    return regions_of(c_max, curve.concurrencies, lowest if type(lowest) is int and 1 <= lowest <= ULTRA_LOW else None)


def _c_max(curve: Curve) -> int | None:
    found = [value(point.system, "max_supported_concurrency") for point in curve.points]
    return next((one for one in found if type(one) is int), None)


def max_concurrency(curve: Curve) -> Check:
    """C_max is declared alike at every point, and above 32."""
    declared = [value(point.system, "max_supported_concurrency") for point in curve.points if point.system]
    declared += [one for point, one in each(curve, "max_supported_concurrency") if point.disclosure]
    found, wrong = {repr(one): one for one in declared}, []
    c_max = next(iter(found.values()), None)
    if len(found) > 1:
        told = " and ".join(f"{one:.40}" for one in sorted(found)[:3])
        wrong.append(f"max_supported_concurrency is {told}, not one number")
    elif type(c_max) is not int or c_max <= ULTRA_LOW:
        wrong.append(f"max_supported_concurrency (C_max) is {c_max!r:.40}, a number above {ULTRA_LOW} is due")
    return judged("max_concurrency", "5.4", f"C_max is {_c_max(curve)}", wrong)


def coverage(curve: Curve) -> Check:
    """Each region has a point. A point in the margin stands for none."""
    if (regions := declared_regions(curve)) is None:
        return judged("coverage", "5.3", "", unknown=["without a valid C_max there are no regions"])
    at = [point.concurrency for point in curve.points if point.offline != "dedicated"]
    lacking = [region for region in regions.required if region.start <= region.end]
    wrong = [f"no point in {region}" for region in lacking if not any(one in region for one in at)]
    return judged("coverage", "5.3, 5.4", "each region has a point", wrong)


def in_range(curve: Curve) -> Check:
    """No point lies above the margin."""
    if (regions := declared_regions(curve)) is None:
        return judged("in_range", "5.4", "", unknown=["without a valid C_max there are no regions"])
    wrong = [
        f"{point.name}: concurrency {point.concurrency} is above {regions.margin.end}"
        for point in curve.points
        if not regions.known(point.concurrency)
    ]
    return judged("in_range", "5.4", f"all points are at {regions.margin.end} or below", wrong)


def seeds(curve: Curve) -> Check:
    """Every point is of one published seed set, which the cohort may adopt, and was run with its seeds."""
    wrong, unknown = [], []
    chosen = {str(declared) for point, declared in each(curve, "seed_set") if point.disclosure}
    if len(chosen) > 1:
        wrong.append(f"points are of the seed sets {', '.join(sorted(chosen))}, one is due")
    for point, name in each(curve, "seed_set"):
        if point.disclosure is None:
            continue
        cohort = value(point.disclosure, "target_cohort")
        sets = [ruleset for ruleset, of in _published() if of[1] == name]
        adoptable = [ruleset for ruleset, of in _published() if of[1] == name and cohort in _window(of[0])]
        if not sets:
            known = ", ".join(f"{of[1]} of {of[0]}" for _, of in _published())
            unknown.append(f"{point.name}: seed set {name!r:.40} is not known here ({known})")
        elif not adoptable:
            wrong.append(f"{point.name}: seed set {name} is not one that cohort {cohort!r:.40} may adopt")
        else:
            wrong += [f"{point.name}: {slip}" for slip in _slips(point, adoptable[0])]
    return judged("seeds", "2.1.1, submission rules 4.6", f"seed set {', '.join(sorted(chosen))}", wrong, unknown)


def _published() -> Iterator[tuple[Ruleset, tuple[str, str]]]:
    """Yield each published seed set with its cohort and its id."""
    for ruleset in RULESETS:
        if found := re.fullmatch(r"mlperf-endpoints-v[\d.]+-(\d{4}-\d{2}-C[01])-(\w+)", ruleset.name):
            yield ruleset, (found[1], found[2])


def _window(cohort: str) -> list[str]:
    """Return the cohorts that may adopt a set: 2026-10-C1 and the three after it."""
    found = _COHORT.fullmatch(cohort)
    at = (int(found[1]) * 12 + int(found[2]) - 1) * 2 + int(found[3]) if found else 0
    numbers = (at + later for later in range(_ADOPTABLE + 1))
    return [f"{one // 24:04d}-{one // 2 % 12 + 1:02d}-C{one % 2}" for one in numbers]


def _slips(point: Point, ruleset: Ruleset) -> Iterator[str]:
    for key, name in _SEEDS:
        used, due = value(point.disclosure, f"runtime_settings.runtime.{key}"), getattr(ruleset.seeds, name)
        if used != due:
            yield f"{key} is {used!r:.40}, that of the set is {due}"
    for key, name in _OF_RUN:
        due = getattr(ruleset.seeds, name)
        of_config, of_summary = (
            value(point.config, f"settings.runtime.{key}"),
            value(point.summary, f"run_config.{key}"),
        )
        for file, ran in ((CONFIG, of_config), (SUMMARY, of_summary)):
            if ran is not None and ran != due:
                yield f"{file} ran with {key} {ran!r:.40}, that of the set is {due}"


def consistency(curve: Curve) -> Check:
    """All points are of one model, which the directory is named after, one data set, and one system."""
    wrong = []
    for key in ("model_name", "dataset", "dataset_name", "division", "link_to_model"):
        found = {str(declared) for point, declared in each(curve, key) if point.disclosure and declared is not None}
        if len(found) > 1:
            wrong.append(f"{key} is {' and '.join(sorted(found)[:3])}, not one")
        elif key == "model_name" and found and found != {curve.directory.name}:
            wrong.append(f"model_name is {next(iter(found))}, the directory is named {curve.directory.name}")
    described = [(point, _identity(point.system)) for point in curve.points if point.system is not None]
    for point, identity in described[1:]:
        if differing := sorted(key for key, _ in set(identity.items()) ^ set(described[0][1].items())):
            keys = ", ".join(dict.fromkeys(differing))
            wrong.append(f"{point.name}: system_desc.json differs from that of {described[0][0].name} in {keys}")
    wrong += _copies([point for point in curve.points if point.summary])
    return judged("consistency", "8.5, 9.1", "one model, one data set, one system", wrong)


def _copies(points: list[Point]) -> Iterator[str]:
    """Yield the points whose run is that of another one, all of it or its times alone."""
    for at, point in enumerate(points):
        for other in points[:at]:
            if all(value(point.summary, key) == value(other.summary, key) for key in _OF_ONE_RUN):
                yield f"{point.name}: its result_summary.json is that of {other.name}: one run stands for two points"
            elif name := copied(point, other):
                yield f"{point.name}: its {name} is that of {other.name} to the last digit: of one run"
            else:
                continue
            break


def _identity(system: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): repr(one) for key, one in system.items() if key not in _OF_POINT}
