"""Columns that a data set's template makes of others, and the image of a product."""

from __future__ import annotations

import json

import pytest

PRODUCT = {"product_title": "Lamp", "product_image_base64": "aGk=", "n": 3}


def line(**row: object) -> str:
    return json.dumps(row) + "\n"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("What is {title}?", "What is a lamp?"),
        ("{title}, {title}", "a lamp, a lamp"),
        ("{n} of {tags}{nothing}", '3 of ["x","ü"]'),
        ('{"a": {"b": 1}} {} {{title}} {{title}', '{"a": {"b": 1}} {} {title} {a lamp'),
        ("no place", "no place"),
    ],
    ids=["one", "twice", "values", "braces", "none"],
)
def test_places_hold_the_values_of_the_row(rows, text: str, made: str):
    row = {"title": "a lamp", "n": 3, "tags": ["x", "ü"], "nothing": None}
    dataset = rows("x.jsonl", line(**row), template={"prompt": text, "system": "be brief"})
    assert dataset[0] == {**row, "prompt": made, "system": "be brief"}


def test_values_are_not_looked_through_for_places(rows):
    dataset = rows("x.jsonl", line(title="{n}", n=1), template={"prompt": "{title}"})
    assert dataset[0]["prompt"] == "{n}"


def test_columns_have_the_names_that_parser_gave_them(rows):
    dataset = rows("x.jsonl", line(a={"b": "deep"}), parser={"c": "a.b"}, template={"prompt": "so {c}"})
    assert dataset[0]["prompt"] == "so deep"


def test_a_place_without_a_column_is_told(fault):
    assert fault("x.jsonl", line(title="a"), template={"prompt": "{titel}"}) == (
        "x.jsonl line 1: has no column 'titel', which template names; its columns are 'title'"
    )


def test_the_image_of_a_product_is_its_image(rows):
    dataset = rows("x.jsonl", line(**PRODUCT), template={"prompt": "What is {product_title}?"})
    assert dataset[0] == {"product_title": "Lamp", "image": "aGk=", "n": 3, "prompt": "What is Lamp?"}


@pytest.mark.parametrize(
    "named", [{"parser": {"prompt": "product_title"}}, {"parser": {"prompt": "product_title", "image": "n"}}]
)
def test_a_product_with_a_prompt_by_other_ways_needs_no_template(rows, named):
    row = rows("x.jsonl", line(**PRODUCT), **named)[0]
    assert (row["prompt"], row["image"]) == ("Lamp", 3 if "image" in named["parser"] else "aGk=")


@pytest.mark.parametrize("template", [None, {"system": "be brief"}])
def test_a_product_without_a_prompt_is_told(fault, template):
    message = fault("x.jsonl", line(**PRODUCT), template=template)
    assert message.startswith("x.jsonl line 1: has a product and no prompt")
    assert "template: {prompt: " in message
