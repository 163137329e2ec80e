"""TEST06: is a language model's output what it is reported as? The rule, the live audit, the published one."""

from __future__ import annotations

from typing import Final

MLPERF_NAME: Final = "consistency_output_test"

#: mlcommons/inference `compliance/TEST06/audit.config`: accuracy_log_sampling_target and min_query_count.
SAMPLES: Final = 100
