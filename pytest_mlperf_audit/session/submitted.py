"""What a submission lacks of what its ruleset asks for, known from the plan: audits, and samples of an Offline run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..audits import registry
from ..audits.shipped import SHIPPED
from ..audits.test04 import SAMPLE_INDEX, least_queries
from ..config.benchmark import Benchmark
from ..config.rulesets import Ruleset, find_ruleset, knows_benchmark, least_offline_samples, required_audits
from ..runs.order import Scripted
from .judge import PlannedAudit


def lacking(benchmark: Benchmark, plans: Sequence[PlannedAudit]) -> Iterator[str]:
    """Yield a sentence for each thing that a `type: submission` lacks; nothing without a ruleset."""
    reference = benchmark.submission_ref
    ruleset = find_ruleset(reference.ruleset) if reference else None
    if benchmark.type != "submission" or reference is None or ruleset is None:
        return
    if ruleset.audits and not knows_benchmark(ruleset, reference.model):
        yield (
            f"submission_ref.model: {reference.model!r} is no benchmark that {ruleset.name} asks anything of, so which "
            "audits and how many samples it needs was not looked up; see docs/rulesets.md for its name"
        )
    planned = {one.audit.id for one in plans}
    for test in required_audits(ruleset, reference.model, reference.division):
        if test not in planned:
            cure = f"add it to `audit:`, as '- test: {test}'" if test in SHIPPED else "it is not among the audits here"
            yield f"{ruleset.name} requires {test.upper()} of {reference.model}, and this run has none; {cure}"
    if not ruleset.points:
        yield from _of_test04(benchmark, ruleset, reference.model, plans)
    else:
        yield from _of_a_point(benchmark, ruleset, any(one.audit.id not in registry.runs() for one in plans))
    least = least_offline_samples(ruleset, reference.model, reference.division)
    for one in plans:
        n_samples = min((spec.n_samples for spec in one.specs), default=0)
        if one.id == "performance" and benchmark.scenario == "Offline" and n_samples < least:
            yield (
                f"{ruleset.name} asks for {least} samples or more in an Offline run of {reference.model}, and this one "
                f"has {n_samples}; raise n_samples_to_issue, or use a larger data set"
            )


def _of_test04(benchmark: Benchmark, ruleset: Ruleset, model: str, plans: Sequence[PlannedAudit]) -> Iterator[str]:
    """Yield what a TEST04 lacks of the counts that MLPerf fixes for a model."""
    least = least_queries(model, benchmark.scenario)
    for one in (one for one in plans if one.audit.id == "test04"):
        n_samples = min(spec.n_samples for spec in one.specs if not isinstance(spec.order, Scripted))
        if n_samples < least:
            yield (
                f"{ruleset.name} asks for {least} queries or more in each phase of TEST04 of {model} "
                f"({benchmark.scenario}), and this one has {n_samples}; set samples: {least} and sample_index: "
                f"{SAMPLE_INDEX}"
            )


def _of_a_point(benchmark: Benchmark, ruleset: Ruleset, has_audit: bool) -> Iterator[str]:
    """Yield what a measurement point lacks of what endpoints_rules.md asks for (§ 2.5, § 6.1, § 6.5)."""
    pattern, reference = benchmark.settings.load_pattern.type, benchmark.submission_ref
    if pattern == "poisson":
        yield (
            f"{ruleset.name} takes points at a fixed concurrency, and this run has poisson arrivals; set load_pattern: "
            "{type: concurrency, target_concurrency: N}"
        )
    if not benchmark.streaming:
        yield f"{ruleset.name} asks for streamed replies, and this run has none; set model_params.streaming: on"
    division = ruleset.division(reference.division if reference else None)
    if division and division.audited and not has_audit:
        yield (
            f"{ruleset.name} asks for audits in the division {division.name}, and this run has none; add "
            "'audit: {test: cache_probe}'"
        )
