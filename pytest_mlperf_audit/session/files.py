"""A run's files for MLPerf's submission checker, in the layout asked for."""

from __future__ import annotations

from ..layouts import classic as classic_layout
from ..layouts import endpoints as endpoints_layout
from ..layouts.accuracy_results import write_accuracy_results
from ..loadgen.phase_log import Declared
from ..report.outcome import RunOutcome
from .run import AuditRun


def write_mlperf_files(run: AuditRun, outcome: RunOutcome, layout: str) -> None:
    """Write them; nothing for a simulated run. Raises OSError, and RecordError for records that cannot be read."""
    if outcome.simulated:
        return
    if layout in ("endpoints", "both"):
        _write_endpoints(run, outcome)
    if layout in ("classic", "both"):
        classic_layout.write_classic_files(outcome, _declared(run, outcome), run.report_dir)


def _write_endpoints(run: AuditRun, outcome: RunOutcome) -> None:
    for audit in outcome.audits:
        if audit.is_audit:
            endpoints_layout.write_audit_files(audit, run.report_dir / "audit")
        elif audit.id == "accuracy":
            write_accuracy_results(audit, run.report_dir)
        elif audit.status != "NO_VERDICT" and audit.phases and audit.phases[-1].record.complete:
            endpoints_layout.write_result_summary(audit.phases[-1], outcome, run.report_dir)


def _declared(run: AuditRun, outcome: RunOutcome) -> Declared:
    runtime, dataset = run.benchmark.settings.runtime, run.source.dataset
    return Declared(
        sut_name=f"{outcome.model} at {outcome.endpoint}",
        qsl_name=dataset.name,
        qsl_size=len(dataset),
        qsl_rng_seed=runtime.qsl_rng_seed,
        sample_index_rng_seed=runtime.dataloader_random_seed,
        schedule_rng_seed=runtime.scheduler_random_seed,
    )
