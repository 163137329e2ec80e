"""The `http:` block of model_params: an API of JSON in and JSON out, described without a line of Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from .block import Block, reject

#: A place in the body where a value of the row stands; {{ and }} are braces.
PLACE = re.compile(r"\{\{|\}\}|\{(\w+)\}")
_BRACE = re.compile(r"\{[^{}]*\}?|\}")


class HttpJson(Block):
    """Requests and replies of api_type http_json.

    Paths into a reply are as in a data set's `parser`: `outputs[0].text`.
    """

    path: str = Field(description="Path that queries are posted to: /predict")
    body: dict[str, Any] = Field(
        description="The request. A text in it may hold {column}, in whose place the row's value is put; a text that "
        "is nothing else becomes that value, of whatever type. {model}, {max_new_tokens}, {temperature} and {seed} are "
        "those of model_params, unless the row has such a column"
    )
    twin: str = Field(description="Column in which a twin differs from its row; the body has to hold it")
    twin_kind: Literal["text", "numbers"] = Field(
        default="text",
        description="What that column holds: text, whose words are changed, or a list of numbers, of which a few are "
        "changed by the least steps of a float64, whole numbers by one where the list has 64 or more of them alone",
    )
    output: str = Field(description="Path of the output in the reply; any JSON value")
    id: str | None = Field(default=None, description="Path of the reply's id, which no other reply has")
    model: str | None = Field(default=None, description="Path of the name of the model that answered")
    tokens: str | None = Field(default=None, description="Path of the number of output tokens")
    prompt_tokens: str | None = Field(default=None, description="Path of the number of prompt tokens")
    cached_tokens: str | None = Field(
        default=None, description="Path of the number of prompt tokens that came from a cache"
    )
    error: str | None = Field(
        default=None,
        description="Path of an error in a reply with status 200; what other APIs call an error is known without it",
    )

    @field_validator("path")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        return (
            value
            if re.fullmatch(r"/\S*", value)
            else reject("is no path of a URL; write it with / first and without spaces, as /predict")
        )

    @field_validator("body")
    @classmethod
    def _has_something(cls, value: dict[str, Any]) -> dict[str, Any]:
        for text in _texts(value):
            if stray := _BRACE.search(PLACE.sub("", text)):
                reject(
                    f"has {stray[0]!r}, which is no place: a column's name there has letters, digits and _ alone (a "
                    "data set's parser renames columns), and a brace of the text itself is written twice"
                )
        return value or reject("is empty; write the request as the endpoint takes it")

    @model_validator(mode="after")
    def _holds_the_twin(self) -> Self:
        if self.twin not in (names := list(places(self.body))):
            found = ", ".join(dict.fromkeys(names)) or "none"
            reject(f"is in no place of the body, whose places are: {found}; write {{{self.twin}}} there", at=["twin"])
        return self


def places(template: Any) -> Iterator[str]:
    """Yield the names of the places in a template."""
    for text in _texts(template):
        yield from (name for name in PLACE.findall(text) if name)


def _texts(template: Any) -> Iterator[str]:
    """Yield the texts in a template, in which places may be: names of members are none."""
    if isinstance(template, str):
        yield template
    elif isinstance(template, dict):
        for value in template.values():
            yield from _texts(value)
    elif isinstance(template, list):
        for value in template:
            yield from _texts(value)
