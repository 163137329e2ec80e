"""TEST01 of a submission, re-verified: is the SUT as accurate in a performance run as in its accuracy run, and as fast?

Two questions, as upstream has them: the accuracy of what a performance run logged (test01_accuracy.py), and whether
that run scored like the reference run, so that logging was not bought with speed. The second is judged by the two
detail logs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ...errors import RecordError
from ...loadgen.detail import read_detail
from ...loadgen.summary import read_summary
from ...loadgen.text import read
from ...loadgen.verify_files import read_verify_performance
from ..published.case import AuditDirectory, Reverified, together
from ..published.same_run import same_file
from ..published.scores import same_score
from . import published_accuracy as test01_accuracy
from . import published_checks as test01_checks
from . import upstream
from .published_checks import Performed

_RUN: Final = Path("performance/run_1")
_DETAIL, _SUMMARY = "mlperf_log_detail.txt", "mlperf_log_summary.txt"
#: A larger log is judged all the same, in bounded memory; what upstream says of it is then not known.
_UPSTREAM_LIMIT_BYTES: Final = 64 * 1024 * 1024


def verify(found: AuditDirectory) -> Reverified:
    """Judge one TEST01 directory."""
    return together([performance(found), test01_accuracy.accuracy(found)])


def performance(found: AuditDirectory) -> Reverified:
    """Judge whether the audit run scored like the reference run. Unreadable files leave no verdict, never raise."""
    directories = found.results / _RUN, found.path / _RUN
    try:
        shown = _performance(found, directories)
        recorded = read_verify_performance(found.path / "verify_performance.txt")
    except RecordError as error:
        return Reverified(checks=[test01_checks.not_readable(str(error))])
    if recorded and recorded.verdict:
        shown.recorded = f"performance {recorded.verdict}"
    for name, was in (
        ("reference", recorded and recorded.reference_score),
        ("audit", recorded and recorded.audit_score),
    ):
        now = shown.figures.get(f"{name}_score")
        if was and isinstance(now, float) and not _is_recorded(was, now, shown.log_scenario):
            shown.notes.append(
                f"verify_performance.txt has the {name} score {was:g}, the log {now:g}: it was written for another run."
            )
    return shown


def _performance(found: AuditDirectory, directories: tuple[Path, Path]) -> Reverified:
    reference, audit = (_performed(directory) for directory in directories)
    if reference is None:
        where = directories[0] / _DETAIL
        where = where.relative_to(found.tree) if where.is_relative_to(found.tree) else where
        return Reverified(skipped=f"the reference run was not published: there is no {where.as_posix()}")
    if audit is None:
        return Reverified(checks=[test01_checks.not_readable(f"the audit run has no {(_RUN / _DETAIL).as_posix()}")])
    same = _is_same(directories, reference, audit)
    checks = test01_checks.checks(reference, audit, same_run=same)
    shown = Reverified(
        checks=checks,
        log_scenario=audit.scenario or reference.scenario,
        figures=test01_checks.figures(reference, audit, checks[-1]),
        notes=test01_checks.notes(reference, audit),
    )
    if reference.from_detail and audit.from_detail:
        _ask_upstream(shown, directories)
    return shown


def _performed(directory: Path) -> Performed | None:
    """Return a run by its detail log, by its summary where that was not published, None without both."""
    if (directory / _DETAIL).exists():
        return test01_checks.of_detail(read_detail(directory / _DETAIL))
    if (directory / _SUMMARY).exists():
        return test01_checks.of_summary(read_summary(directory / _SUMMARY))
    return None


def _is_same(directories: tuple[Path, Path], reference: Performed, audit: Performed) -> bool:
    if reference.from_detail != audit.from_detail:
        return False
    name = _DETAIL if reference.from_detail else _SUMMARY
    return same_file(directories[0] / name, directories[1] / name)


def _ask_upstream(shown: Reverified, directories: tuple[Path, Path]) -> None:
    try:
        logs = [read(directory / _DETAIL, _UPSTREAM_LIMIT_BYTES) for directory in directories]
    except RecordError as error:
        shown.notes.append(f"What upstream's script says was not worked out. {error}")
        return
    said, shown.defects = upstream.said(*logs)
    separate = next(check for check in shown.checks if check.name == "performance_separate_runs")
    if not separate.passed and upstream.SAME_RUN not in shown.defects:  # one of the two logs was edited
        shown.defects.append(upstream.SAME_RUN)
    shown.upstream.append(said)


def _is_recorded(was: float, now: float, scenario: str | None) -> bool:
    """Return whether a recorded score can be of this run; scripts of older rounds recorded queries/s for a latency."""
    return same_score(was, now, scenario) or same_score(was, 1e9 / now if now else now, scenario)
