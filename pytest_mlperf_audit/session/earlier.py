"""What a run is compared with: another run of this session, a finished one, or the runs of a history."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import msgspec

from ..errors import ConfigError, NoVerdictError, RecordError
from ..load.group import PlannedPhase
from ..records.store import complete_phase, consistent
from ..runs.phase import MeasuredPhase
from ..runs.spec import RunSpec
from ..runs.speed import estimates, served_together
from ..stats.estimates import Estimate, of_runs, wider
from ..text import plain
from ..verdicts import history
from ..verdicts.comparison import Metric, TrendPoint, confidence_of
from ..verdicts.document import VerdictDocument
from ..verdicts.history import History, PastRun
from .finished import FinishedRun, find
from .judge import PlannedAudit
from .run import AuditRun

OPTION = "--mlperf-compare"
#: Requests that are worked out anew, to see that both runs send the same.
_LOOKED_AT = 32
#: Runs of a history that a report shows.
_MOST_SHOWN = 50
_NOT_AT_ONCE = (
    "the runs were sent one after the other: what else changed between them, such as other load on the machine, is in "
    "the difference"
)

Figures = Mapping[str, Estimate]


@dataclass(frozen=True)
class Earlier:
    """What a run is held against, called `against`. `notes` are for the reader.

    `figures` returns them, and which share of that run's queries failed. It raises NoVerdictError or RecordError.
    """

    against: str
    figures: Callable[[], tuple[Figures, float]]
    notes: tuple[str, ...] = ()
    trend: tuple[TrendPoint, ...] = ()


def figures_of(measured: MeasuredPhase, metrics: Sequence[Metric]) -> tuple[Figures, float]:
    """Return the figures of a phase, and which share of its queries failed."""
    figures = measured.figures
    in_flight = served_together(measured.spec.load, figures.n_completed, figures.most_in_flight)
    found = estimates(measured.queries, in_flight=in_flight, metrics=metrics, confidence=confidence_of(metrics))
    return found, figures.n_failed / max(1, figures.n_issued)


def figures_in(directory: Path, metrics: Sequence[Metric]) -> tuple[Figures, float]:
    """Return the figures of the phase whose records lie in a directory. Raises NoVerdictError or RecordError."""
    return figures_of(consistent(directory, complete_phase(directory)), metrics)


def workload(run: AuditRun, planned: PlannedAudit, phase: PlannedPhase) -> str:
    """Return a digest of what a phase measures: API, model, load, counts, and the first rows as they are sent."""
    spec = phase.spec
    parts: list[object] = [run.benchmark.endpoint_config.api_type, run.benchmark.model_params.name, run.simulated]
    parts += [planned.id, spec.label, spec.n_samples, spec.load, spec.min_duration_ms, len(run.source)]
    parts += list(islice(_digests(phase), _LOOKED_AT))
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


def _digests(phase: PlannedPhase) -> Iterator[str]:
    """Yield the digests of a phase's rows as they are sent without an edit."""
    source = phase.source
    assert source is not None
    for row in range(len(source)):
        yield source.digest(source.body(row))


def beside(
    other: AuditRun, entry: str, counterpart: PlannedPhase, phase: PlannedPhase, metrics: Sequence[Metric]
) -> Earlier:
    """Return the phase of another run of this session, as what to compare with."""
    _require_alike(other.path.name, counterpart.spec, phase.spec)

    def figures() -> tuple[Figures, float]:
        other.ensure(entry)
        return figures_in(counterpart.directory, metrics)

    return Earlier(other.path.name, figures, (_NOT_AT_ONCE,))


def phases_in(directory: Path) -> set[tuple[str, str]]:
    """Return the phases of a finished run, each by its audit's id and its label. Raises ConfigError without a run."""
    _, stored = _found(directory)
    return {(entry.id, phase.label) for entry in stored.audits for phase in entry.phases}


def _found(directory: Path) -> tuple[FinishedRun, VerdictDocument]:
    try:
        run = find(directory)
    except ConfigError as error:
        raise ConfigError(str(error).replace("--mlperf-recheck", OPTION)) from error
    if run.stored is None:
        raise ConfigError(f"{OPTION}: {run.problem}")
    return run, run.stored


def finished(
    run: AuditRun, planned: PlannedAudit, phase: PlannedPhase, metrics: Sequence[Metric], directory: Path
) -> Earlier:
    """Return a finished run, as what to compare with; its records are read now, since its directory may be ours."""
    run_there, stored = _found(directory)
    entry = next((one for one in stored.audits if one.id == planned.id), None)
    record = next((one for one in entry.phases if one.label == phase.spec.label), None) if entry else None
    if record is None:
        raise ConfigError(
            f"{OPTION}: {directory}: has no phase {planned.id} {phase.spec.label}, which is what {run.path.name} is "
            "compared by; give both runs the same audits, or leave the main run out of both"
        )
    _require_same_system(run, run_there)
    try:
        place = run_there.phase_directory(record.directory)
        measured = consistent(place, complete_phase(place))
    except (NoVerdictError, RecordError) as error:
        raise ConfigError(f"{OPTION}: {error}; compare with a run that has ended") from error
    _require_alike(str(directory), measured.spec, phase.spec)
    _require_same_requests(directory, measured, phase, same_model=stored.model == run.benchmark.model_params.name)
    found = figures_of(measured, metrics)
    notes = [_NOT_AT_ONCE]
    if stored.model != run.benchmark.model_params.name:
        notes.append(f"another model: {plain(stored.model, 80)} before, {run.benchmark.model_params.name} now")
    if stored.status != "PASS":
        notes.append(f"the earlier run's own verdict is {stored.status}")
    return Earlier(f"{stored.name} of {stored.finished_at}", lambda: found, tuple(notes))


