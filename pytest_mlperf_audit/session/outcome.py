"""What a run came to and the files it leaves: records and the statuses of checks to a document, then the files.

MLPerf's files come first, then verdict.json with the digests of all, then report.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version

import msgspec

from ..audits.verdict import Check, Figure
from ..config.redact import resolved_yaml
from ..layouts import classic as classic_layout
from ..layouts import endpoints as endpoints_layout
from ..layouts.result_summary import run_config
from ..layouts.rolling import write_point
from ..layouts.videos import keep_videos, sample_rows, without_videos
from ..load.loop import loop_name
from ..loadgen.phase_log import Declared
from ..report.write import write_report
from ..runs.clock import Clock
from ..verdicts.document import SIMULATED_ENDPOINT, AuditEntry, CheckStatus, VerdictDocument, document
from .compare import comparison_of
from .identity import identity_of, without_secrets
from .judge import PlannedAudit, audit_entry, judged_or_why
from .phase_warnings import PhaseWarnings
from .run import AuditRun


def run_document(
    run: AuditRun,
    clock: Clock,
    started_at: str,
    environment: dict[str, Figure],
    *,
    status: Callable[[str], CheckStatus],
    lost: Callable[[Iterable[str]], str] = lambda _: "",
) -> VerdictDocument:
    """Return what a run came to, without digests of its files.

    `status` says what became of a check, by its node id; `lost` why tests of these checks never ended, "" where all
    did. `environment` is that of the session, see account.environment.
    """
    odd = PhaseWarnings(run.source)
    audits = tuple(_audit(run, planned, odd, status, lost) for planned in run.plans)
    benchmark = run.benchmark
    return document(
        name=benchmark.name or run.path.stem,
        config=run.node_id,
        simulated=run.simulated,
        endpoint=SIMULATED_ENDPOINT if run.target is None else run.target.label,
        api_type=benchmark.endpoint_config.api_type,
        model=benchmark.model_params.name,
        started_at=started_at,
        finished_at=clock.now(),
        environment={
            **_shown(environment, run.loaded.secrets),
            "aiohttp": version("aiohttp"),
            "httptools": version("httptools"),
            "event_loop": loop_name(),
        },
        audits=audits,
        warnings=tuple(dict.fromkeys(_without_places(run, [*run.warnings, *odd.warnings, clock.set_by() or ""]))),
        identity=identity_of(benchmark),
        comparison=comparison_of(run),
    )


def _shown(environment: dict[str, Figure], secrets: Sequence[str]) -> dict[str, Figure]:
    command = environment.get("command")
    return {**environment, "command": without_secrets(command, secrets)} if isinstance(command, str) else environment


def _without_places(run: AuditRun, warnings: Iterable[str]) -> Iterator[str]:
    """Yield warnings with paths as they are from the YAML: where that lies is nobody's business who gets the report."""
    for warning in filter(None, warnings):
        yield warning.replace(f"{run.report_dir}/", "").replace(f"{run.path.parent}/", "")


def _audit(
    run: AuditRun,
    planned: PlannedAudit,
    odd: PhaseWarnings,
    status: Callable[[str], CheckStatus],
    lost: Callable[[Iterable[str]], str],
) -> AuditEntry:
    def of_check(name: str, check: Check | None) -> CheckStatus:
        tested = status(f"{run.node_id}::{planned.id}::{name}")
        if tested in {"passed", "failed"} and (check is None or check.passed != (tested == "passed")):
            return "error"  # the records no longer say what the test saw
        return tested

    verdict, why_none = judged_or_why(planned, odd)
    entry = audit_entry(planned, verdict, why_none, report_dir=run.report_dir, config=run.node_id, statuses=of_check)
    why_lost = lost(check.node_id for check in entry.checks)
    if not why_lost or entry.status != "NO_VERDICT":
        return entry
    reason = f"{why_lost}, so that a test of this audit never ended; {entry.reason or 'run the audit again'}"
    return msgspec.structs.replace(entry, reason=reason)


def write_files(run: AuditRun, verdict: VerdictDocument, layout: str) -> VerdictDocument:
    """Write MLPerf's files in a layout, unless the run is simulated; then the verdict, then the report.

    Returns the verdict as written, which has a warning more where the layout asked for is not whole.
    Raises OSError, and RecordError for records that cannot be read.
    """
    if not verdict.simulated:
        _write_mlperf_files(run, verdict, layout)
        gaps = [classic_layout.unwritten_runs(verdict) if layout in ("classic", "both") else "", *_videos(run, verdict)]
        verdict = msgspec.structs.replace(verdict, warnings=(*verdict.warnings, *filter(None, gaps)))
    write_report(verdict, run.report_dir)
    return verdict


def _videos(run: AuditRun, verdict: VerdictDocument) -> Iterator[str]:
    """Keep the sample videos of an accuracy run, and yield what is missing of them."""
    accuracy = next((audit for audit in verdict.audits if audit.kind == "accuracy" and audit.status == "PASS"), None)
    reference = run.benchmark.submission_ref
    rows = sample_rows(_benchmark_name(run), reference.ruleset if reference else "")
    if accuracy is None or not rows:
        return
    lacking = list(rows)
    for dataset in run.benchmark.scored_datasets:
        if dataset.accuracy_config and (videos := dataset.accuracy_config.videos):
            lacking = keep_videos(accuracy, tuple(lacking), run.path.parent / videos, run.report_dir)
    if lacking and run.benchmark.type == "submission":
        yield without_videos(lacking)


def _write_mlperf_files(run: AuditRun, verdict: VerdictDocument, layout: str) -> None:
    if layout in ("endpoints", "both"):
        for audit in verdict.audits:
            _write_endpoints(run, audit, verdict)
        write_point(verdict, run.benchmark, run.source.dataset.name, run.report_dir)
    if layout in ("classic", "both"):
        classic_layout.write_classic_files(verdict, _declared(run, verdict), run.report_dir)


def _write_endpoints(run: AuditRun, audit: AuditEntry, verdict: VerdictDocument) -> None:
    config = run_config(run.benchmark)
    if audit.is_audit:
        if endpoints_layout.write_audit_files(audit, run.report_dir):
            text = resolved_yaml(run.benchmark, run.loaded.written, run.loaded.secrets)
            endpoints_layout.write_phase_files(audit, verdict, run.report_dir, config, text)
    elif audit.kind == "accuracy":
        endpoints_layout.write_accuracy_results(audit, run.report_dir)
    elif audit.status != "NO_VERDICT" and audit.phases and audit.phases[-1].complete:
        endpoints_layout.write_result_summary(audit.phases[-1], verdict, run.report_dir, config)


def _declared(run: AuditRun, verdict: VerdictDocument) -> Declared:
    runtime, dataset = run.benchmark.settings.runtime, run.source.dataset
    return Declared(
        sut_name=f"{verdict.model} at {verdict.endpoint}",
        qsl_name=dataset.name,
        qsl_size=len(dataset),
        benchmark=_benchmark_name(run),
        qsl_rng_seed=runtime.qsl_rng_seed,
        sample_index_rng_seed=runtime.dataloader_random_seed,
        schedule_rng_seed=runtime.scheduler_random_seed,
    )


def _benchmark_name(run: AuditRun) -> str:
    """Return MLPerf's name of the model: submission_ref.model, else the model's own."""
    benchmark = run.benchmark
    return benchmark.submission_ref.model if benchmark.submission_ref else benchmark.model_params.name
