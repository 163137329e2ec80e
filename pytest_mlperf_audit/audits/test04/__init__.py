"""TEST04: does repeating one sample make the SUT faster? The rule, the live audit, the published one."""

from __future__ import annotations

from typing import Final

from ..published.score import FASTER_LIMITS

MLPERF_NAME: Final = "output_caching_test"
RATIO_LIMITS: Final = FASTER_LIMITS
