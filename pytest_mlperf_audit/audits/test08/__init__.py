"""TEST08: does performance mode rank as accuracy mode does? DLRM-v3, published ones only: it is no HTTP inference.

Source: mlcommons/inference `compliance/TEST08` at commit b66003e1: `run_verification.py` (tolerance) and
`dlrm-v3/audit.config` (accuracy_log_sampling_target).
"""

from __future__ import annotations

from typing import Final

MLPERF_NAME: Final = "accuracy_in_performance_dlrmv3_test"
#: By how many per cent the normalized entropy of a request may differ between the two runs.
TOLERANCE_PERCENT: Final = 0.1
#: LoadGen logs about as many outputs of the performance run.
SAMPLES: Final = 4096
