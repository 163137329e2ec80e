"""TEST07: is performance mode as accurate as it must be? The rule, the live audit, the published one.

And what MLPerf fixes for it. Source: mlcommons/inference `compliance/TEST07/<model>/audit.config` at commit b66003e1.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ..models import figure_of

MLPERF_NAME: Final = "accuracy_in_performance_full_test"


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """The least accuracy score, and the number of samples that it is of, each issued once."""

    score: float
    n_samples: int


_THRESHOLDS: Final = {"gpt-oss-120b": Threshold(score=60.698, n_samples=990)}


def threshold_of(benchmark: str) -> Threshold | None:
    """Return a benchmark's threshold, None for one that has no TEST07."""
    return figure_of(benchmark, _THRESHOLDS)
