"""Do the records of a finished run hold together? What no figure tells, and what whoever edits them overlooks.

Digests are no signature: who edits records can compute figures, verdict and digests anew. Such a run is confirmed
unless its records contradict each other, or the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from ..audits.main_run import Performance
from ..audits.test04.live import Test04
from ..config.agentic import AgenticInference
from ..records.log import read_queries
from ..records.store import QUERIES_FILE
from ..runs.order import InTurn, SampleOrder, Scripted, Sequential, Single, WithoutReplacement
from ..runs.query import QueryRecord
from ..runs.spec import Concurrency, Load, RunSpec
from ..runs.trajectories import Trajectories
from ..verdicts.document import AuditEntry, PhaseEntry, VerdictDocument
from .turns import Turns

#: Clocks are set while a run lasts, and times are told to the millisecond.
_SLACK: Final = timedelta(seconds=2)
#: Those whose phases, scripted ones aside, are driven with the load that the YAML asks for.
_LOADED: Final = frozenset({Performance.id, Test04.id})


def contradictions(
    entry: AuditEntry, run: VerdictDocument, directory: Path, load: Load, played: AgenticInference | None = None
) -> Iterator[str]:
    """Yield what of an audit's phases contradicts itself, the run's times, or the load that the YAML asks for.

    `played` is how the YAML has the main run play conversations, None where it plays none. Raises RecordError when
    records cannot be read.
    """
    yield from _time_contradictions(entry.phases, run)
    for phase in entry.phases:
        if entry.test in _LOADED and phase.judged and not phase.scripted and phase.spec.load != load:
            yield f"phase {phase.label} was driven as {phase.spec.load}, config.yaml asks for {load}"
        if entry.id == Performance.id and phase.judged:
            yield from _order_contradictions(phase, played)
        yield from _ending_contradictions(phase)
        yield from _query_contradictions(phase, directory / phase.directory / QUERIES_FILE)


def _time_contradictions(phases: Sequence[PhaseEntry], run: VerdictDocument) -> Iterator[str]:
    """Phases are run one after the other, within their run: one exchanged with another run's is not."""
    began, over = _moment(run.started_at), _moment(run.finished_at)
    if began is None or over is None or over < began - _SLACK:
        yield f"the run is said to last from {run.started_at!r:.40} to {run.finished_at!r:.40}"
        return
    before, earliest = "the run's beginning", began
    for phase in phases:
        start = _moment(phase.started_at)
        if start is None or not 0 <= phase.duration_s < 1e9:
            yield f"phase {phase.label} is said to begin at {phase.started_at!r:.40} and to last {phase.duration_s:g} s"
            continue
        end = start + timedelta(seconds=phase.duration_s)
        if start < earliest - _SLACK:
            yield f"phase {phase.label} began at {phase.started_at}, before {before}: it is of another run"
        if end > over + _SLACK:
            yield f"phase {phase.label} ended after the run, at {end.isoformat()}: it is of another run"
        before, earliest = f"the end of phase {phase.label}", end


def _moment(text: str) -> datetime | None:
    """Return an ISO 8601 time with its zone, None for anything else."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _order_contradictions(phase: PhaseEntry, played: AgenticInference | None) -> Iterator[str]:
    """Conversations are played as config.yaml says, and nothing else is."""
    order = phase.spec.order
    if not isinstance(order, Trajectories) or played is None:
        if isinstance(order, Trajectories) or played is not None:
            yield f"phase {phase.label} and config.yaml do not agree on whether conversations were played"
        return
    due = {
        "routing_headers": (order.headers, played.routing_headers),
        "inject_tool_delay": (order.tool_delays, played.inject_tool_delay),
        "stop_issuing_on_first_user_complete": (order.stop_at_end, played.stop_issuing_on_first_user_complete),
        "num_trajectories_to_issue": (order.count, played.num_trajectories_to_issue or len(order.turns)),
        # A ruleset may ask for a salt that the block does not.
        "enable_salt": (order.salt_seed is not None, order.salt_seed is not None or played.enable_salt),
    }
    for key, (was, asked) in due.items():
        if was != asked:
            yield f"phase {phase.label} was played with {key} {was!r:.80}, config.yaml asks for {asked!r:.80}"


def _ending_contradictions(phase: PhaseEntry) -> Iterator[str]:
    issued, due = phase.figures.n_issued, phase.spec.n_samples
    if phase.stopped_by == "count" and issued < due and not phase.scripted:
        yield f"phase {phase.label} is said to have stopped at its count of {due}, and {issued} queries were issued"
    if phase.stopped_by == "ceiling" and not phase.spec.max_duration_ms:
        yield f"phase {phase.label} is said to have stopped at its ceiling, and it has none"


def _query_contradictions(phase: PhaseEntry, path: Path) -> Iterator[str]:
    window_s = phase.figures.window_s or 0.0
    if window_s > phase.duration_s + _SLACK.total_seconds():
        yield f"the queries of phase {phase.label} took {window_s:.6g} s, the phase itself {phase.duration_s:.6g} s"
    seen = bytearray(phase.figures.n_issued)
    rows: set[int] = set()
    turns = _turns(phase.spec)
    for record in read_queries(path):
        wrong = _wrong_with_query(record, phase.spec, seen, rows)
        if wrong := wrong or (turns.wrong_with(record) if turns else ""):
            yield f"phase {phase.label}: {wrong}"
            return
    if turns and phase.status == "complete" and (wrong := turns.wrong_at_end()):
        yield f"phase {phase.label}: {wrong}"


def _turns(spec: RunSpec) -> Turns | None:
    if isinstance(spec.order, Trajectories) and isinstance(spec.load, Concurrency):
        return Turns(spec.order, spec.load.target)
    return None


def _wrong_with_query(record: QueryRecord, spec: RunSpec, seen: bytearray, rows: set[int]) -> str:
    """Return what is wrong with a query, "" for nothing; note it in `seen` and, where rows come once, in `rows`."""
    number = record.query
    if not 0 <= number < len(seen):
        return f"there is a query {number}, and {len(seen)} were issued, counted from 0"
    if seen[number]:
        return f"query {number} is there twice"
    seen[number] = 1
    if record.completed_ns < record.issued_ns:
        return f"query {number} completed before it was issued"
    return _wrong_with_row(record, spec, rows)


def _wrong_with_row(record: QueryRecord, spec: RunSpec, rows: set[int]) -> str:
    order, row = spec.order, record.sample
    if isinstance(order, Scripted | Trajectories):
        return ""
    due = _due_row(order, record.query)
    if due is not None and row != due:
        return f"query {record.query} is of row {row}, and the phase's order has row {due} there"
    if isinstance(order, WithoutReplacement) and not order.wrap:
        if row in rows:
            return f"row {row} was sent twice, and the phase's order has each row once"
        rows.add(row)
    return ""


def _due_row(order: SampleOrder, number: int) -> int | None:
    """Return which row a query has to be of by its number alone, None where a seed decides."""
    if isinstance(order, Single):
        return order.index
    if isinstance(order, InTurn):
        return order.rows[number % len(order.rows)]
    return number if isinstance(order, Sequential) and not order.wrap else None
