"""What a submission lacks of what its ruleset asks for, known from the plan: audits, and samples of an Offline run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..audits.shipped import SHIPPED
from ..config.benchmark import Benchmark
from ..config.rulesets import find_ruleset, least_offline_samples, required_audits
from .judge import PlannedAudit


def lacking(benchmark: Benchmark, plans: Sequence[PlannedAudit]) -> Iterator[str]:
    """Yield a sentence for each thing that a `type: submission` lacks; nothing without a ruleset."""
    reference = benchmark.submission_ref
    ruleset = find_ruleset(reference.ruleset) if reference else None
    if benchmark.type != "submission" or reference is None or ruleset is None:
        return
    planned = {one.audit.id for one in plans}
    for test in required_audits(ruleset, reference.model, reference.division):
        if test not in planned:
            cure = f"add it to `audit:`, as '- test: {test}'" if test in SHIPPED else "it is not among the audits here"
            yield f"{ruleset.name} requires {test.upper()} of {reference.model}, and this run has none; {cure}"
    least = least_offline_samples(ruleset, reference.model, reference.division)
    for one in plans:
        n_samples = min((spec.n_samples for spec in one.specs), default=0)
        if one.id == "performance" and benchmark.scenario == "Offline" and n_samples < least:
            yield (
                f"{ruleset.name} asks for {least} samples or more in an Offline run of {reference.model}, and this one "
                f"has {n_samples}; raise n_samples_to_issue, or use a larger data set"
            )
