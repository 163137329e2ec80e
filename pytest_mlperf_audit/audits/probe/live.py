"""cache_probe: does the system cache replies, or parts of the work, where no cache can know the prompts?

Ours, not MLPerf's. It holds where TEST04's ratio does not: with a warm cache, after a main run, under noise, and for
LLM endpoints, which TEST04 exempts. Method and error rates: docs/method.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field
from typing_extensions import override

from ...config.block import AuditBlock
from ...runs.phase import MeasuredPhase
from ...runs.script import Script
from ...runs.spec import RunSpec
from ..contract import Audit, AuditContext, Samples
from ..verdict import Verdict
from .conclusion import Conclusion
from .plan import PHASE, as_planned, phase, planned, probe_of
from .script import script
from .settings import Kind, ProbeSettings


class CacheProbeBlock(AuditBlock, ProbeSettings):
    """The keys of test04's `probe:`, as an audit of their own."""

    test: Literal["cache_probe"] = Field(description="The cache probe alone")


class CacheProbe(Audit[CacheProbeBlock]):
    """The cache probe against an HTTP endpoint, in whatever wire format."""

    id = "cache_probe"
    title = "Cache probe"
    config = CacheProbeBlock

    @override
    def plan(self, cfg: CacheProbeBlock, samples: Samples, context: AuditContext) -> list[RunSpec]:
        return [phase(planned(cfg, samples, context), context)]

    @override
    def checks(self, cfg: CacheProbeBlock, phases: Sequence[RunSpec]) -> list[str]:
        return [_check_name(kind) for kind in probe_of(phases[0]).forbidden]

    @override
    def script(self, cfg: CacheProbeBlock, phase: RunSpec, samples: Samples) -> Script:
        return script(probe_of(phase), phase.nonce_seed or 0)

    @override
    def verify(self, cfg: CacheProbeBlock, runs: Mapping[str, MeasuredPhase]) -> Verdict:
        probe = probe_of(runs[PHASE].spec)
        conclusion = Conclusion(probe, as_planned(runs[PHASE].spec, runs[PHASE].read()))
        return Verdict(
            audit=self.id,
            checks=tuple(
                conclusion.kind_check(kind, _check_name(kind), asked=cfg.forbid is not None) for kind in probe.forbidden
            ),
            figures=conclusion.figures(),
            notes=conclusion.notes(),
            findings=conclusion.findings(),
            arms=conclusion.arms(),
            kinds=conclusion.kinds,
        )


def _check_name(kind: Kind) -> str:
    return f"no_cache[{kind}]"
