"""Images of chat rows: where they may stand, what is sent, and twins that differ in one pixel."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.text.anthropic import AnthropicAdapter
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.endpoints.text.openai_responses import OpenAIResponsesAdapter
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit

TWIN = Edit(lead="ocean lamp", in_place=True)


def file_of(kind: str, colour: int = 90, size: tuple[int, int] = (9, 7)) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, (colour, 10, 250)).save(made, kind)
    return made.getvalue()


PNG = file_of("PNG")
URL = "data:image/png;base64," + base64.b64encode(PNG).decode()


@pytest.fixture
def adapter(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.jpg").write_bytes(file_of("JPEG"))
    (tmp_path / "no.png").write_bytes(b"no image")
    adapter = OpenAIChatAdapter(ModelParams(name="m"))
    adapter.directories = [tmp_path]
    return adapter


def content(adapter, row, edit=NO_EDIT):
    assert adapter.problem(row) is None
    return json.loads(adapter.encode(row, edit))["messages"][-1]["content"]


def pixels(part):
    data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


@pytest.mark.parametrize(
    "given",
    [
        "a.png",
        base64.b64encode(PNG).decode(),
        URL,
        {"bytes": base64.b64encode(PNG).decode(), "path": None},
        {"path": "a.png"},
    ],
    ids=["file", "base64", "url", "table", "table of paths"],
)
def test_an_image_is_a_part_before_the_text(adapter, given):
    assert content(adapter, {"prompt": "what is it?", "image": given}) == [
        {"type": "image_url", "image_url": {"url": URL}},
        {"type": "text", "text": "what is it?"},
    ]


def test_several_images_and_an_image_alone(adapter):
    parts = content(adapter, {"prompt": "which?", "images": ["a.png", "b.jpg", "https://host/c.png"]})
    kinds = [part["image_url"]["url"].partition(";")[0] for part in parts[:3]]
    assert kinds == ["data:image/png", "data:image/jpeg", "https://host/c.png"]
    assert [part["type"] for part in content(adapter, {"image": "a.png"})] == ["image_url"]


def test_images_of_messages_keep_their_place_and_a_column_goes_to_the_last_of_the_user(adapter):
    own = {"type": "image_url", "image_url": {"url": "a.png", "detail": "low"}}
    row = {"messages": [{"role": "user", "content": [{"type": "text", "text": "see"}, own]}]}
    assert content(adapter, row) == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": URL, "detail": "low"}},
    ]
    parts = content(adapter, {**row, "image": "a.png"})
    assert [part["type"] for part in parts] == ["image_url", "text", "image_url"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("c.png", "column 'image' cannot be read: no such file: c.png; looked in"),
        ("no.png", "column 'image' is no PNG, JPEG, GIF, WebP or BMP image"),
        (7, "column 'image' is neither a file's path, nor base64, nor a URL"),
        ("A" * 100, "column 'image' is no PNG"),
        ("!" * 100, "column 'image' is no base64"),
    ],
)
def test_what_is_no_image_is_told_before_any_query(adapter, given, problem):
    assert adapter.problem({"prompt": "what?", "image": given}).startswith(problem)
    row = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": given}}]}]}
    assert adapter.problem(row).startswith(problem.replace("column 'image'", "a part of its messages"))


def test_an_edit_of_the_text_leaves_the_image_as_it_is(adapter):
    row = {"prompt": "what is it that you see in here?", "image": "b.jpg"}
    (image, text), (twin_image, twin_text) = content(adapter, row), content(adapter, row, TWIN)
    assert image == twin_image
    assert text != twin_text


def test_a_twin_of_the_image_differs_in_one_pixel_and_not_in_the_text(adapter):
    row = {"prompt": "what is it that you see in here?", "images": ["b.jpg", "a.png"]}
    own, twin, other = (content(adapter, row, Edit(image=seed)) for seed in ("", "1", "2"))
    assert own[-1] == twin[-1]
    for at in (0, 1):
        differs = (pixels(own[at]) != pixels(twin[at])).any(axis=2)
        assert differs.sum() == 1
        assert np.abs(pixels(own[at]) - pixels(twin[at])).max() <= 16
        assert twin[at]["image_url"]["url"].startswith("data:image/png")
        assert twin[at] != other[at]
    assert content(adapter, row, Edit(image="1")) == twin


def test_an_image_that_the_server_fetches_is_not_changed(adapter):
    row = {"prompt": "what?", "image": "https://host/c.png"}
    assert content(adapter, row, Edit(image="1")) == content(adapter, row)


def test_other_chat_apis_have_images_in_their_own_form(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    row = {"prompt": "what is it?", "image": "a.png"}
    for kind, found in (
        (OpenAIResponsesAdapter, lambda body: body["input"][0]["content"][0]["image_url"]),
        (AnthropicAdapter, lambda body: "data:image/png;base64," + body["messages"][0]["content"][0]["source"]["data"]),
    ):
        adapter = kind(ModelParams(name="m"))
        adapter.directories = [tmp_path]
        assert adapter.problem(row) is None
        assert found(json.loads(adapter.encode(row))) == URL


def test_rows_of_token_ids_are_left_alone():
    from pytest_mlperf_audit.endpoints.text.openai import OpenAICompletionsAdapter

    adapter = OpenAICompletionsAdapter(ModelParams(name="m"))
    row = {"prompt": [1, 2, 3], "image": "not sent"}
    assert adapter.problem(row) is None
    assert json.loads(adapter.encode(row))["prompt"] == [1, 2, 3]
