"""TEST04 of a submission, re-verified: was the audit run, repeating one sample, no faster than the reference run?

Rule: as in live.py, of the scores that LoadGen's two summaries print (scores.py). Beyond the rule, the logs
must be such that it says something: whole, of two runs, of one scenario, valid, and the audit's of one sample repeated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ...errors import RecordError
from ...loadgen.summary import LIMIT_BYTES, Summary, parse_summary
from ...loadgen.text import read
from ...loadgen.verify_files import RecordedPerformance, read_verify_performance
from ..published import pair as test04_checks
from ..published.case import AuditDirectory, Reverified, status_of
from ..published.scores import UNITS, score_of
from ..verdict import Check, Figure
from . import published_notes as test04_notes
from . import upstream

RUN: Final = Path("performance/run_1")
_SUMMARY: Final = "mlperf_log_summary.txt"


def verify(found: AuditDirectory) -> Reverified:
    """Judge one TEST04 directory by the two summaries. Unreadable files leave it without a verdict, never raise."""
    paths = found.results / RUN / _SUMMARY, found.path / RUN / _SUMMARY
    recorded, unreadable = _recorded(found.path / "verify_performance.txt")
    try:
        reference, audit = (read(path, LIMIT_BYTES) for path in paths)
    except RecordError as error:
        return Reverified(
            checks=[test04_checks.not_readable(str(error))],
            recorded=recorded.verdict,
            notes=unreadable,
        )
    if reference is None or audit is None:
        shown = _without(found, paths, reference, audit)
    else:
        shown = _judged(paths, reference, audit)
    shown.recorded = recorded.verdict
    shown.notes += unreadable
    shown.notes += test04_notes.of_record(recorded, shown)
    shown.notes += test04_notes.of_directory(found.scenario, shown.log_scenario)
    return shown


def _recorded(path: Path) -> tuple[RecordedPerformance, list[str]]:
    none = RecordedPerformance(verdict="", started=False)
    try:
        return read_verify_performance(path) or none, []
    except RecordError as error:
        return none, [str(error)]


def _without(
    found: AuditDirectory, paths: tuple[Path, Path], reference: bytes | None, audit: bytes | None
) -> Reverified:
    """Return what there is to say where one summary is missing."""
    if reference is None:
        where = paths[0].relative_to(found.tree) if paths[0].is_relative_to(found.tree) else paths[0]
        shown = Reverified(skipped=f"the reference run was not published: there is no {where.as_posix()}")
        if audit is not None:
            alone = parse_summary(audit, str(paths[1]))
            shown.log_scenario = alone.scenario
            shown.notes += test04_notes.of_audit_alone(alone)
        return shown
    where = paths[1].relative_to(found.path)
    shown = Reverified(checks=[test04_checks.not_readable(f"the audit run has no {where.as_posix()}")])
    shown.upstream.append(upstream.said(reference, None)[0])
    return shown


def _judged(paths: tuple[Path, Path], reference: bytes, audit: bytes) -> Reverified:
    runs = test04_checks.Runs(parse_summary(reference, str(paths[0])), parse_summary(audit, str(paths[1])))
    said, defects = upstream.said(reference, audit, (runs.reference, runs.audit))
    checks = test04_checks.checks(runs, same_run=_is_same(paths, reference, audit))
    shown = Reverified(
        checks=checks,
        log_scenario=runs.audit.scenario or runs.reference.scenario,
        figures=_figures(runs.reference, runs.audit, checks[-1]),
        upstream=[said],
        defects=defects,
    )
    shown.notes += test04_notes.of_runs(runs.reference, runs.audit, checks[-1])
    if status_of(checks) == "PASS":
        shown.notes += test04_notes.of_details(paths, runs)
    return shown


def _is_same(paths: tuple[Path, Path], reference: bytes, audit: bytes) -> bool:
    try:
        return bool(reference) and (reference == audit or paths[0].samefile(paths[1]))
    except OSError:
        return False


def _figures(reference: Summary, audit: Summary, ratio: Check) -> dict[str, Figure]:
    figures: dict[str, Figure] = {
        "scenario": audit.scenario,
        "unit": UNITS.get(audit.scenario or ""),
        "reference_score": score_of(reference),
        "audit_score": score_of(audit),
        "ratio": ratio.observed,
        "limit_ratio": ratio.limit,
        "sample_index": audit.performance_issue_same_index,
        "reference_min_query_count": reference.min_query_count,
        "audit_min_query_count": audit.min_query_count,
        "reference_target_qps": reference.target_qps,
        "audit_target_qps": audit.target_qps,
    }
    return {name: value for name, value in figures.items() if value is not None}
