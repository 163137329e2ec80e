"""The `model_params:` block: what is asked of the model, sent with every query."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from typing_extensions import Self

from .audio import Audio
from .block import Block, reject
from .http_json import HttpJson
from .image_params import ImageParams
from .tensors import Tensors

Streaming = Literal["auto", "on", "off"]


def _from_yaml_bool(value: Any) -> Any:
    """YAML 1.1 reads an unquoted on or off as a boolean."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class Generation(Block):
    """Sampling and length settings; the part of `model_params` that a data set may override."""

    temperature: float | None = Field(default=None, description="Sampling temperature; null: the server's default")
    seed: int | None = Field(default=None, description="Sampling seed sent with each query; null: none is sent")
    top_k: int | None = Field(default=None, description="Sample from the k likeliest tokens; null: not sent")
    top_p: float | None = Field(default=None, description="Sample from the likeliest tokens of this total probability")
    repetition_penalty: float | None = Field(default=None, description="Factor against repeated tokens; null: not sent")
    presence_penalty: float | None = Field(default=None, description="Penalty on tokens already present")
    frequency_penalty: float | None = Field(default=None, description="Penalty on tokens by how often they occurred")
    chat_template_kwargs: dict[str, Any] | None = Field(
        default=None, repr=False, description="Arguments of the server's chat template, passed on as they are"
    )
    max_new_tokens: int | None = Field(
        default=1024,
        ge=1,
        description="Longest output, in tokens; null: not sent, so that the server's own limit holds",
    )
    min_new_tokens: int | None = Field(default=None, ge=0, description="Shortest output, in tokens; null: not sent")
    skip_special_tokens: bool | None = Field(
        default=None, description="Whether special tokens are left out of the output; null: not sent"
    )


class ModelParams(Generation):
    """The model and its settings."""

    name: str = Field(
        default="", description="Model name sent with each query; required, unless submission_ref.model gives it"
    )
    streaming: Annotated[
        Streaming,
        BeforeValidator(_from_yaml_bool),
        WithJsonSchema({"enum": ["auto", "on", "off", True, False]}),
    ] = Field(default="auto", description="Whether replies are streamed; auto: on when online, off when offline")

    length_field: Literal["max_completion_tokens", "max_tokens"] | None = Field(
        default=None,
        description="Name under which OpenAI's APIs are sent max_new_tokens; null: max_completion_tokens for openai, "
        "max_tokens for openai_completions. Servers ignore the name that they do not know",
    )
    stream_usage: bool = Field(
        default=True,
        description="Whether OpenAI's APIs are asked for usage in streams (stream_options); false for servers that "
        "refuse it",
    )

    version: str | None = Field(
        default=None, description="Version of the model, for APIs that name one in their path; null: the server's own"
    )
    tensors: Tensors | None = Field(default=None, description="Inputs and outputs of a model of api_type kserve_v2")
    http: HttpJson | None = Field(
        default=None, description="Requests and replies of api_type http_json, for APIs that have no adapter"
    )
    audio: Audio | None = Field(
        default=None, description="What transcriptions are asked with by api_type openai_audio; null: its defaults"
    )
    batch_size: int = Field(
        default=1,
        ge=1,
        le=65536,
        description="Rows in one query, for APIs that take several; the last query is filled with the first rows. "
        "Counts of queries are then counts of batches; accuracy data sets are sent one row a query",
    )
    image: ImageParams | None = Field(default=None, description="What images are asked for, of api_type openai_images")
    tokenizer: Path | None = Field(
        default=None,
        description="Local directory of the model's tokenizer.json and chat template (chat_template.jinja, or in "
        "tokenizer_config.json), by which the main run's output tokens are then counted, as MLPerf Endpoints asks; "
        "relative to the YAML's directory or else the working directory; null: the server's usage counts",
    )

    @model_validator(mode="after")
    def _seed_has_a_name(self) -> Self:
        if self.image is not None and self.seed is not None and "seed" not in self.image.sent_as:
            reject(self.image.nameless("seed"), at=["seed"])
        return self

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        shortest, longest = self.min_new_tokens, self.max_new_tokens
        if shortest is not None and longest is not None and shortest > longest:
            reject(
                f"min_new_tokens ({self.min_new_tokens}) exceeds max_new_tokens ({self.max_new_tokens}); "
                "lower the first or raise the second",
                at=["min_new_tokens"],
            )
        return self
