from __future__ import annotations

import pytest

from pytest_mlperf_audit.audits.models import accuracy_delta_percent, find_model

LLAMA3 = frozenset({128001, 128008, 128009})


@pytest.mark.parametrize(
    ("benchmark", "name"),
    [
        ("llama2-70b-99.9", "llama2-70b"),
        ("llama2-70b-99", "llama2-70b"),
        ("LLAMA2-70B-99", "llama2-70b"),
        ("llama2-70b-interactive-99.9", "llama2-70b"),
        ("llama2-70b-99.9-fp8", "llama2-70b"),
        ("llama3_1-8b", "llama3.1-8b"),
        ("llama3.1-8b", "llama3.1-8b"),
        ("llama3.1-8b-edge", "llama3.1-8b"),
        ("llama3_1-405b-interactive", "llama3.1-405b"),
        ("resnet", "resnet"),
        ("resnet50", "resnet"),
        ("ResNet50", "resnet"),
        ("mobilenet", "resnet"),
        ("ssd-resnet34", "retinanet"),
        ("3d-unet-99.9", "3d-unet"),
        ("bert-99", "bert"),
        ("gptj-99.9", "gptj"),
        ("dlrm-v2-99.9", "dlrm-v2"),
        ("yolo-95", "yolo"),
        ("gpt-oss-120b", "gpt-oss-120b"),
        ("wan-2.2-t2v-a14b", "wan-2.2-t2v-a14b"),
    ],
)
def test_a_model_is_known_by_any_spelling_of_its_name(benchmark: str, name: str) -> None:
    model = find_model(benchmark)
    assert model is not None
    assert model.name == name


@pytest.mark.parametrize("benchmark", ["", "llama2", "llama2-7b", "my-resnet", "llama3.1-80b", "bertha-99", "resnet5"])
def test_other_names_are_unknown(benchmark: str) -> None:
    assert find_model(benchmark) is None


@pytest.mark.parametrize(
    ("benchmark", "eos_ids"),
    [
        ("llama2-70b-99", {2}),
        ("mixtral-8x7b", {2}),
        ("llama3.1-405b", LLAMA3),
        ("llama3.1-8b", LLAMA3),
        ("deepseek-r1", {1}),
        ("gptj-99", {50256}),
        ("resnet50", None),
    ],
)
def test_end_of_sequence_tokens(benchmark: str, eos_ids: set[int] | None) -> None:
    model = find_model(benchmark)
    assert model is not None
    assert model.eos_ids == eos_ids


@pytest.mark.parametrize(
    ("benchmark", "accuracy_type", "percent"),
    [
        ("bert-99.9", "F1", 0.1),
        ("bert-99", "F1", 1),
        ("resnet50", "acc", 1),
        ("stable-diffusion-xl", "FID_SCORE", 2),
        ("stable-diffusion-xl", "CLIP_SCORE", 1),
        ("unheard-of", "acc", 1),
    ],
)
def test_accuracy_deltas(benchmark: str, accuracy_type: str, percent: float) -> None:
    assert accuracy_delta_percent(benchmark, accuracy_type) == percent
