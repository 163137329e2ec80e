"""An audit of one's own: one class, one hook. It gets a marker, test ids, the report and the verdict for nothing."""

from typing import Literal

from pydantic import Field

from pytest_mlperf_audit import Audit, AuditBlock, Check, PlanError, Verdict, sequential


class LatencyCeilingBlock(AuditBlock):
    test: Literal["latency_ceiling"]
    samples: int = Field(ge=1, description="Queries to send")
    p90_ms: float = Field(gt=0, description="Highest allowed 90th percentile of latency, in milliseconds")


class LatencyCeiling(Audit[LatencyCeilingBlock]):
    id = "latency_ceiling"
    title = "Latency ceiling"
    config = LatencyCeilingBlock

    def plan(self, cfg, samples, context):
        if cfg.samples > len(samples):
            raise PlanError(f"latency_ceiling.samples: {cfg.samples} asked for, {len(samples)} rows loaded; lower it")
        return [context.phase("ceiling", cfg.samples, order=sequential())]

    def checks(self, cfg, phases):
        return ["completion", "p90"]

    def verify(self, cfg, runs):
        figures = runs["ceiling"].figures
        p90_ms = figures.latency.p90_s * 1000 if figures.latency else None
        return Verdict(
            audit=self.id,
            checks=(
                Check(
                    name="completion",
                    passed=figures.n_completed == cfg.samples,
                    observed=figures.n_completed,
                    limit=cfg.samples,
                    reason=f"{figures.n_completed} of {cfg.samples} queries completed",
                ),
                Check(
                    name="p90",
                    passed=p90_ms is not None and p90_ms <= cfg.p90_ms,
                    observed=p90_ms,
                    limit=cfg.p90_ms,
                    reason=f"the 90th percentile is {p90_ms} ms, at most {cfg.p90_ms:g} ms allowed",
                ),
            ),
            figures={"p90_ms": p90_ms},
        )


def pytest_mlperf_audits():
    return [LatencyCeiling()]
