"""accuracy_results.json: the scores of an accuracy run under the keys of MLPerf's endpoints tool.

Sources: mlcommons/endpoints `commands/benchmark/accuracy.py` (score_accuracy, write_accuracy_results) and
`evaluation/accuracy_results.py` (average_accuracy). Scores are in per cent, or as an external scorer printed them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._version import __version__
from ..audits.verdict import Figure
from ..runs.query import QueryRecord
from ..verdicts.document import AuditEntry, PhaseEntry


def accuracy_results(accuracy: AuditEntry, empty: dict[str, int]) -> dict[str, Any] | None:
    """Return the content for an accuracy run, None unless every data set of it was sent whole and scored.

    `empty` is the number of empty outputs of each phase, by label.
    """
    phases = [phase for phase in accuracy.phases if phase.judged]
    scores = [accuracy.figures.get(f"score_{phase.label}") for phase in phases]
    n_due = sum(check.name.startswith("score[") for check in accuracy.checks)  # one, too, for a set without a scorer
    whole = len(phases) == len(accuracy.planned) == n_due and all(phase.complete for phase in phases)
    if not whole or any(score is None for score in scores):
        return None
    numbers = [float(score) for score in scores if isinstance(score, (int, float)) and not isinstance(score, bool)]
    average = {"average_accuracy": sum(numbers) / len(numbers)} if numbers else {}
    entries = [_entry(phase, score, empty.get(phase.label, 0)) for phase, score in zip(phases, scores, strict=True)]
    return {"version": f"pytest-mlperf-audit {__version__}", **average, "accuracy_scores": entries}


def count_empty(records: Iterable[QueryRecord]) -> int:
    """Return how many completed queries have an output without a character in it."""
    return sum(record.ok and record.output == "" for record in records)


def _entry(phase: PhaseEntry, score: Figure, n_empty: int) -> dict[str, Any]:
    figures, scoring = phase.figures, phase.spec.scoring
    n_rows = max(1, figures.n_distinct_samples)
    own = scoring is not None and scoring.method != "command"
    return {
        "dataset_name": phase.spec.dataset,
        "dataset_type": "accuracy",
        "extractor": scoring.extractor if scoring and own else None,
        "ground_truth_column": scoring.ground_truth if scoring else None,
        "score": score,
        "metric": scoring.method if scoring else "",
        "unit_samples": n_rows,
        "num_repeats": max(1, figures.n_issued // n_rows),
        "total_samples": figures.n_issued,
        "duration_s": round(phase.duration_s, 3),
        "response_counts": {
            "issued": figures.n_issued,
            "scored": figures.n_completed - n_empty,
            "empty": n_empty,
            "missing": figures.n_failed,
            "completed": figures.n_completed,
            "failed": figures.n_failed,
        },
        "complete": figures.n_failed == 0,
    }
