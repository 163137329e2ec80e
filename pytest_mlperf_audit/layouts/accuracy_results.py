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
from ..report.outcome import AuditOutcome

ACCURACY_RESULTS = Path("accuracy") / "accuracy_results.json"


def accuracy_results(accuracy: AuditOutcome) -> dict[str, Any] | None:
    """Return the content for an accuracy run, None unless every data set of it was sent whole and scored."""
    phases = [phase.record for phase in accuracy.phases if phase.judged]
    scores = [accuracy.figures.get(f"score_{record.label}") for record in phases]
    whole = phases and len(phases) == len(accuracy.planned) and all(record.complete for record in phases)
    if not whole or any(score is None for score in scores) or any(record.simulated for record in phases):
        return None
    return {
        "version": f"pytest-mlperf-audit {__version__}",
        "accuracy_scores": [
            {
                "dataset_name": record.spec.dataset,
                "dataset_type": "accuracy",
                "score": score,
                "metric": record.spec.scoring.method if record.spec.scoring else "",
                "total_samples": record.figures.n_issued,
                "response_counts": {
                    "issued": record.figures.n_issued,
                    "completed": record.figures.n_completed,
                    "failed": record.figures.n_failed,
                },
                "complete": record.figures.n_failed == 0,
            }
            for record, score in zip(phases, scores, strict=True)
        ],
    }


def write_accuracy_results(accuracy: AuditOutcome, report_dir: Path) -> Path | None:
    """Write the file where there is something to write; return its path. Raises OSError."""
    content = accuracy_results(accuracy)
    if content is None:
        return None
    path = report_dir / ACCURACY_RESULTS
    write_atomic(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    return path
