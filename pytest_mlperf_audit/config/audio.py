"""The `audio:` block of model_params: what a transcription is asked with, beside the model and the sound."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, StrictBool, StrictInt, model_validator
from typing_extensions import Self

from .block import Block, reject

ResponseFormat = Literal["json", "text", "verbose_json"]

#: Fields that other keys set.
_TAKEN = {
    "file": "the data set",
    "model": "model_params.name",
    "temperature": "model_params.temperature",
    "stream": "model_params.streaming",
    **{name: f"model_params.audio.{name}" for name in ("language", "prompt", "response_format")},
}
_FIELD = re.compile(r"[A-Za-z][\w-]*(?:\[\])?", re.ASCII)


class Audio(Block):
    """Fields of a transcription; a row's columns of these names come before them."""

    language: str | None = Field(
        default=None, min_length=1, description="Language that is spoken, as ISO 639-1 has it (en); null: not sent"
    )
    prompt: str | None = Field(
        default=None, min_length=1, description="Text that comes before the sound, for the model; null: not sent"
    )
    response_format: ResponseFormat = Field(
        default="json", description="Form of the reply; what comes is read as what it is, since some servers ignore it"
    )
    fields: dict[str, StrictBool | StrictInt | float | str] = Field(
        default={},
        repr=False,
        description="Further fields of the form, as the server names them: {max_completion_tokens: 64} (vLLM)",
    )

    @model_validator(mode="after")
    def _fields_are_others(self) -> Self:
        for name in self.fields:
            if name in _TAKEN:
                reject(f"{name} is set by {_TAKEN[name]}; take it out", at=["fields"])
            if not _FIELD.fullmatch(name):
                reject(f"{name!r} is no name of a field; use letters, digits, _ and -", at=["fields"])
        return self
