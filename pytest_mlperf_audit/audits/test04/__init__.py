"""TEST04: does repeating one sample make the SUT faster? The rule, the live audit, the published one.

And which models MLPerf has it for, and with how many queries. Sources: mlcommons/inference at commit b66003e1,
`tools/submission/submission_checker/constants.py` (models_TEST04 of v6.0) and `compliance/TEST04/audit.config`.
"""

from __future__ import annotations

from typing import Final

from ..models import find_model
from ..published.score import FASTER_LIMITS

MLPERF_NAME: Final = "output_caching_test"
RATIO_LIMITS: Final = FASTER_LIMITS

#: Their queries all cost the same; those of any other model may differ, and MLPerf exempts it.
_REQUIRED_OF: Final = frozenset({"resnet", "stable-diffusion-xl", "pointpainting", "wan-2.2-t2v-a14b"})
#: Retired; TEST04 was required of it.
_RETIRED: Final = frozenset({"ssd-mobilenet"})

#: `performance_issue_same_index` in every scenario.
SAMPLE_INDEX: Final = 3
#: `min_query_count` by model and scenario; of any other it is the scenario's own.
_LEAST_QUERIES: Final = {
    ("stable-diffusion-xl", "Offline"): 500,
    ("wan-2.2-t2v-a14b", "Offline"): 20,
    ("wan-2.2-t2v-a14b", "SingleStream"): 20,
}


def least_queries(benchmark: str, scenario: str) -> int:
    """Return the fewest queries that MLPerf fixes for each phase of a benchmark's TEST04, 0 where it fixes none."""
    model = find_model(benchmark)
    return _LEAST_QUERIES.get((model.name, scenario), 0) if model else 0


def exempt_model(benchmark: str) -> str | None:
    """Return the name of MLPerf's model for a benchmark where MLPerf exempts it from TEST04, None for any other."""
    model = find_model(benchmark)
    return model.name if model and model.name not in _REQUIRED_OF | _RETIRED else None
