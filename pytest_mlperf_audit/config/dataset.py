"""One entry of `datasets:`: where the rows are and what they are for."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import Self

from .block import Block
from .model_params import Generation, ModelParams


def _without_dot(value: Any) -> Any:
    """The endpoints tool writes a format as a suffix: .jsonl."""
    return value.removeprefix(".") if isinstance(value, str) else value


class AccuracyConfig(Block):
    """How an accuracy data set is scored; kept for the audits that score."""

    eval_method: str | None = Field(default=None, description="Scorer")
    ground_truth: str | None = Field(default=None, description="Column of the expected answer")
    extractor: str | None = Field(default=None, description="How the answer is found in the output")
    num_repeats: int = Field(default=1, ge=1, description="How often each row is sent")
    extras: dict[str, Any] | None = Field(default=None, repr=False, description="Further arguments of the scorer")


class DatasetConfig(Block):
    """A data set."""

    name: str = Field(default="", description="Name in reports; default: the file's name without its suffix")
    type: Literal["performance", "accuracy"] = Field(
        default="performance", description="What the rows are for; audits use the performance data set"
    )
    path: Path | None = Field(
        default=None, description="File of rows, relative to the YAML's directory or else the working directory"
    )
    format: Annotated[Literal["jsonl", "json", "csv", "parquet"] | None, BeforeValidator(_without_dot)] = Field(
        default=None, description="Format of the file; null: by its suffix"
    )
    samples: int | None = Field(default=None, gt=0, description="Use the first so many rows; null: all")
    parser: dict[str, str] | None = Field(
        default=None, description="Columns to rename, as `new name: name in the file` (prompt: article)"
    )
    eval_method: str | None = Field(default=None, description="Scorer of an accuracy data set (older form)")
    accuracy_config: AccuracyConfig | None = Field(default=None, description="How an accuracy data set is scored")
    generation_config_override: Generation | None = Field(
        default=None, description="Keys of model_params that differ for this data set"
    )

    @model_validator(mode="after")
    def _name_from_path(self) -> Self:
        if not self.name and self.path is not None:
            object.__setattr__(self, "name", PurePath(self.path).stem)  # frozen for everyone else
        return self

    def params(self, base: ModelParams) -> ModelParams:
        """Return `base` with this data set's overrides; ValidationError when the two do not go together."""
        if self.generation_config_override is None:
            return base
        changes = self.generation_config_override.model_dump(exclude_unset=True)
        return ModelParams.model_validate({**base.model_dump(), **changes})
