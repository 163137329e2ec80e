"""accuracy/accuracy_results.json of an MLPerf endpoints submission: a score for each accuracy data set.

Source: mlcommons/inference `tools/submission/submission_checker` (parsers/endpoints_parser.py: `accuracy_scores`, each
with `score` and `total_samples`; checks/accuracy_check.py). Never written for a simulated run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from .._version import __version__
from ..records.files import write_atomic
from ..verdicts.document import AuditEntry
from .endpoints import served_for_real

ACCURACY_RESULTS = Path("accuracy") / "accuracy_results.json"


def accuracy_results(accuracy: AuditEntry, report_dir: Path) -> dict[str, Any] | None:
    """Return the content for an accuracy run, None unless every data set of it was sent whole and scored.

    Raises RecordError when the records cannot be read.
    """
    phases = [phase for phase in accuracy.phases if phase.judged]
    scores = [accuracy.figures.get(f"score_{phase.label}") for phase in phases]
    whole = len(phases) == len(accuracy.planned) and all(phase.complete for phase in phases)
    if not whole or any(score is None for score in scores) or not served_for_real(phases, report_dir):
        return None
    return {
        "version": f"pytest-mlperf-audit {__version__}",
        "accuracy_scores": [
            {
                "dataset_name": phase.spec.dataset,
                "dataset_type": "accuracy",
                "score": score,
                "metric": phase.spec.scoring.method if phase.spec.scoring else "",
                "total_samples": phase.figures.n_issued,
                "response_counts": {
                    "issued": phase.figures.n_issued,
                    "completed": phase.figures.n_completed,
                    "failed": phase.figures.n_failed,
                },
                "complete": phase.figures.n_failed == 0,
            }
            for phase, score in zip(phases, scores, strict=True)
        ],
    }


def write_accuracy_results(accuracy: AuditEntry, report_dir: Path) -> Path | None:
    """Write the file where there is something to write; return its path. Raises OSError."""
    content = accuracy_results(accuracy, report_dir)
    if content is None:
        return None
    path = report_dir / ACCURACY_RESULTS
    write_atomic(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    return path
