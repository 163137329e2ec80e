"""TEST01: are the answers of performance mode those of accuracy mode? The rule, the live audit, the published one.

And what MLPerf fixes for it. Source: mlcommons/inference `compliance/TEST01/<model>/audit.config` at commit b66003e1.
"""

from __future__ import annotations

from typing import Final

from ..models import figure_of
from ..published.score import BOTH_WAYS_LIMITS

MLPERF_NAME: Final = "accuracy_in_performance_test"
RATIO_LIMITS: Final = BOTH_WAYS_LIMITS

#: accuracy_log_rng_seed, the same for every model.
SEED: Final = 720381539243781796
#: accuracy_log_sampling_target, how many outputs are logged; most models' is taken for one that has no TEST01.
_MOST_MODELS: Final = 4096
_SAMPLED: Final = {
    "resnet": 4096,
    "retinanet": 256,
    "bert": 4096,
    "3d-unet": 64,
    "dlrm-v2": 4096,
    "rgat": 4096,
    "pointpainting": 256,
    "whisper": 4096,
    "yolo": 64,
    "stable-diffusion-xl": 128,
    "wan-2.2-t2v-a14b": 50,
    "gptj": 4096,
}


def n_sampled_outputs(benchmark: str) -> int:
    """Return of how many outputs of a benchmark TEST01 takes a sample."""
    return figure_of(benchmark, _SAMPLED) or _MOST_MODELS
