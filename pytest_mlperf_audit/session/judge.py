"""PlannedAudit to Verdict and AuditEntry, from what is on disk. A live session and a recheck judge here alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from ..audits import registry
from ..audits.contract import Audit
from ..audits.counters import counter_notes
from ..audits.verdict import Check, Figure, Verdict
from ..config.block import AuditBlock
from ..config.redact import is_secret_name
from ..errors import NoVerdictError, RecordError
from ..load.group import PlannedPhase
from ..records.store import complete_phase, consistent, read_phase, require_planned, started
from ..runs.phase import MeasuredPhase, PhaseRecord
from ..runs.spec import RunSpec
from ..text import REDACTED
from ..verdicts.document import AuditEntry, CheckEntry, CheckStatus, PhaseEntry, audit_status, storable_audit
from . import third_party
from .phase_warnings import PhaseWarnings


@dataclass(frozen=True)
class PlannedAudit:
    """An audit of the YAML with all that is known before it runs. `warmup` phases are sent but never judged.

    `beside` are phases of the main run, which are evidence where they were sent before.
    """

    audit: Audit[Any]
    cfg: AuditBlock
    phases: tuple[PlannedPhase, ...]
    checks: tuple[str, ...]
    warmup: PlannedPhase | None = None
    beside: tuple[PlannedPhase, ...] = ()

    @property
    def id(self) -> str:
        """The entry's id, which is the class in its tests' ids: the audit's, and the entry's own name."""
        return registry.entry_id(self.audit, self.cfg)

    @property
    def markers(self) -> tuple[str, ...]:
        """The markers of its tests: the audit's id, and the entry's own name."""
        return (self.audit.id, self.cfg.name) if self.cfg.name else (self.audit.id,)

    @property
    def specs(self) -> tuple[RunSpec, ...]:
        """What is judged, in the order it is sent."""
        return tuple(planned.spec for planned in self.phases)

    @property
    def surely(self) -> tuple[RunSpec, ...]:
        """What is judged and sent whatever comes of it."""
        return tuple(spec for spec in self.specs if not spec.conditional)

    @property
    def all_phases(self) -> tuple[PlannedPhase, ...]:
        """What is sent, the warm-up first."""
        return (self.warmup, *self.phases) if self.warmup else self.phases


def with_beside(planned: PlannedAudit, sent: Iterable[PlannedPhase]) -> PlannedAudit:
    """Return an audit with those of the phases `sent` by the main run that it asks for."""
    return replace(planned, beside=tuple(phase for phase in sent if phase.spec.label in planned.audit.beside))


def judge(planned: PlannedAudit, odd: PhaseWarnings | None = None) -> Verdict:
    """Return the verdict on what is on disk; `odd` looks at its phases, too. Raises NoVerdictError or RecordError."""
    records = complete_records(planned)
    measured = measured_phases(planned, records)
    if odd is not None:
        for phase in planned.phases:
            if phase.spec.label in measured:
                odd.look(records[phase.spec.label], measured[phase.spec.label].queries, phase.source)
    verdict = third_party.verify(planned.audit, planned.cfg, planned.checks, measured)
    counted = counter_notes({label: record.counters for label, record in records.items()})
    verdict = msgspec.structs.replace(verdict, notes=(*verdict.notes, *counted))
    again = [label for label, record in records.items() if record.attempt > 1]
    return _with_retakes(verdict, planned.audit, again) if again else verdict


def _with_retakes(verdict: Verdict, audit: Audit[Any], again: Sequence[str]) -> Verdict:
    """Return a verdict on phases of which some were sent `again`: what a first attempt alone can show is undecided."""
    note = (
        f"sent again after an attempt that was cut short: {', '.join(again)}; a cache may know the queries of that "
        "attempt, and the endpoint may still have been at them"
    )
    cure = f"{note}; empty the endpoint's caches, as by a restart, and run the audit in a new session"
    checks = tuple(
        msgspec.structs.replace(check, passed=None, reason=f"{cure} ({check.reason})")
        if check.name.partition("[")[0] in audit.first_time
        else check
        for check in verdict.checks
    )
    return msgspec.structs.replace(verdict, checks=checks, notes=(*verdict.notes, note))


def measured_phases(planned: PlannedAudit, records: Mapping[str, PhaseRecord]) -> dict[str, MeasuredPhase]:
    """Return phases with their queries by label, those that have a record, and those beside. Raises RecordError."""
    directories = {phase.spec.label: phase.directory for phase in planned.phases}
    measured = {label: consistent(directories[label], record) for label, record in records.items()}
    return {**_beside(planned, records), **measured}


def _beside(planned: PlannedAudit, records: Mapping[str, PhaseRecord]) -> dict[str, MeasuredPhase]:
    """Return the complete phases beside an audit that were begun before its own; what cannot be read is left out."""
    first = min((record.started_at for record in records.values()), default="")
    found = ((phase.spec.label, _before(first, phase.directory)) for phase in planned.beside)
    return {label: phase for label, phase in found if phase is not None}


def _before(moment: str, directory: Path) -> MeasuredPhase | None:
    """Return the phase in a directory if it is whole and began before a moment; its own checks tell what is wrong."""
    try:
        record = read_phase(directory)
        if record is None or not record.complete or record.started_at >= moment:
            return None
        return consistent(directory, record)
    except RecordError:
        return None


def complete_records(planned: PlannedAudit) -> dict[str, PhaseRecord]:
    """Return an audit's complete phase records by label, without conditional phases that were never begun.

    Raises NoVerdictError or RecordError.
    """
    records = {}
    if planned.warmup:
        complete_phase(planned.warmup.directory)
    for phase in planned.phases:
        if phase.spec.conditional and not started(phase.directory):
            continue
        record = records[phase.spec.label] = complete_phase(phase.directory)
        require_planned(phase.directory, record, phase.spec)
        _require_none_starved(record)
    return records


def _require_none_starved(record: PhaseRecord) -> None:
    """Raise NoVerdictError for a phase whose times are not the system's alone: queries waited for a connection."""
    if record.starved:
        fewer = "" if record.connections_taken is None else f" to {record.connections_taken}"
        raise NoVerdictError(
            f"phase {record.spec.label}: {record.starved} queries waited on connections that the endpoint did not take "
            "while it answered on others, so that the phase's times are not its own; give it more threads, or lower "
            f"settings.load_pattern.target_concurrency{fewer}"
        )


