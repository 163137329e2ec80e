"""What users' tests read: phases and verdicts by audit id, run on first use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..audits.verdict import Verdict
from ..runs.phase import PhaseRecord
from ..session.run import AuditRun


class Phases(Mapping[str, Mapping[str, PhaseRecord]]):
    """Phase records by audit and label: `phases["test04"]["reference"].figures.qps`."""

    def __init__(self, run: AuditRun) -> None:
        self._run = run

    def __getitem__(self, audit_id: str) -> Mapping[str, PhaseRecord]:
        self._run.plan(audit_id)
        self._run.ensure(audit_id)
        return self._run.records(audit_id)

    def __iter__(self) -> Iterator[str]:
        return iter([planned.id for planned in self._run.plans])

    def __len__(self) -> int:
        return len(self._run.plans)


class Verdicts(Mapping[str, Verdict]):
    """Verdicts by audit: `verdicts["test04"].figures["ratio"]`."""

    def __init__(self, run: AuditRun) -> None:
        self._run = run

    def __getitem__(self, audit_id: str) -> Verdict:
        self._run.plan(audit_id)
        return self._run.verdict(audit_id)

    def __iter__(self) -> Iterator[str]:
        return iter([planned.id for planned in self._run.plans])

    def __len__(self) -> int:
        return len(self._run.plans)
