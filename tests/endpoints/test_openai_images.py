from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.media.openai_images import OpenAIImagesAdapter
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit

#: MLPerf's settings of Stable Diffusion XL.
SDXL: dict[str, Any] = {
    "size": "1024x1024",
    "steps": 20,
    "guidance": 8,
    "negative_prompt": "normal quality, low quality, worst quality, low res, blurry, nsfw, nude",
}
ROW = {"prompt": "a red kite above a grey sea"}


def adapter(*, seed: int | None = 42, **image: Any) -> OpenAIImagesAdapter:
    return OpenAIImagesAdapter(ModelParams(name="sdxl", seed=seed, image=image))


def body(made: OpenAIImagesAdapter, row: dict[str, Any] = ROW, edit: Edit = NO_EDIT) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(made.encode(row, edit))
    return sent


@pytest.mark.parametrize(
    ("names", "steps", "guidance"),
    [
        ("vllm-omni", "num_inference_steps", "guidance_scale"),
        ("sglang", "num_inference_steps", "guidance_scale"),
        ("muse", "steps", "guidance"),
        ({"guidance": "true_cfg_scale"}, "num_inference_steps", "true_cfg_scale"),
    ],
)
def test_settings_go_by_the_names_of_the_server(names, steps, guidance):
    assert body(adapter(names=names, **SDXL)) == {
        "model": "sdxl",
        "prompt": ROW["prompt"],
        "negative_prompt": SDXL["negative_prompt"],
        "size": "1024x1024",
        steps: 20,
        guidance: 8.0,
        "seed": 42,
        "n": 1,
        "response_format": "b64_json",
    }


def test_nothing_is_sent_that_nobody_asked_for():
    assert body(OpenAIImagesAdapter(ModelParams(name="m"))) == {
        "model": "m",
        **ROW,
        "n": 1,
        "response_format": "b64_json",
    }
    openai = adapter(seed=None, names="openai", size="auto", response_format=None, n=2, extra={"quality": "low"})
    assert body(openai) == {"model": "sdxl", **ROW, "size": "auto", "n": 2, "quality": "low"}


def test_columns_stand_in_place_of_the_settings_by_either_name():
    made = adapter(names="muse", **SDXL)
    row = {**ROW, "steps": "4", "guidance_scale": 2, "seed": 7, "negative_prompt": None, "size": "512x512", "id": "70"}
    sent = body(made, row)
    assert [sent[name] for name in ("steps", "guidance", "seed", "size")] == [4, 2.0, 7, "512x512"]
    assert sent["negative_prompt"] == SDXL["negative_prompt"]
    assert "id" not in sent
    assert "guidance_scale" not in sent


@pytest.mark.parametrize(
    ("edit", "prompt"),
    [
        (Edit(lead="5eed"), "5eed a red kite above a grey sea"),
        (Edit(tail="5eed"), "a red kite above a grey sea 5eed"),
        (Edit(lead="one two three", in_place=True), "one two three above a grey sea"),
        (Edit(text="a dog"), "a dog"),
        (Edit(max_tokens=1), ROW["prompt"]),
    ],
)
def test_an_edit_changes_the_prompt_and_neither_seed_nor_anything_else(edit, prompt):
    made = adapter(**SDXL)
    assert body(made, ROW, edit) == {**body(made), "prompt": prompt}


def test_the_order_of_columns_does_not_change_the_bytes():
    made = adapter(**SDXL)
    assert made.encode({"prompt": "p", "seed": 1, "steps": 8}) == made.encode({"steps": 8, "seed": 1, "prompt": "p"})


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({}, "no text in column 'prompt'"),
        ({"prompt": " "}, "no text in column 'prompt'"),
        ({"prompt": 5}, "no text in column 'prompt'"),
        ({**ROW, "negitive_prompt": "x"}, "unknown column 'negitive_prompt'; did you mean 'negative_prompt'?"),
        ({**ROW, "steps": "many"}, "column 'steps': expected int"),
        ({**ROW, "n": 2}, "column 'n' cannot be set by a row; set model_params.image.n in the YAML"),
        ({**ROW, "steps": 4, "num_inference_steps": 5}, "columns 'steps' and 'num_inference_steps' are one setting"),
        ({**ROW, "guidance": float("nan")}, "a value cannot be sent as JSON"),
        ({"prompt": "half \ud800"}, "half of a surrogate pair"),
    ],
)
def test_a_row_that_cannot_be_sent_is_named(row, problem):
    assert problem in (adapter().problem(row) or "")


def test_a_setting_that_the_server_has_no_name_for_is_named():
    made = adapter(seed=None, names="openai")
    assert made.problem({**ROW, "steps": 4}) == (
        "column 'steps': model_params.image.names: openai has no name for steps; take it out, or say what the server "
        "calls it in names"
    )
    assert made.problem({**ROW, "steps": None}) is None


def test_captions_of_coco_are_rows():
    row = {"id": "70", "image_id": "227049", "height": "640", "width": "480", "file_name": "a.jpg", "coco_url": "x"}
    assert adapter(**SDXL).problem({**ROW, **row}) is None


def test_what_is_tried_differs_in_one_setting_and_costs_few_steps():
    made = adapter(names="muse", **SDXL)
    trials = made.trials(ROW)
    assert [(trial.setting, trial.matters) for trial in trials] == [
        ("steps", True),
        ("guidance", False),
        ("negative_prompt", False),
    ]
    for trial in trials:
        plain, changed = body(made, dict(trial.plain)), body(made, dict(trial.changed))
        assert {name for name in plain if plain[name] != changed[name]} == {trial.setting}
        assert max(plain["steps"], changed["steps"]) <= 3
        assert plain["seed"] == changed["seed"] == 42
    assert trials[0].ignored == (
        "model_params.image.steps, sent as 'steps', has no effect: the image is the same with another value, so the "
        "server does not know the name, or has a value of its own; set model_params.image.names to what it calls it "
        "(others call it num_inference_steps), or take steps out of the YAML and the data set"
    )


@pytest.mark.parametrize(
    ("row", "image", "tried"),
    [
        (ROW, {}, []),
        ({**ROW, "steps": 20}, {}, ["steps"]),
        (ROW, {"guidance": 1, "negative_prompt": "x"}, ["guidance"]),
        (ROW, {"negative_prompt": "x"}, ["negative_prompt"]),
    ],
)
def test_only_what_can_be_told_is_tried(row, image, tried):
    trials = adapter(seed=None, **image).trials(row)
    assert [trial.setting for trial in trials] == tried
    assert all(trial.plain["seed"] == trial.changed["seed"] == 42 for trial in trials), "a seed of its own"
