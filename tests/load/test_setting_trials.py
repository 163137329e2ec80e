"""Whether settings take effect is tried before the first phase, against servers that ignore some of them."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.media.openai_images import OpenAIImagesAdapter
from pytest_mlperf_audit.errors import EndpointError
from pytest_mlperf_audit.load.first_query import ask_first
from pytest_mlperf_audit.load.target import Target
from tests.support.pictures import png

ALL = ("prompt", "seed", "num_inference_steps", "guidance_scale", "negative_prompt", "size")
STEPS, GUIDANCE = {"steps": 20}, {"steps": 20, "guidance": 8, "negative_prompt": "blur"}


def serve(server: Any, *heeds: str, salt: Any = None) -> None:
    """Have the server draw an image by the fields that it heeds, and by nothing else."""

    def post(_path: str, body: dict[str, Any]) -> tuple[int, Any]:
        said = [str(body.get(name)) for name in heeds] + [str(next(salt)) if salt else "the same"]
        image = base64.b64encode(png(comment=" ".join(said))).decode()
        return 200, {"created": 1, "data": [{"b64_json": image}]}

    server.post = post


@pytest.fixture
def ask(engine, server):
    """Ask the server its first queries, as of a YAML with these images."""

    def ask(seed: int | None = 7, **image: Any) -> tuple[str, ...]:
        engine.adapter = OpenAIImagesAdapter(ModelParams(name="m", seed=seed, image=image))
        target = Target(urls=(server.url,))
        warnings: tuple[str, ...] = ask_first(engine.source, target, timeout_s=5, ready_timeout_s=0).warnings
        return warnings

    return ask


def test_settings_that_take_effect_are_not_spoken_of(ask, server):
    serve(server, *ALL)
    assert ask(**GUIDANCE) == ()
    sent = [body for _, body in server.posts]
    assert [body["num_inference_steps"] for body in sent] == [20, 2, 2, 3, 2, 2]
    assert {len(body["prompt"].split()[0]) for body in sent} == {32}, "no row as it stands"
    assert sent[1] == sent[2], "equal queries are asked once again"


def test_steps_that_are_ignored_are_an_error_with_the_cure(ask, server):
    serve(server, *(name for name in ALL if name != "num_inference_steps"))
    with pytest.raises(EndpointError) as caught:
        ask(**STEPS)
    assert str(caught.value).startswith(
        f"endpoint {server.url}: model_params.image.steps, sent as 'num_inference_steps', has no effect"
    )
    assert "(others call it steps)" in str(caught.value)


def test_other_settings_that_are_ignored_are_warnings(ask, server):
    serve(server, "prompt", "num_inference_steps", "size")
    guidance, negative = ask(**GUIDANCE)
    assert "guidance_scale" in guidance
    assert "negative_prompt" in negative


def test_a_server_without_a_seed_leaves_it_untold(ask, server):
    serve(server, *ALL, salt=itertools.count())
    (warning,) = ask(**GUIDANCE)
    assert warning == (
        "two equal queries have different outputs, so the seed is not kept or the server is not deterministic, and "
        "whether these take effect cannot be told: steps, guidance, negative_prompt"
    )


def test_a_value_that_is_refused_leaves_it_untold(ask, server):
    serve(server, *ALL)
    draw = server.post

    def post(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if body["guidance_scale"] == 1:
            return 422, {"error": {"message": "guidance must be above 1"}}
        answer: tuple[int, Any] = draw(path, body)
        return answer

    server.post = post
    assert ask(**GUIDANCE) == ("whether guidance takes effect is not known: guidance must be above 1",)


def test_nothing_is_tried_where_nothing_is_set(ask, server):
    serve(server, "prompt")
    assert ask() == ()
    assert len(server.posts) == 1


def test_an_image_of_another_size_is_told(ask, server):
    serve(server)
    assert ask(size="8x4") == ()
    assert ask(size="64x64") == ("the image is 8x4, though 64x64 was asked for; set the size that is meant",)


def test_urls_in_place_of_images_are_told(ask, server):
    server.post = lambda _path, _body: (200, {"data": [{"url": "http://host/1.png"}]})
    (warning,) = ask(response_format="url", **STEPS)
    assert warning.startswith("replies name images by URL and hold none")
    with pytest.raises(EndpointError, match="a URL in place of an image"):
        ask(**STEPS)


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (
            422,
            {"error": {"code": "invalid_parameter", "message": "size 63x63 out of range"}},
            "size 63x63 out of range",
        ),
        (404, {"error": {"code": "model_not_found", "message": "no model 'm'"}}, "no model 'm'.*correct model_params"),
        (422, {"detail": [{"loc": ["body", "steps"], "msg": "Input should be a valid integer"}]}, "body.steps: Input"),
        (
            400,
            {"error": {"message": "Unknown parameter: 'response_format'."}},
            "set model_params.image.response_format: null",
        ),
        (400, {"error": {"message": "Unknown parameter: 'num_inference_steps'."}}, "take num_inference_steps out of"),
        (200, {"data": []}, "no image in it"),
        (200, {"error": {"message": "CUDA out of memory"}}, "CUDA out of memory"),
    ],
)
def test_refusals_of_real_servers_are_told_in_their_words(ask, server, status, said, words):
    server.post = lambda _path, _body: (status, said)
    with pytest.raises(EndpointError, match=words):
        ask(**STEPS)
