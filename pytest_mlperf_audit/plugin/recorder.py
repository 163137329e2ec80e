"""Test outcomes to the verdict: files, exit status, summary. Lives where results come together."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from ..audits.verdict import Figure, Verdict
from ..errors import NoVerdictError, RecordError
from ..load.loop import loop_name
from ..mlperf import endpoints_layout
from ..records.store import read_phase
from ..report import ci_summary, text
from ..report.outcome import AuditOutcome, CheckOutcome, CheckStatus, PhaseOutcome, RunOutcome
from ..report.status import audit_status, run_status
from ..report.write import write_report
from .run import AuditRun, PlannedAudit, begun
from .session import AuditSession
from .signals import deferred

EXIT_NO_VERDICT = 6


class Recorder:
    """Registered on the xdist controller or the lone process, never on a worker."""

    def __init__(self, session: AuditSession, workers: int) -> None:
        self._session = session
        self._workers = workers
        self._started_at = _now()
        self._outcomes: dict[str, CheckStatus] = {}
        self._failed_elsewhere = False
        self._problems: list[str] = []
        self.results: list[tuple[AuditRun, RunOutcome]] = []

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a check; the last word of a rerun counts."""
        if not self._is_ours(report.nodeid):
            self._failed_elsewhere = self._failed_elsewhere or report.failed
        elif report.failed:
            self._outcomes[report.nodeid] = "failed" if report.when == "call" else "error"
        elif report.when == "call" and report.passed:
            self._outcomes[report.nodeid] = "passed"

    @pytest.hookimpl(trylast=True)  # when xdist has seen its workers off
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write what the runs came to, and set the exit status."""
        with deferred(signal.SIGINT, signal.SIGTERM) as came:  # the user has waited for this longer than it takes
            for run in self._session.prepared:
                outcome = self._outcome(run)
                self.results.append((run, outcome))
                self._write(run, outcome)
        if came:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        if session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED} and self._without_verdict():
            session.exitstatus = EXIT_NO_VERDICT

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what the runs came to."""
        colours = {"pass": {"green": True}, "fail": {"red": True}, "warn": {"yellow": True}, "plain": {}}
        for run, outcome in self.results:
            terminalreporter.section(f"mlperf audit: {run.path.name}")
            for line, kind in text.terminal_lines(outcome):
                terminalreporter.write_line(line, **colours[kind])
            terminalreporter.write_line(f"report: {run.report_dir / 'report.html'}")
        for problem in self._problems:
            terminalreporter.write_line(problem, red=True)

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        """Stop what the session started."""
        self._session.close()

    def _is_ours(self, node_id: str) -> bool:
        return any(node_id.startswith(f"{run.node_id}::") for run in self._session.runs)

    def _without_verdict(self) -> bool:
        statuses = {outcome.status for _, outcome in self.results}
        return (
            bool(self._problems) or ("NO_VERDICT" in statuses and "FAIL" not in statuses)
        ) and not self._failed_elsewhere

    def _outcome(self, run: AuditRun) -> RunOutcome:
        audits = tuple(self._audit(run, planned) for planned in run.plans)
        benchmark = run.benchmark
        return RunOutcome(
            name=benchmark.name or run.path.stem,
            config=run.node_id,
            status=run_status(audits),
            simulated=run.simulated,
            endpoint="embedded simulated endpoint" if run.target is None else run.target.label,
            api_type=benchmark.endpoint_config.api_type,
            model=benchmark.model_params.name,
            started_at=self._started_at,
            finished_at=_now(),
            environment=environment(self._workers),
            audits=audits,
            warnings=run.warnings,
        )

    def _audit(self, run: AuditRun, planned: PlannedAudit) -> AuditOutcome:
        verdict, reason = _judge(run, planned)
        checks = tuple(self._check(run, planned, name, verdict) for name in planned.checks)
        broken = verdict is None and begun(planned.all_phases)
        status = audit_status([check.status for check in checks], no_verdict=broken, measured=verdict is not None)
        return AuditOutcome(
            id=planned.id,
            title=planned.audit.title,
            status=status,
            is_audit=planned.is_audit,
            checks=checks,
            phases=tuple(_phases(run, planned)),
            figures=dict(verdict.figures) if verdict else {},
            notes=verdict.notes if verdict else (),
            findings=verdict.findings if verdict else (),
            arms=verdict.arms if verdict else (),
            reason=reason if broken else _doubts(checks) if status == "NO_VERDICT" else "",
            mlperf_name=planned.audit.mlperf_name,
            settings=_settings(planned),
        )

    def _check(self, run: AuditRun, planned: PlannedAudit, name: str, verdict: Verdict | None) -> CheckOutcome:
        node_id = f"{run.node_id}::{planned.id}::{name}"
        status = self._outcomes.get(node_id, "not_run")
        check = verdict.check(name) if verdict else None
        if status in {"passed", "failed"} and (check is None or check.passed != (status == "passed")):
            status = "error"  # the records no longer say what the test saw
        return CheckOutcome(
            name=name, node_id=node_id, status=status, check=check, reason=check.reason if check else ""
        )

    def _write(self, run: AuditRun, outcome: RunOutcome) -> None:
        """Write MLPerf's files, then the verdict with the digests of all, then the report."""
        try:
            if not outcome.simulated:
                _write_mlperf_files(run, outcome)
            write_report(outcome, run.report_dir)
            if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
                ci_summary.append(outcome, Path(summary))
        except OSError as error:
            self._problems.append(f"{run.report_dir}: the report could not be written ({error.strerror or error})")


def _judge(run: AuditRun, planned: PlannedAudit) -> tuple[Verdict | None, str]:
    try:
        return run.judge(planned.id), ""
    except (NoVerdictError, RecordError) as error:
        return None, str(error)


def _doubts(checks: Iterable[CheckOutcome]) -> str:
    """Return why checks are undecided, each reason once."""
    return "; ".join(dict.fromkeys(one.reason for one in checks if one.check and one.check.passed is None))


def _phases(run: AuditRun, planned: PlannedAudit) -> Iterable[PhaseOutcome]:
    for phase in planned.all_phases:
        try:
            record = read_phase(phase.directory)
        except RecordError:
            continue  # the verdict's reason names it
        if record is not None:
            directory = phase.directory.relative_to(run.report_dir).as_posix()
            yield PhaseOutcome(directory=directory, record=record, judged=phase is not planned.warmup)


def _settings(planned: PlannedAudit) -> dict[str, Figure]:
    return dict(_flat(planned.cfg.model_dump(mode="json", exclude={"test", "only"})))


def _flat(values: dict[str, Any], where: str = "") -> Iterator[tuple[str, Figure]]:
    """Yield the settings of a block; those of a block within carry its key: probe.design."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{where}{key}.")
        else:
            yield f"{where}{key}", value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def _write_mlperf_files(run: AuditRun, outcome: RunOutcome) -> None:
    for audit in outcome.audits:
        if audit.is_audit:
            endpoints_layout.write_audit_files(audit, run.report_dir / "audit")
        elif audit.phases and audit.phases[-1].record.complete:
            endpoints_layout.write_result_summary(audit.phases[-1], outcome, run.report_dir)


def environment(workers: int) -> dict[str, Figure]:
    """Return what a reader needs to know of the machine that measured."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "pytest": pytest.__version__,
        "pytest_mlperf_audit": version("pytest-mlperf-audit"),
        "aiohttp": version("aiohttp"),
        "event_loop": loop_name(),
        "xdist_workers": workers,
    }


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
