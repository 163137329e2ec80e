"""Recheck: a finished run judged once more, by the code that judges live ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from .._version import __version__
from ..audits import registry
from ..audits.contract import Audit
from ..audits.main_run import Accuracy, AccuracyBlock, Performance
from ..audits.verdict import Check
from ..config.benchmark import Benchmark
from ..config.block import AuditBlock
from ..errors import MlperfAuditError, NoVerdictError, RecordError
from ..layouts.endpoints import file_differences, phase_file_differences
from ..layouts.result_summary import run_config
from ..load.group import PlannedPhase
from ..records.artifacts import Artifact, artifacts, what_changed
from ..records.files import read_limited
from ..runs.phase import PhaseRecord
from ..verdicts.comparison import Comparison
from ..verdicts.differences import Terms, audit_differences, run_differences
from ..verdicts.document import (
    SIMULATED_ENDPOINT,
    AuditEntry,
    CheckEntry,
    CheckStatus,
    Tool,
    VerdictDocument,
    document,
)
from ..verdicts.files import NO_ARTIFACTS, seal_problem
from . import plan as groups
from . import third_party
from .accuracy import accuracy_block, accuracy_runs
from .compare import rejudged
from .contradictions import contradictions
from .finished import FinishedRun
from .identity import identity_of
from .judge import PlannedAudit, audit_entry, judge, phase_records, with_beside
from .official import recounted


@dataclass(frozen=True)
class Recomputed:
    """What an audit came to when judged once more: `entry` as verdict.json would have it now, from `records`.

    `judged`: it reached a verdict. `damage` says why it could not be judged where the records are to blame; `files` are
    differences in MLPerf's files, `summaries` those in the summaries of single phases.
    """

    stored: AuditEntry
    entry: AuditEntry | None = None
    records: tuple[PhaseRecord, ...] = ()
    why_none: str = ""
    judged: bool = False
    damage: str = ""
    files: tuple[str, ...] = ()
    summaries: tuple[str, ...] = ()

    def check(self, name: str) -> CheckEntry | None:
        """Return a check as recomputed, None when it was not."""
        return self.entry.check(name) if self.entry else None


class Recheck:
    """One finished run. Each audit is judged when its result is first needed, and once."""

    def __init__(self, run: FinishedRun, audits: registry.Registry) -> None:
        self.run = run
        self._audits = audits
        self._recomputed: dict[str, Recomputed] = {}

    @property
    def directory(self) -> Path:
        """The run's directory."""
        return self.run.directory

    @property
    def stored(self) -> VerdictDocument:
        """The stored verdict. Raises RecordError when there is none that can be used."""
        if self.run.stored is None:
            raise RecordError(self.run.problem)
        return self.run.stored

    @property
    def terms(self) -> Terms:
        """How strictly stored and recomputed are compared."""
        return Terms.between(self.stored.tool, Tool(name=self.stored.tool.name, version=__version__))

    def knows(self, audit_id: str) -> bool:
        """Whether an audit of this id can be judged here."""
        return audit_id in registry.runs() or self.entry(audit_id).test in self._audits

    def entry(self, audit_id: str) -> AuditEntry:
        """Return a stored audit."""
        return next(entry for entry in self.stored.audits if entry.id == audit_id)

    def recomputed(self, audit_id: str) -> Recomputed:
        """Return what an audit comes to now."""
        if audit_id not in self._recomputed:
            self._recomputed[audit_id] = self._recompute(self.entry(audit_id))
        return self._recomputed[audit_id]

    @cached_property
    def seal_problem(self) -> str:
        """What is wrong with the verdict's own digest, "" for nothing. Raises RecordError when it cannot be read."""
        try:
            return seal_problem(read_limited(self.run.verdict_file))
        except OSError as error:
            raise RecordError(f"{self.run.verdict_file}: cannot be read ({error.strerror})") from error

    @cached_property
    def changed_files(self) -> tuple[str, ...]:
        """What became of the files since the verdict. Raises RecordError without a verdict."""
        recorded, unreadable = self.stored.artifacts, list[str]()
        sizes = {artifact.bytes for artifact in recorded.values()}

        def note(error: OSError) -> None:
            unreadable.append(f"{error.filename}: cannot be read ({error.strerror})")

        found: dict[str, Artifact] = dict(artifacts(self.directory, NO_ARTIFACTS, note, sizes))
        return (*unreadable, *what_changed(recorded, found))

    def differences_of_run(self) -> list[str]:
        """Return what of the run as a whole does not follow from its audits and their records. Raises RecordError."""
        stored, config = self.stored, self._config
        now = [self.recomputed(entry.id) for entry in stored.audits]
        records = [record for audit in now for record in audit.records]
        recomputed = document(
            name=config.name or stored.name,
            config=stored.config,
            simulated=_simulated(records, stored),
            endpoint=_endpoint(records, stored),
            api_type=config.endpoint_config.api_type,
            model=config.model_params.name,
            started_at=stored.started_at,
            finished_at=stored.finished_at,
            environment=stored.environment,
            audits=tuple(audit.entry or audit.stored for audit in now),
            warnings=stored.warnings,
            identity=identity_of(config) if stored.identity else {},
            comparison=self._comparison(),
        )
        return [*self._left_out(), *run_differences(stored, recomputed, self.terms)]

    def _comparison(self) -> Comparison | None:
        """Return the stored comparison as this run's records have it; as stored where they have no such phase."""
        stored = self.stored.comparison
        for entry in self.stored.audits if stored else ():
            for phase in entry.phases:
                if stored and stored.phase == f"{entry.id} {phase.label}":
                    try:
                        return rejudged(stored, self.run.phase_directory(phase.directory))
                    except MlperfAuditError:
                        return stored  # the phase's own audit says what is wrong with its records
        return stored

    def _left_out(self) -> Iterator[str]:
        """Yield the audits, and the main run, that the configuration asks for and the verdict does not have."""
        ids, config = {entry.id for entry in self.stored.audits}, self._config
        known = {name: audit for audit in self._audits.values() for name in (audit.id, *audit.aliases)}
        due = [registry.entry_id(known[cfg.test], cfg) if cfg.test in known else cfg.test for cfg in config.audit]
        if not any(cfg.only for cfg in config.audit):
            due += [Performance.id] if config.effective_mode else []
            due += [Accuracy.id] if accuracy_runs(config) or accuracy_block(config).lacking else []
        for name in due:
            if name not in ids:
                yield f"config.yaml asks for {name}, which the verdict does not have; one of them was edited"

    def differences_of_audit(self, audit_id: str) -> list[str]:
        """Return what of an audit does not follow from its records, its checks aside, or contradicts itself."""
        now = self.recomputed(audit_id)
        found = [*(audit_differences(now.stored, now.entry, self.terms) if now.entry else []), *now.files]
        if found or not now.judged:
            return [*found, *now.summaries]  # records whose figures tell already that they were edited: no closer look
        load = groups.context(self._config).load
        datasets = self._config.datasets
        played = next((one.agentic_inference for one in datasets if one.type == "performance"), None)
        return [*contradictions(now.stored, self.stored, self.directory, load, played), *now.summaries]

    def _recompute(self, stored: AuditEntry) -> Recomputed:
        try:
            return self._judged(stored)
        except MlperfAuditError as error:
            return Recomputed(stored, damage=str(error))
        except Exception as error:  # noqa: BLE001 - records may have been edited into anything; no traceback, no pass
            what = f"{type(error).__name__}: {error}"
            return Recomputed(
                stored, damage=f"{self.directory}: the records of {stored.id} break what reads them ({what:.300})"
            )

    def _judged(self, stored: AuditEntry) -> Recomputed:
        planned, missing = self._planned(stored)
        verdict, why_none = None, f"phase {missing[0]} was not run" if missing else ""
        if not missing:
            try:
                verdict = judge(planned)
            except NoVerdictError as error:
                why_none = str(error)
        entry = audit_entry(
            planned,
            verdict,
            why_none,
            report_dir=self.directory,
            config=self.stored.config,
            statuses=lambda name, check: _status(stored, name, check),
        )
        entry = msgspec.structs.replace(entry, planned=stored.planned)
        records = tuple(record for _, record in phase_records(planned))
        terms = (entry, self.stored, self.directory, self.terms, run_config(self._config))
        return Recomputed(
            stored,
            entry,
            records,
            why_none,
            judged=verdict is not None,
            files=(*recounted(planned.phases, Path.cwd(), self.directory.parent), *file_differences(*terms)),
            summaries=tuple(phase_file_differences(*terms)),
        )

    def _planned(self, stored: AuditEntry) -> tuple[PlannedAudit, list[str]]:
        """Return the audit as it was planned, and the labels of phases that it needs and that were not run."""
        audit, cfg = self._audit_and_block(stored)
        places = {phase.label: self.run.phase_directory(phase.directory) for phase in stored.phases}
        phases = {phase.label: PlannedPhase(phase.spec, places[phase.label]) for phase in stored.phases}
        judged = tuple(phases[phase.label] for phase in stored.phases if phase.judged)
        warmup = next((phases[phase.label] for phase in stored.phases if not phase.judged), None)
        missing = [label for label in stored.planned if label not in places]
        names = tuple(check.name for check in stored.checks)
        if not missing and (judged or stored.id == Accuracy.id):
            names = third_party.checks(audit, cfg, [phase.spec for phase in judged])
        planned = with_beside(PlannedAudit(audit, cfg, judged, names, warmup), self._main_run())
        sends_nothing = isinstance(cfg, AccuracyBlock) and cfg.lacking and not stored.planned
        return planned, missing if judged or missing or sends_nothing else ["of this audit"]

    def _main_run(self) -> Iterator[PlannedPhase]:
        """Yield the judged phases of the main run."""
        for entry in self.stored.audits:
            for phase in entry.phases if entry.id == Performance.id else ():
                if phase.judged:
                    yield PlannedPhase(phase.spec, self.run.phase_directory(phase.directory))

    def _audit_and_block(self, stored: AuditEntry) -> tuple[Audit[Any], AuditBlock]:
        """Return an audit and what the configuration asks of it. Raises RecordError where either is not there."""
        audit_id = stored.id
        if audit_id == Accuracy.id:
            return registry.runs()[audit_id][0], accuracy_block(self._config)
        if audit_id in registry.runs():
            return registry.runs()[audit_id]
        if stored.test not in self._audits:
            raise RecordError(
                f"audit {stored.test} is not known here, so its records cannot be judged; known are "
                f"{', '.join(sorted(self._audits))}. Run where the plugin or conftest.py that offers it is loaded"
            )
        audit = self._audits[stored.test]
        for cfg in self._config.audit:
            if cfg.test in (audit.id, *audit.aliases) and registry.entry_id(audit, cfg) == audit_id:
                return audit, cfg
        raise RecordError(
            f"{self.run.config_file}: asks for no audit {audit_id}, which the verdict has; one of them was edited"
        )

    @cached_property
    def _config(self) -> Benchmark:
        return self.run.read_config(self._audits)


def _status(stored: AuditEntry, name: str, check: Check | None) -> CheckStatus:
    """Return the status that the records give a check.

    Only a test knows that it was not run, or that it broke for another reason than the records; then it stands as it
    was stored.
    """
    then: CheckStatus = next((entry.status for entry in stored.checks if entry.name == name), "not_run")
    if then in ("not_run", "error"):
        return then
    if check is None or check.passed is None:
        return "error"
    return "passed" if check.passed else "failed"


def _simulated(records: list[PhaseRecord], stored: VerdictDocument) -> bool:
    """Return whether the phases say that the simulated endpoint served; as stored where there are none."""
    served = {record.simulated for record in records}
    return served.pop() if len(served) == 1 else True if served else stored.simulated


def _endpoint(records: list[PhaseRecord], stored: VerdictDocument) -> str:
    """Return the endpoint that the phases name; as stored where there are none."""
    if _simulated(records, stored):
        return SIMULATED_ENDPOINT
    named = {record.endpoint for record in records}
    return named.pop() if len(named) == 1 else " and ".join(sorted(named)) if named else stored.endpoint
