"""A benchmark as its type and its ruleset bind it.

A submission has an accuracy run; the seeds are the ruleset's, and a submission lasts as long as it says.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ConfigError
from ..text import nearest
from .benchmark import Benchmark
from .rulesets import Ruleset, find_ruleset, known_rulesets

_RUNTIME = ("settings", "runtime")


def bound(benchmark: Benchmark, where: Callable[..., str]) -> tuple[Benchmark, tuple[str, ...]]:
    """Return the benchmark with what its ruleset fixes, and what the user should know of that.

    `where` gives a key path as messages begin. The ruleset's seeds win, as in LoadGen and in the endpoints tool. A
    duration in the file stands, so that a configuration can be tried in less time. Raises ConfigError for a ruleset or
    a division that is not known, and for a ceiling below the ruleset's floor.
    """
    reference = benchmark.submission_ref
    if benchmark.type == "submission" and benchmark.accuracy is None:
        benchmark = benchmark.model_copy(update={"accuracy": True})
    if reference is None:
        return benchmark, ()
    ruleset = find_ruleset(reference.ruleset)
    if ruleset is None:
        near = nearest(reference.ruleset, known_rulesets())
        hint = f"did you mean {near!r}? " if near else ""
        raise ConfigError(
            f"{where('submission_ref', 'ruleset')}: no ruleset is called {reference.ruleset!r:.80}; {hint}"
            f"known are {', '.join(known_rulesets())}"
        )
    if ruleset.division(reference.division) is None:
        raise ConfigError(
            f"{where('submission_ref', 'division')}: {ruleset.name} has no division {reference.division!r:.40}; "
            f"it has {', '.join(division.name for division in ruleset.divisions)}"
        )
    seeded, replaced = _seeded(_salted(benchmark, ruleset), ruleset, where)
    lasting, short = _lasting(seeded, ruleset, where)
    return lasting, (*replaced, *short)


def _salted(benchmark: Benchmark, ruleset: Ruleset) -> Benchmark:
    """Return the benchmark with conversations salted where the ruleset asks for it, as they are then played."""
    if not ruleset.salted:
        return benchmark
    datasets = tuple(
        dataset.model_copy(update={"agentic_inference": block.model_copy(update={"enable_salt": True})})
        if (block := dataset.agentic_inference)
        else dataset
        for dataset in benchmark.datasets
    )
    return benchmark.model_copy(update={"datasets": datasets})


def _seeded(benchmark: Benchmark, ruleset: Ruleset, where: Callable[..., str]) -> tuple[Benchmark, list[str]]:
    seeds, settings = ruleset.seeds, benchmark.settings
    fixed = {"scheduler_random_seed": seeds.schedule, "dataloader_random_seed": seeds.sample_index}
    if seeds.qsl is not None:
        fixed["qsl_rng_seed"] = seeds.qsl
    replaced = [
        f"{where(*_RUNTIME, key)}: {getattr(settings.runtime, key)} gives way to {seed}, the seed of {ruleset.name}"
        for key, seed in fixed.items()
        if key in settings.runtime.model_fields_set and getattr(settings.runtime, key) != seed
    ]
    warmup = settings.warmup.model_copy(update={"warmup_random_seed": seeds.sample_index})
    runtime = settings.runtime.model_copy(update=fixed)
    return _with_settings(benchmark, runtime=runtime, warmup=warmup), replaced


def _lasting(benchmark: Benchmark, ruleset: Ruleset, where: Callable[..., str]) -> tuple[Benchmark, list[str]]:
    reference, runtime = benchmark.submission_ref, benchmark.settings.runtime
    if benchmark.type != "submission" or not reference:
        return benchmark, []
    floor_ms = ruleset.floor_ms(reference.model, benchmark.settings.load_pattern.target_concurrency)
    if "min_duration_ms" in runtime.model_fields_set:
        if runtime.min_duration_ms >= floor_ms:
            return benchmark, []
        told = f"{runtime.min_duration_ms / 1000:g} s is less than the {floor_ms / 1000:g} s of {ruleset.name}"
        return benchmark, [f"{where(*_RUNTIME, 'min_duration_ms')}: {told}; MLPerf's checker refuses such a run"]
    if 0 < runtime.max_duration_ms < floor_ms:
        raise ConfigError(
            f"{where(*_RUNTIME, 'max_duration_ms')}: {runtime.max_duration_ms / 1000:g} s is less than the "
            f"{floor_ms / 1000:g} s that {ruleset.name} asks for; raise it, or set min_duration_ms for a run that is "
            "no submission"
        )
    return _with_settings(benchmark, runtime=runtime.model_copy(update={"min_duration_ms": floor_ms})), []


def _with_settings(benchmark: Benchmark, **changes: object) -> Benchmark:
    return benchmark.model_copy(update={"settings": benchmark.settings.model_copy(update=changes)})
