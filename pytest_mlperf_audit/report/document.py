"""verdict.json: a run's outcome as a versioned document, with a digest of every file it rests on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from .._version import __version__
from ..audits.verdict import ArmSummary, Diff, Figure, Finding, Ratio
from ..errors import RecordError
from ..records.artifacts import Artifact, artifacts
from ..records.files import read_limited, write_atomic
from ..runs.order import Scripted
from ..runs.phase import PhaseFigures, Status, StoppedBy
from ..runs.spec import RunSpec
from .digest import UNSEALED, sealed
from .outcome import AuditOutcome, CheckOutcome, CheckStatus, PhaseOutcome, RunOutcome, RunStatus
from .schema import document_schema

SCHEMA_VERSION = 1
VERDICT_FILE = "verdict.json"
REPORT_FILE = "report.html"
#: Files of the report directory that the verdict cannot hold a digest of, since they are written after it is known.
NO_ARTIFACTS = (VERDICT_FILE, REPORT_FILE)
#: A verdict of a thousand phases has 3 MB.
SCHEMA_FILE = Path(__file__).with_name("verdict.schema.json")

_DISTRIBUTION = "pytest-mlperf-audit"


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """What wrote the document."""

    name: str
    version: str


class CheckEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A planned check, which is one pytest test. `passed` is null when its audit reached no verdict.

    `undecided`: the records are there, and leave this check in doubt, as `reason` says.
    """

    name: str
    node_id: str
    status: CheckStatus
    passed: bool | None
    observed: Figure
    limit: Figure
    reason: str
    undecided: bool = False


class PhaseEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A phase that was run. `directory` is relative to the report directory; `spec` is what was asked of it.

    `judged` is false for a warm-up, which no check looks at.
    """

    label: str
    judged: bool
    directory: str
    status: Status
    attempt: int
    started_at: str
    duration_s: float
    stopped_by: StoppedBy
    reason: str | None
    spec: RunSpec
    figures: PhaseFigures

    @property
    def scripted(self) -> bool:
        """Whether a script chose its queries; its throughput and latencies as a whole then say nothing."""
        return isinstance(self.spec.order, Scripted)


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An audit, or the main performance run (`is_audit` false). `figures` is evidence and decides nothing.

    `findings` are the comparisons of a scripted phase, `arms` the kinds of queries that it compared; `diffs` show
    outputs that should be equal and are not. `planned` are the labels of the phases that it needs, run or not. `ratios`
    are throughput ratios against their limits.
    """

    id: str
    title: str
    status: RunStatus
    is_audit: bool
    mlperf_name: str | None
    settings: dict[str, Figure]
    checks: tuple[CheckEntry, ...]
    phases: tuple[PhaseEntry, ...]
    figures: dict[str, Figure]
    notes: tuple[str, ...]
    reason: str
    findings: tuple[Finding, ...] = ()
    diffs: tuple[Diff, ...] = ()
    arms: tuple[ArmSummary, ...] = ()
    planned: tuple[str, ...] = ()
    ratios: tuple[Ratio, ...] = ()

    @property
    def timed(self) -> tuple[PhaseEntry, ...]:
        """The phases that checks look at and whose throughput means something."""
        return tuple(phase for phase in self.phases if phase.judged and not phase.scripted)

    @property
    def scripted(self) -> tuple[PhaseEntry, ...]:
        """The phases whose queries a script chose."""
        return tuple(phase for phase in self.phases if phase.judged and phase.scripted)


class VerdictDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one run of one YAML. `artifacts` is keyed by path relative to the report directory.

    `digest` is over the document itself, see `report.digest`; "" until it is written, and it must stay the last field.
    """

    schema_version: int
    tool: Tool
    status: RunStatus
    simulated: bool
    name: str
    config: str
    endpoint: str
    model: str
    api_type: str
    started_at: str
    finished_at: str
    environment: dict[str, Figure]
    warnings: tuple[str, ...]
    audits: tuple[AuditEntry, ...]
    artifacts: dict[str, Artifact]
    digest: str = ""


class _Version(msgspec.Struct):
    schema_version: int


def document(outcome: RunOutcome, report_dir: Path) -> VerdictDocument:
    """Return the document of a run whose files lie in `report_dir`. Raises OSError when one cannot be read."""
    return msgspec.structs.replace(describe(outcome), artifacts=dict(artifacts(report_dir, NO_ARTIFACTS)))


def describe(outcome: RunOutcome) -> VerdictDocument:
    """Return the document without artifacts; no number in it is NaN or infinite, no text breaks UTF-8."""
    raw = VerdictDocument(
        schema_version=SCHEMA_VERSION,
        tool=Tool(name=_DISTRIBUTION, version=__version__),
        status=outcome.status,
        simulated=outcome.simulated,
        name=outcome.name,
        config=outcome.config,
        endpoint=outcome.endpoint,
        model=outcome.model,
        api_type=outcome.api_type,
        started_at=outcome.started_at,
        finished_at=outcome.finished_at,
        environment=outcome.environment,
        warnings=outcome.warnings,
        audits=tuple(_audit(audit) for audit in outcome.audits),
        artifacts={},
    )
    return msgspec.convert(storable(msgspec.to_builtins(raw)), VerdictDocument)


def write_verdict(document: VerdictDocument, report_dir: Path) -> Path:
    """Write verdict.json atomically, with its digest, and return its path. Raises OSError."""
    path = report_dir / VERDICT_FILE
    unsealed = msgspec.structs.replace(document, digest=UNSEALED)
    write_atomic(path, sealed(msgspec.json.format(msgspec.json.encode(unsealed), indent=2) + b"\n"))
    return path


def read_verdict(path: Path) -> VerdictDocument:
    """Read a verdict.json. Raises RecordError when it is missing, broken, or of another schema version."""
    try:
        raw = read_limited(path)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        found = msgspec.json.decode(raw, type=_Version).schema_version
        if found != SCHEMA_VERSION:
            raise RecordError(
                f"{path}: schema version {found}, but this version reads {SCHEMA_VERSION}; "
                f"use the {_DISTRIBUTION} that wrote it"
            )
        return msgspec.json.decode(raw, type=VerdictDocument)
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        raise RecordError(f"{path}: not a verdict ({error}); the file was edited or cut short") from error


def verdict_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of verdict.json; `verdict.schema.json` beside this file is its copy."""
    return document_schema(VerdictDocument, f"{_DISTRIBUTION} verdict", SCHEMA_VERSION)


def _audit(audit: AuditOutcome) -> AuditEntry:
    return AuditEntry(
        id=audit.id,
        title=audit.title,
        status=audit.status,
        is_audit=audit.is_audit,
        mlperf_name=audit.mlperf_name,
        settings=audit.settings,
        checks=tuple(_check(check) for check in audit.checks),
        phases=tuple(_phase(phase) for phase in audit.phases),
        figures=audit.figures,
        notes=audit.notes,
        reason=audit.reason,
        planned=audit.planned,
        findings=audit.findings,
        diffs=audit.diffs,
        arms=tuple(arm for arm in audit.arms if math.isfinite(arm.median_s)),
        ratios=tuple(ratio for ratio in audit.ratios if math.isfinite(ratio.value) and math.isfinite(ratio.limit)),
    )


def _check(outcome: CheckOutcome) -> CheckEntry:
    check = outcome.check
    return CheckEntry(
        name=outcome.name,
        node_id=outcome.node_id,
        status=outcome.status,
        passed=check.passed if check else None,
        observed=check.observed if check else None,
        limit=check.limit if check else None,
        reason=outcome.reason or (check.reason if check else ""),
        undecided=check is not None and check.passed is None,
    )


def _phase(outcome: PhaseOutcome) -> PhaseEntry:
    record = outcome.record
    return PhaseEntry(
        label=record.label,
        judged=outcome.judged,
        directory=outcome.directory,
        status=record.status,
        attempt=record.attempt,
        started_at=record.started_at,
        duration_s=record.duration_s,
        stopped_by=record.stopped_by,
        reason=record.reason,
        spec=record.spec,
        figures=record.figures,
    )


def storable(value: Any) -> Any:
    """Replace what JSON cannot hold, at any depth: NaN and infinity by None, lone surrogates by question marks."""
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(item) for item in value]
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value
