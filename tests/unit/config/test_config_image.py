"""The `image:` block of model_params: settings, and what a server calls them."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.config.redact import resolved_yaml

IMAGES = """\
type: online
model_params:
  name: sdxl
  seed: 42
  image: {size: 1024x1024, steps: 20, guidance: 8, names: muse}
datasets: [{path: captions.tsv, parser: {prompt: caption}}]
settings:
  load_pattern: {type: concurrency, target_concurrency: 1}
endpoint_config: {api_type: openai_images}
"""


def test_a_server_gives_the_names(load):
    image = load(IMAGES).benchmark.model_params.image
    assert (image.steps, image.guidance, image.n, image.response_format) == (20, 8.0, 1, "b64_json")
    assert image.sent_as == {
        "size": "size",
        "steps": "steps",
        "guidance": "guidance",
        "negative_prompt": "negative_prompt",
        "seed": "seed",
    }


def test_names_of_ones_own_leave_the_others_as_they_are(load):
    text = IMAGES.replace("names: muse", "names: {steps: n_steps, negative_prompt: ''}")
    sent_as = load(text).benchmark.model_params.image.sent_as
    assert sent_as == {"size": "size", "steps": "n_steps", "guidance": "guidance_scale", "seed": "seed"}


MISTAKES = {
    "no size": (("1024x1024", "big"), "image.size: is no width and height; write it as 1024x1024"),
    "no pixels": (("1024x1024", "64x0"), "image.size: is no width and height"),
    "no steps": (("steps: 20", "steps: 0"), "model_params.image.steps"),
    "no images": (("steps: 20", "n: 0"), "model_params.image.n"),
    "an archive": (
        ("steps: 20", "n: 2, response_format: file"),
        "image.response_format: of 2 images the reply is an archive, which is not read; use b64_json",
    ),
    "no name": (
        ("names: muse", "names: openai"),
        "image.guidance: names: openai has no name for guidance; take it out, or say what the server calls it in names",
    ),
    "no seed": (
        ("steps: 20, guidance: 8, names: muse", "names: openai"),
        "model_params.seed: names: openai has no name for seed",
    ),
    "no name of one's own": (
        ("names: muse", "names: {steps: ''}"),
        "image.steps: names has no name for steps",
    ),
    "a misspelt setting": (("names: muse", "names: {stepz: x}"), "model_params.image.names"),
    "a misspelt server": (("names: muse", "names: mues"), "model_params.image.names"),
    "one name for two": (
        ("names: muse", "names: {steps: size}"),
        "image.names: size is the name of something else in the request; correct it",
    ),
    "a name that is taken": (("names: muse", "names: {steps: n}"), "image.names: n is the name of something else"),
    "a stream": (
        ("names: muse", "extra: {stream: true}"),
        "image.extra.stream: is not for extra: it has a key of its own, or would change what a reply is",
    ),
    "a setting as an extra": (
        ("names: muse", "names: muse, extra: {steps: 5}"),
        "image.extra.steps: is what a setting is sent as; set that in its place",
    ),
    "another API": (("openai_images", "openai"), "model_params.image: is not part of api_type openai; take it out"),
    "tokens": (
        ("seed: 42", "min_new_tokens: 5"),
        "model_params.min_new_tokens: is not part of api_type openai_images; take it out",
    ),
}


@pytest.mark.parametrize("which", MISTAKES)
def test_what_does_not_fit_is_said(fault, which):
    (before, after), told = MISTAKES[which]
    assert before in IMAGES
    assert told in fault(IMAGES.replace(before, after))


def test_the_resolved_file_loads_again_to_the_same(load):
    text = IMAGES.replace(
        "names: muse", "names: {steps: n, guidance: ''}, extra: {output_format: png, api_token: abcd1234}"
    )
    text = text.replace("steps: n,", "steps: n_steps,").replace("guidance: 8, ", "")
    first = load(text).benchmark
    written = resolved_yaml(first)
    again = load(written, name="config.yaml").benchmark
    assert "abcd1234" not in written
    assert again.model_params.image.sent_as == first.model_params.image.sent_as
    assert again.model_params.image.extra["output_format"] == "png"
    assert resolved_yaml(again) == written
