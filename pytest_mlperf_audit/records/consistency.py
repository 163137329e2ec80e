"""Is a phase record what was planned, and do its figures follow from its queries?"""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..errors import RecordError
from ..runs.figures import figures
from ..runs.measured import MeasuredPhase
from ..runs.phase import PhaseRecord
from ..runs.spec import RunSpec
from .differences import differences
from .log import read_columns, read_queries
from .score import read_score
from .store import PHASE_FILE, QUERIES_FILE


def require_planned(directory: Path, record: PhaseRecord, spec: RunSpec) -> None:
    """Raise RecordError when the record is of another phase than `spec` planned. A nonce's seed may differ."""
    if _seedless(record.spec) != _seedless(spec):
        other = f", called {record.spec.label!r}" if record.spec.label != spec.label else ""
        raise RecordError(
            f"{directory / PHASE_FILE}: the record of another phase than the one planned{other}; it was edited or "
            "exchanged"
        )


def consistent(directory: Path, record: PhaseRecord) -> MeasuredPhase:
    """Return the phase with its queries.

    Raises RecordError when the figures are not those of the query log, so that one of the two was edited.
    """
    path = directory / QUERIES_FILE
    queries = read_columns(path)
    recomputed = msgspec.to_builtins(figures(queries, record.spec.load))
    if found := list(differences(msgspec.to_builtins(record.figures), recomputed)):
        raise RecordError(
            f"{directory / PHASE_FILE}: its figures do not follow from {QUERIES_FILE}, so one of them was edited or "
            f"exchanged ({'; '.join(map(str, found[:3]))})"
        )
    return MeasuredPhase(record, queries, lambda: read_queries(path), read_score(directory))


def _seedless(spec: RunSpec) -> RunSpec:
    return msgspec.structs.replace(spec, nonce_seed=None)
