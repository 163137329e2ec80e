"""The models of MLPerf's benchmarks, each figure with its source; what a test fixes for them is in the test's folder.

Source (mlcommons/inference at commit b66003e1, 2026-08): `tools/submission/submission_checker`
(constants.py: accuracy-target, accuracy-delta-perc, model_mapping; configuration.py: get_delta_perc). End-of-sequence
ids are those of the model's `generation_config.json` on its Hugging Face card, named beside each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

_FigureT = TypeVar("_FigureT")


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark model. `accuracy_types` names the scores that the submission checker compares.

    `eos_ids` is None where no source for them is known; `accuracy_deltas` are exceptions to the checker's general
    rule, in per cent.
    """

    name: str
    accuracy_types: tuple[str, ...] = ()
    accuracy_deltas: Mapping[str, float] = {}
    eos_ids: frozenset[int] | None = None


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
        Model(name="resnet", accuracy_types=("acc",)),
        Model(name="retinanet", accuracy_types=("mAP",)),
        Model(name="bert", accuracy_types=("F1",)),
        Model(name="3d-unet", accuracy_types=("DICE",)),
        Model(name="dlrm-v2", accuracy_types=("AUC",)),
        Model(name="rgat", accuracy_types=("acc",)),
        Model(name="pointpainting", accuracy_types=("mAP",)),
        Model(name="whisper", accuracy_types=("ACCURACY",)),
        Model(name="yolo", accuracy_types=("mAP",)),
        Model(name="rnnt", accuracy_types=("ACCURACY",)),  # retired: these three, by the checker of their rounds
        Model(name="ssd-mobilenet", accuracy_types=("mAP",)),
        Model(name="dlrm", accuracy_types=("AUC",)),
        Model(
            name="stable-diffusion-xl",
            accuracy_types=("CLIP_SCORE", "FID_SCORE"),
            accuracy_deltas={"CLIP_SCORE": 1, "FID_SCORE": 2},
        ),
        Model(name="wan-2.2-t2v-a14b", accuracy_types=("vbench_score",)),
        Model(name="gptj", accuracy_types=(*_ROUGE, "GEN_LEN"), eos_ids=_GPTJ),
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
        ),
        Model(name="e2e-rag-qna", accuracy_types=("E2E_ACCURACY",)),
        Model(name="e2e-rag-db", accuracy_types=("E2E_ACCURACY",)),
        Model(name="dlrm-v3", accuracy_types=("DLRM_NE", "DLRM_ACC", "DLRM_AUC")),
        Model(name="qwen3-vl-235b-a22b", accuracy_types=("F1_HIERARCHICAL",)),
        Model(name="qwen3.6-27b", accuracy_types=("mAP",)),
    )
}

#: Names that are not the checker's own (model_mapping), and those it guesses (get_mlperf_model).
_ALIASES: Final = {
    "resnet50": "resnet",
    "mobilenet": "resnet",
    "efficientnet": "resnet",
    "ssd-resnet34": "retinanet",
    "gpt-j": "gptj",
    "ssd-small": "ssd-mobilenet",
    "ssd-large": "retinanet",
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


def figure_of(benchmark: str, figures: Mapping[str, _FigureT]) -> _FigureT | None:
    """Return what a test fixes for a benchmark: `figures` are by the names of models here."""
    model = find_model(benchmark)
    return figures.get(model.name) if model else None


def accuracy_delta_percent(name: str, accuracy_type: str) -> float:
    """Return by how many per cent two scores of a benchmark may differ: 0.1 of a -99.9 one, else 1, SDXL's FID 2."""
    model = find_model(name)
    exception = model.accuracy_deltas.get(accuracy_type) if model else None
    return exception if exception is not None else 0.1 if "99.9" in name else 1.0