def judged_or_why(planned: PlannedAudit, odd: PhaseWarnings | None = None) -> tuple[Verdict | None, str]:
    """Return the verdict, or None and the reason why there is none; see judge."""
    try:
        return judge(planned, odd), ""
    except (NoVerdictError, RecordError) as error:
        return None, str(error)


def begun(phases: Iterable[PlannedPhase]) -> bool:
    """Whether any of these phases was started."""
    return any(started(phase.directory) for phase in phases)


def audit_entry(
    planned: PlannedAudit,
    verdict: Verdict | None,
    why_none: str,
    *,
    report_dir: Path,
    config: str,
    statuses: Callable[[str, Check | None], CheckStatus],
) -> AuditEntry:
    """Return what an audit came to, as verdict.json has it; `statuses` says what became of the test of each check.

    `why_none` is the reason where there is no verdict; phases' directories are given relative to `report_dir`.
    """
    checks = tuple(_check(f"{config}::{planned.id}", name, verdict, statuses) for name in planned.checks)
    broken = verdict is None and begun(planned.all_phases)
    statuses_of = [check.status for check in checks if check.tested]
    status = audit_status(statuses_of, no_verdict=broken, measured=verdict is not None)
    entry = AuditEntry(
        id=planned.id,
        name=planned.cfg.name or "",
        title=planned.audit.title,
        status=status,
        is_audit=planned.audit.id not in registry.runs(),
        mlperf_name=planned.audit.mlperf_name,
        settings=settings(planned.cfg),
        checks=checks,
        phases=tuple(
            PhaseEntry.of(
                record, phase.directory.relative_to(report_dir).as_posix(), judged=phase is not planned.warmup
            )
            for phase, record in phase_records(planned)
        ),
        figures=dict(verdict.figures) if verdict else {},
        notes=verdict.notes if verdict else (),
        # Whoever gets the report has the directory elsewhere, and no use for where it lay.
        reason=why_none.replace(f"{report_dir}/", "") if broken else _doubts(checks) if status == "NO_VERDICT" else "",
        findings=verdict.findings if verdict else (),
        diffs=verdict.diffs if verdict else (),
        arms=verdict.arms if verdict else (),
        planned=tuple(spec.label for spec in planned.surely),
        ratios=verdict.ratios if verdict else (),
        kinds=verdict.kinds if verdict else (),
    )
    return storable_audit(entry)


def _check(
    prefix: str, name: str, verdict: Verdict | None, statuses: Callable[[str, Check | None], CheckStatus]
) -> CheckEntry:
    check = verdict.check(name) if verdict else None
    return CheckEntry.of(name, check, f"{prefix}::{name}", statuses(name, check))


def _doubts(checks: Iterable[CheckEntry]) -> str:
    """Return why checks are undecided, each reason once."""
    return "; ".join(dict.fromkeys(check.reason for check in checks if check.undecided))


def phase_records(planned: PlannedAudit) -> Iterator[tuple[PlannedPhase, PhaseRecord]]:
    """Yield the phases whose records can be read, the warm-up first."""
    for phase in planned.all_phases:
        try:
            record = read_phase(phase.directory)
        except RecordError:
            continue  # the verdict's reason names it
        if record is not None:
            yield phase, record


def settings(cfg: AuditBlock) -> dict[str, Figure]:
    """Return the settings of an audit's block; those of a block within carry its key: probe.design."""
    return dict(_flat(cfg.model_dump(mode="json", exclude={"test", "only", "name"})))


def _flat(values: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Figure]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{where}{key}.")
        elif value is not None and is_secret_name(str(key)):
            yield f"{where}{key}", REDACTED
        else:
            yield f"{where}{key}", value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
