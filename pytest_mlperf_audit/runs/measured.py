"""MeasuredPhase: a complete phase as verifiers get it: what was asked, its figures, its queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .columns import QueryColumns
from .phase import PhaseFigures, PhaseRecord
from .query import QueryRecord
from .scoring import Score
from .spec import RunSpec


@dataclass(frozen=True)
class MeasuredPhase:
    """One phase. `queries` are all its queries as columns, in completion order.

    `read` yields the same as records, from disk: for what columns do not hold, such as outputs and tags, one at a time,
    so that a phase of millions need not be held. It raises RecordError where the log cannot be read.

    `score` is what an external scorer left beside the records, None where none did.
    """

    record: PhaseRecord
    queries: QueryColumns
    read: Callable[[], Iterator[QueryRecord]]
    score: Score | None = None

    @property
    def label(self) -> str:
        """The phase's label."""
        return self.record.label

    @property
    def spec(self) -> RunSpec:
        """What was asked."""
        return self.record.spec

    @property
    def figures(self) -> PhaseFigures:
        """What was measured."""
        return self.record.figures

    @classmethod
    def of(cls, record: PhaseRecord, queries: list[QueryRecord]) -> MeasuredPhase:
        """Return a phase whose records are at hand."""
        return cls(record, QueryColumns(queries), lambda: iter(queries))