def _require_same_system(run: AuditRun, run_there: FinishedRun) -> None:
    stored = run_there.stored
    assert stored is not None
    if stored.simulated != run.simulated:
        raise ConfigError(
            f"{OPTION}: {run_there.directory}: the simulated endpoint answered "
            f"{'there, and a real one does here' if stored.simulated else 'here, and a real one did there'}; compare "
            "runs of one kind"
        )
    if stored.api_type != run.benchmark.endpoint_config.api_type:
        raise ConfigError(
            f"{OPTION}: {run_there.directory}: has api_type {plain(stored.api_type, 40)}, and {run.path.name} has "
            f"{run.benchmark.endpoint_config.api_type}; compare runs of one API"
        )


def _require_alike(where: str, before: RunSpec, now: RunSpec) -> None:
    """Raise ConfigError for phases that were driven otherwise, so that their figures mean different things."""
    pairs = {
        "queries": (before.n_samples, now.n_samples),
        "load": (before.load, now.load),
        "min_duration_ms": (before.min_duration_ms, now.min_duration_ms),
        "order of rows": (type(before.order).__name__, type(now.order).__name__),
        "changes to each query": (before.nonce, now.nonce),
    }
    for what, (one, other) in pairs.items():
        if one != other:
            raise ConfigError(
                f"{OPTION}: {where}: its {what} were {_said(one)}, and are {_said(other)} here; compare runs of one "
                "workload"
            )


def _said(value: object) -> str:
    if isinstance(value, msgspec.Struct):
        return ", ".join(f"{key} {text}" for key, text in msgspec.to_builtins(value).items())
    return str(value)


def _require_same_requests(directory: Path, measured: MeasuredPhase, phase: PlannedPhase, *, same_model: bool) -> None:
    """Raise ConfigError where the earlier run sent other requests for the rows: another data set or parameters."""
    source, spec = phase.source, phase.spec
    if not same_model or spec.nonce != "none" or source is None:
        return
    for record in islice(measured.read(), _LOOKED_AT):
        if record.conversation is not None:
            return
        if record.sample >= len(source) or source.digest(source.body(record.sample)) != record.request:
            raise ConfigError(
                f"{OPTION}: {directory}: sent another request for row {record.sample + 1} of the data set; compare "
                "runs with equal rows and parameters"
            )


def history_in(path: Path) -> History:
    """Return the history in a file. Raises ConfigError where there is none."""
    try:
        return history.read(path)
    except FileNotFoundError:
        raise ConfigError(
            f"{OPTION}: {path}: no such file or directory; name a report directory, or a history that "
            "--mlperf-history has written"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{OPTION}: {path}: cannot be read as a history of runs ({error})") from error


def past(kept: History, workload_here: str, path: Path) -> Earlier:
    """Return the runs of a workload in a history, as what to compare with. Raises ConfigError where there are none."""
    runs = kept.of(workload_here)
    if not runs:
        raise ConfigError(
            f"{OPTION}: {path}: has no run of this workload among its {len(kept.runs)} (API, model, load, counts and "
            "rows must be those of this run); run once with --mlperf-history to add one"
        )
    earlier = _past(runs, path.name)
    unread = [f"{kept.unreadable} lines of {path.name} could not be read"] if kept.unreadable else []
    return replace(earlier, notes=(*earlier.notes, *unread))


def _past(runs: Sequence[PastRun], name: str) -> Earlier:
    last = runs[-1]
    metrics = list(last.figures)
    figures, spread = dict(last.figures), False
    for metric in metrics:
        values = history.figures_of(runs, metric)
        between = of_runs(values, confidence_of(metrics))
        if between is not None:
            figures[metric], spread = wider(between, last.figures[metric]), True
    if spread:
        against = f"{len(runs)} runs of {name}"
        notes = (f"the spread of {len(runs)} earlier runs is in the intervals, so far as they tell it",)
    else:
        against, notes = f"the run of {last.finished_at} in {name}", (_NOT_AT_ONCE,)
    trend = tuple(TrendPoint(finished_at=run.finished_at, rate=rate_of(run.figures)) for run in runs[-_MOST_SHOWN:])
    return Earlier(against, lambda: (figures, last.failed_share), notes, trend)


def rate_of(figures: Figures) -> float | None:
    """Return the queries a second of a run, None where they are not known."""
    return 1 / figures["throughput"].value if "throughput" in figures else None
