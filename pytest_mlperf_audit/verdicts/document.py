"""VerdictDocument: all that a run came to. What is judged is what verdict.json holds and what reports show.

Statuses, of a run and of each audit in it:
    PASS        every planned check ran and passed
    FAIL        a check failed
    NO_VERDICT  a phase crashed, was cut short, or left partial records; or the records leave a check in doubt
    INCOMPLETE  measured, but planned checks were not run (deselected, or the session stopped early)
    NOT_RUN     neither a phase nor a check of the audit was run
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import msgspec

from .._version import __version__
from ..audits.verdict import ArmSummary, Check, Diff, Figure, Finding, KindState, Ratio, RunKind
from ..records.artifacts import Artifact
from ..runs.order import Scripted
from ..runs.phase import ClientState, PhaseFigures, PhaseRecord, Status, StoppedBy
from ..runs.spec import RunSpec
from .comparison import Comparison

SCHEMA_VERSION: Final = 1
DISTRIBUTION: Final = "pytest-mlperf-audit"
#: The endpoint of a run that the simulated one served.
SIMULATED_ENDPOINT: Final = "embedded simulated endpoint"

RunStatus = Literal["PASS", "FAIL", "NO_VERDICT", "INCOMPLETE", "NOT_RUN"]
CheckStatus = Literal["passed", "failed", "error", "not_run"]


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """What wrote the document."""

    name: str
    version: str


#: What writes documents now.
THIS_TOOL: Final = Tool(name=DISTRIBUTION, version=__version__)


class CheckEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A planned check, which is one pytest test. `passed` is null when its audit reached no verdict.

    `undecided`: the records are there, and leave this check in doubt, as `reason` says. `tested` is false where nothing
    was sent that could have shown it.
    """

    name: str
    node_id: str
    status: CheckStatus
    passed: bool | None
    observed: Figure
    limit: Figure
    reason: str
    undecided: bool = False
    tested: bool = True

    @classmethod
    def of(cls, name: str, check: Check | None, node_id: str, status: CheckStatus) -> CheckEntry:
        """Return the entry of a planned check, `check` as it was judged, None without a verdict."""
        return cls(
            name=name,
            node_id=node_id,
            status=status,
            passed=check.passed if check else None,
            observed=check.observed if check else None,
            limit=check.limit if check else None,
            reason=check.reason if check else "",
            undecided=check is not None and check.passed is None and check.tested,
            tested=check is None or check.tested,
        )

    @property
    def check(self) -> Check | None:
        """The check as it was judged, None without a verdict."""
        if self.passed is None and not self.undecided:
            return None
        return Check(name=self.name, passed=self.passed, observed=self.observed, limit=self.limit, reason=self.reason)


class PhaseEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A phase that was run. `directory` is relative to the report directory; `spec` is what was asked of it.

    `judged` is false for a warm-up, which no check looks at. `client` is what the client knew of itself.
    `sent_by` names the host of each process that shared it, as the YAML has it; none where one process sent it.
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
    client: ClientState | None = None
    sent_by: tuple[str, ...] = ()

    @classmethod
    def of(cls, record: PhaseRecord, directory: str, *, judged: bool = True) -> PhaseEntry:
        """Return the entry of a phase whose record lies in `directory`."""
        return cls(
            label=record.label,
            judged=judged,
            directory=directory,
            status=record.status,
            attempt=record.attempt,
            started_at=record.started_at,
            duration_s=record.duration_s,
            stopped_by=record.stopped_by,
            reason=record.reason,
            spec=record.spec,
            figures=record.figures,
            client=record.client,
            sent_by=tuple(worker.host for worker in record.workers),
        )

    @property
    def complete(self) -> bool:
        """Whether a verdict may rest on this phase."""
        return self.status == "complete"

    @property
    def scripted(self) -> bool:
        """Whether a script chose its queries; its throughput and latencies as a whole then say nothing."""
        return isinstance(self.spec.order, Scripted)


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An audit, or the main performance run (`is_audit` false). `figures` is evidence and decides nothing.

    `name` is the entry's own, "" without one; then `id` is the test's and that: test04-short.

    `findings` are the comparisons of a scripted phase, `arms` the kinds of queries that it compared; `diffs` show
    outputs that should be equal and are not. `planned` are the labels of the phases that it needs, run or not. `ratios`
    are throughput ratios against their limits. `kinds` say of each kind of cache what is known.
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
    kinds: tuple[KindState, ...] = ()
    name: str = ""

    @property
    def test(self) -> str:
        """Which audit it is an entry of."""
        return self.id.removesuffix(f"-{self.name}") if self.name else self.id

    @property
    def kind(self) -> RunKind:
        """What it is: an audit, or the main or the accuracy run."""
        return "audit" if self.is_audit else "accuracy" if self.id == "accuracy" else "performance"

    def check(self, name: str) -> CheckEntry | None:
        """Return the check of that name, None where none is planned."""
        return next((check for check in self.checks if check.name == name), None)

    @property
    def timed(self) -> tuple[PhaseEntry, ...]:
        """The phases that checks look at and whose throughput means something."""
        return tuple(phase for phase in self.phases if phase.judged and not phase.scripted)

    @property
    def scripted(self) -> tuple[PhaseEntry, ...]:
        """The phases whose queries a script chose, but for those that confirm another's figures."""
        return tuple(phase for phase in self.phases if phase.judged and phase.scripted and not phase.spec.conditional)


class VerdictDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one run of one YAML. `artifacts` is keyed by path relative to the report directory.

    `identity` says who and what was measured, as far as the YAML names it: submitter, system, benchmark, ruleset,
    division. `environment` is the client's; its `command` is the command line, without secrets. `comparison` is with an
    earlier run, None where none was asked for.

    `digest` is over the document itself, see `verdicts.files`; "" until it is written, and it must stay the last field.
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
    identity: dict[str, str] = {}
    comparison: Comparison | None = None
    digest: str = ""


def document(
    *,
    name: str,
    config: str,
    simulated: bool,
    endpoint: str,
    api_type: str,
    model: str,
    started_at: str,
    finished_at: str,
    environment: dict[str, Figure],
    audits: tuple[AuditEntry, ...],
    warnings: tuple[str, ...] = (),
    identity: dict[str, str] | None = None,
    comparison: Comparison | None = None,
) -> VerdictDocument:
    """Return the document of a run, its status that of its audits, without digests of files.

    No number in it is NaN or infinite, no text breaks UTF-8.
    """
    raw = VerdictDocument(
        schema_version=SCHEMA_VERSION,
        tool=THIS_TOOL,
        status=run_status(audits),
        simulated=simulated,
        name=name,
        config=config,
        endpoint=endpoint,
        model=model,
        api_type=api_type,
        started_at=started_at,
        finished_at=finished_at,
        environment=environment,
        warnings=warnings,
        audits=tuple(map(_numbered, audits)),
        artifacts={},
        identity=identity or {},
        comparison=comparison,
    )
    return msgspec.convert(storable(msgspec.to_builtins(raw)), VerdictDocument)


def storable_audit(audit: AuditEntry) -> AuditEntry:
    """Return an audit as `document` would have it."""
    return msgspec.convert(storable(msgspec.to_builtins(_numbered(audit))), AuditEntry)


def _numbered(audit: AuditEntry) -> AuditEntry:
    """Leave out arms and ratios without a number, which JSON cannot hold."""
    return msgspec.structs.replace(
        audit,
        arms=tuple(arm for arm in audit.arms if math.isfinite(arm.median_s)),
        ratios=tuple(ratio for ratio in audit.ratios if math.isfinite(ratio.value) and math.isfinite(ratio.limit)),
    )


def encoded(value: Any) -> bytes:
    """Return a value as JSON that can be stored, as `storable` has it."""
    try:
        return msgspec.json.encode(value)  # which makes null of NaN and infinity
    except UnicodeEncodeError:  # at a lone surrogate
        return msgspec.json.encode(storable(msgspec.to_builtins(value)))


def storable(value: Any) -> Any:
    """Replace what JSON cannot hold, at any depth: NaN and infinity by None, lone surrogates by question marks."""
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(item) for item in value]
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def audit_status(checks: Sequence[CheckStatus], *, no_verdict: bool, measured: bool = False) -> RunStatus:
    """Return an audit's status from its planned checks', less those not tested; PASS only when every one passed.

    `no_verdict`: its phases were begun, and allow none. `measured`: its phases are complete.
    """
    if "failed" in checks:
        return "FAIL"
    if "error" in checks or no_verdict:
        return "NO_VERDICT"
    if not measured and set(checks) <= {"not_run"}:
        return "NOT_RUN"
    return "INCOMPLETE" if "not_run" in checks or not checks else "PASS"


def run_status(audits: Iterable[AuditEntry]) -> RunStatus:
    """Return the run's status: the worst of its audits'.

    An audit that was not run leaves the run INCOMPLETE. The main run may be left out (`-m test04`): it is not an audit,
    and no verdict rests on it.
    """
    statuses = [audit.status for audit in audits if audit.is_audit or audit.status != "NOT_RUN"]
    worst: tuple[RunStatus, ...] = ("FAIL", "NO_VERDICT")
    for status in worst:
        if status in statuses:
            return status
    if not statuses or set(statuses) == {"NOT_RUN"}:
        return "NOT_RUN"
    return "PASS" if set(statuses) == {"PASS"} else "INCOMPLETE"
