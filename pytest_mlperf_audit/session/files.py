"""A run's files for MLPerf's submission checker, in the layout asked for."""

from __future__ import annotations

from ..layouts import classic as classic_layout
from ..layouts import endpoints as endpoints_layout
from ..loadgen.phase_log import Declared
from ..verdicts.document import VerdictDocument
from .run import AuditRun


def write_mlperf_files(run: AuditRun, document: VerdictDocument, layout: str) -> None:
    """Write them; nothing for a simulated run. Raises OSError, and RecordError for records that cannot be read."""
    if document.simulated:
        return
    if layout in ("endpoints", "both"):
        _write_endpoints(run, document)
    if layout in ("classic", "both"):
        classic_layout.write_classic_files(document, _declared(run, document), run.report_dir)


def _write_endpoints(run: AuditRun, document: VerdictDocument) -> None:
    for audit in document.audits:
        if audit.is_audit:
            endpoints_layout.write_audit_files(audit, run.report_dir)
        elif audit.id == "accuracy":
            endpoints_layout.write_accuracy_results(audit, run.report_dir)
        elif audit.status != "NO_VERDICT" and audit.phases and audit.phases[-1].complete:
            endpoints_layout.write_result_summary(audit.phases[-1], document, run.report_dir)


def _declared(run: AuditRun, document: VerdictDocument) -> Declared:
    runtime, dataset = run.benchmark.settings.runtime, run.source.dataset
    return Declared(
        sut_name=f"{document.model} at {document.endpoint}",
        qsl_name=dataset.name,
        qsl_size=len(dataset),
        qsl_rng_seed=runtime.qsl_rng_seed,
        sample_index_rng_seed=runtime.dataloader_random_seed,
        schedule_rng_seed=runtime.scheduler_random_seed,
    )
