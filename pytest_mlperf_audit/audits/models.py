"""What MLPerf fixes for each model, each figure with its source.

Sources (mlcommons/inference at commit b66003e1, 2026-08): `compliance/TEST06/audit.config`,
`compliance/TEST01/<model>/audit.config`, `compliance/TEST07/<model>/audit.config`,
`compliance/TEST09/<model>/audit.config`, and
`tools/submission/submission_checker` (constants.py: accuracy-target, accuracy-delta-perc, model_mapping;
configuration.py: get_delta_perc). End-of-sequence ids are those of the model's `generation_config.json` on its Hugging
Face card, named beside each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

#: compliance/TEST06/audit.config: accuracy_log_sampling_target and min_query_count.
TEST06_SAMPLES: Final = 100
#: What compliance/TEST06/run_verification.py takes for every model unless told otherwise.
UPSTREAM_EOS_ID: Final = 2


#: compliance/TEST01/<model>/audit.config: accuracy_log_rng_seed, the same for every model.
TEST01_SEED: Final = 720381539243781796
#: Its accuracy_log_sampling_target for most models; taken for one that MLPerf has no TEST01 for.
TEST01_OUTPUTS: Final = 4096


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """TEST07: the least accuracy score, and the number of samples that it is of, each issued once."""

    score: float
    n_samples: int


class LengthBounds(msgspec.Struct, frozen=True, kw_only=True):
    """TEST09: bounds of the mean output length in tokens, both allowed, and the number of samples to be logged.

    `unique` is whether the audit.config has LoadGen issue each sample once; otherwise samples may come twice.
    """

    min_tokens: float
    max_tokens: float
    n_samples: int
    unique: bool


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark model. `accuracy_types` names the scores that the submission checker compares.

    `eos_ids` is None where no source for them is known; `test01` is how many outputs TEST01 has logged;
    `accuracy_deltas` are exceptions to the checker's general rule, in per cent.
    """

    name: str
    accuracy_types: tuple[str, ...] = ()
    accuracy_deltas: Mapping[str, float] = {}
    eos_ids: frozenset[int] | None = None
    test01: int | None = None
    test07: Threshold | None = None
    test09: LengthBounds | None = None


_LLAMA2 = frozenset({2})  # meta-llama/Llama-2-70b-chat-hf
_MIXTRAL = frozenset({2})  # mistralai/Mixtral-8x7B-Instruct-v0.1
_LLAMA3 = frozenset({128001, 128008, 128009})  # meta-llama/Llama-3.1-8B-Instruct and -405B-Instruct
_DEEPSEEK = frozenset({1})  # deepseek-ai/DeepSeek-R1
_GPT_OSS = frozenset({199999, 200002, 200012})  # openai/gpt-oss-120b: endoftext, return, call
_GPTJ = frozenset({50256})  # EleutherAI/gpt-j-6b

_ROUGE = ("ROUGE1", "ROUGE2", "ROUGEL")

_MODELS: Final = {
    model.name: model
    for model in (
        Model(name="resnet", accuracy_types=("acc",), test01=4096),
        Model(name="retinanet", accuracy_types=("mAP",), test01=256),
        Model(name="bert", accuracy_types=("F1",), test01=4096),
        Model(name="3d-unet", accuracy_types=("DICE",), test01=64),
        Model(name="dlrm-v2", accuracy_types=("AUC",), test01=4096),
        Model(name="rgat", accuracy_types=("acc",), test01=4096),
        Model(name="pointpainting", accuracy_types=("mAP",), test01=256),
        Model(name="whisper", accuracy_types=("ACCURACY",), test01=4096),
        Model(name="yolo", accuracy_types=("mAP",), test01=64),
        Model(
            name="stable-diffusion-xl",
            accuracy_types=("CLIP_SCORE", "FID_SCORE"),
            accuracy_deltas={"CLIP_SCORE": 1, "FID_SCORE": 2},
            test01=128,
        ),
        Model(name="wan-2.2-t2v-a14b", accuracy_types=("vbench_score",), test01=50),
        Model(name="gptj", accuracy_types=(*_ROUGE, "GEN_LEN"), eos_ids=_GPTJ, test01=4096),
        Model(name="llama2-70b", accuracy_types=(*_ROUGE, "TOKENS_PER_SAMPLE"), eos_ids=_LLAMA2),
        Model(
            name="mixtral-8x7b",
            accuracy_types=(*_ROUGE, "TOKENS_PER_SAMPLE", "gsm8k_accuracy", "mbxp_accuracy"),
            eos_ids=_MIXTRAL,
        ),
        Model(name="llama3.1-8b", accuracy_types=(*_ROUGE, "ROUGELSUM", "GEN_LEN"), eos_ids=_LLAMA3),
        Model(name="llama3.1-405b", accuracy_types=("ROUGEL", "exact_match", "TOKENS_PER_SAMPLE"), eos_ids=_LLAMA3),
        Model(name="deepseek-r1", accuracy_types=("exact_match", "TOKENS_PER_SAMPLE"), eos_ids=_DEEPSEEK),
        Model(
            name="gpt-oss-120b",
            accuracy_types=("exact_match",),
            eos_ids=_GPT_OSS,
            test07=Threshold(score=60.698, n_samples=990),
            test09=LengthBounds(min_tokens=1150.38, max_tokens=1406.02, n_samples=6396, unique=True),
        ),
        Model(
            name="e2e-rag-qna",
            accuracy_types=("E2E_ACCURACY",),
            test09=LengthBounds(min_tokens=246.43, max_tokens=301.19, n_samples=824, unique=False),
        ),
    )
}

#: Names that are not the checker's own (model_mapping), and those it guesses (get_mlperf_model).
_ALIASES: Final = {
    "resnet50": "resnet",
    "mobilenet": "resnet",
    "efficientnet": "resnet",
    "ssd-resnet34": "retinanet",
    "gpt-j": "gptj",
}
_SUFFIX = re.compile(r"-(?:99\.9|99|95|interactive|edge)$")


def find_model(name: str) -> Model | None:
    """Return the model that a benchmark directory's name stands for, None where no model is known by it.

    `llama2-70b-99.9`, `LLAMA3_1-8b`, `llama2-70b-interactive-99` and `llama2-70b-99.9-fp8` are known; an own name that
    only contains a model's is not.
    """
    base = name.strip().lower().replace("_", ".")
    while match := _SUFFIX.search(base):
        base = base[: match.start()]
    known = [*_MODELS, *_ALIASES]
    alike = [each for each in known if base == each or base.startswith(f"{each}-")]
    if not alike:
        return None
    longest = max(alike, key=len)
    return _MODELS[_ALIASES.get(longest, longest)]


def accuracy_delta_percent(name: str, accuracy_type: str) -> float:
    """Return by how many per cent two scores of a benchmark may differ: 0.1 of a -99.9 one, else 1, SDXL's FID 2."""
    model = find_model(name)
    exception = model.accuracy_deltas.get(accuracy_type) if model else None
    return exception if exception is not None else 0.1 if "99.9" in name else 1.0
