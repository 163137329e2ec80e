"""TEST07: is performance mode as accurate as it must be? The rule, the live audit, the published one.

And what MLPerf fixes for it. Source: mlcommons/inference `compliance/TEST07/<model>/audit.config` at commit b66003e1,
and `compliance/TEST07/README.md` (the data set).
"""

from __future__ import annotations

from typing import Final

import msgspec

from ..models import figure_of

MLPERF_NAME: Final = "accuracy_in_performance_full_test"


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """The least accuracy score, and the number of samples that it is of, each issued once.

    `dataset` is what the benchmark's accuracy script calls their data set.
    """

    score: float
    n_samples: int
    dataset: str


_THRESHOLDS: Final = {"gpt-oss-120b": Threshold(score=60.698, n_samples=990, dataset="gpqa_diamond")}


def threshold_of(benchmark: str) -> Threshold | None:
    """Return a benchmark's threshold, None for one that has no TEST07."""
    return figure_of(benchmark, _THRESHOLDS)
