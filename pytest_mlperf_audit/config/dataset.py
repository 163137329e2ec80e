"""One entry of `datasets:`: where the rows are and what they are for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import Self

from ..scoring.extract import ExtractorName
from ..text import nearest
from .agentic import AgenticInference
from .block import LONGEST_NAME, Block, DurationMs, Problem, reject, reject_all
from .model_params import Generation, ModelParams


def _without_dot(value: Any) -> Any:
    """The endpoints tool writes a format as a suffix: .jsonl."""
    return value.removeprefix(".") if isinstance(value, str) else value


#: What is replaced in the arguments of an external scorer.
PLACEHOLDERS = ("accuracy_log", "queries", "outputs")


class AccuracyConfig(Block):
    """How an accuracy data set is scored: by a method of ours, or by an external command."""

    eval_method: str | None = Field(
        default=None,
        description="exact_match (also pass_at_1, string_match), rouge, or wer (also word_error_rate): Whisper's words "
        "that are right, in per cent; any other name needs `command`, and without one the data set is not scored",
    )
    ground_truth: str | None = Field(
        default="ground_truth", description="Column of the expected answer; a method that compares needs it"
    )
    extractor: ExtractorName | None = Field(
        default=None,
        description="How the answer is found in the output: identity (all of it), multiple_choice (A to J, last "
        "explicit statement), boxed (LaTeX), number (the last) or pattern; default: identity",
    )
    num_repeats: int = Field(default=1, ge=1, description="How often each row is sent")
    extras: dict[str, Any] | None = Field(default=None, repr=False, description="Further arguments of the scorer")
    command: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="External scorer, as a list of arguments; no shell is used. {accuracy_log} (LoadGen's form), "
        "{queries} (queries.jsonl) and {outputs} (JSON lines of index, output and expected) become paths. Its exit "
        "status counts. Give it secrets as variables, which are not recorded",
    )
    timeout_ms: DurationMs = Field(
        default=3_600_000, description="Longest time for `command` in milliseconds (or 600s, 10m, 4h)"
    )
    pattern: str | None = Field(
        default=None,
        description="Regular expression. With `command`: finds the score in what it prints, by its group `score` or "
        "its first (default: the number behind exact_match, accuracy, score, ... and a colon or equals sign). With the "
        "extractor pattern: finds the answer in an output, by its group `answer`, its first, or all",
    )
    threshold: float | None = Field(
        default=None, description="Least score of the accuracy check; null: the score is reported and not judged"
    )
    videos: Path | None = Field(
        default=None,
        description="Directory that a videogen endpoint writes into, as seen from here, relative to the YAML's "
        "directory: the sample videos that MLPerf wants are copied from it to accuracy/videos",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems: list[Problem] = [*self._pattern_problems(), *self._command_problems()]
        if problems:
            reject_all(problems)
        return self

    def _pattern_problems(self) -> Iterator[Problem]:
        by_pattern = self.extractor == "pattern"
        if self.pattern is None:
            if by_pattern and self.command is None:
                yield ("extractor",), "pattern needs a regular expression; add 'pattern: ...'"
            return
        if not by_pattern and self.command is None:
            yield ("pattern",), "has no effect without command or 'extractor: pattern'; add one, or take it out"
        try:
            n_groups = re.compile(self.pattern).groups
        except (re.error, OverflowError, RecursionError) as error:
            yield ("pattern",), f"is no regular expression ({error}); correct it"
            return
        if self.command is not None and not n_groups:
            yield ("pattern",), "has no group for the score; put the number in brackets, as in 'score: ([0-9.]+)'"

    def _command_problems(self) -> Iterator[Problem]:
        if self.timeout_ms == 0:
            yield ("timeout_ms",), "a scorer needs time; give at least 1s"
        for at, argument in enumerate(self.command or ()):
            if "\0" in argument:
                yield ("command", at), "has a NUL character; take it out"
            elif at == 0 and not argument:
                yield ("command", at), "is empty; name a program"
            for name in re.findall(r"(?<!\$)\{(\w+)\}", argument):
                near = nearest(name, PLACEHOLDERS, 0.7)
                if near and name not in PLACEHOLDERS:
                    yield ("command", at), f"unknown placeholder {{{name}}}; did you mean {{{near}}}?"


class DatasetConfig(Block):
    """A data set."""

    name: str = Field(default="", description="Name in reports; default: the file's name without its suffix")
    type: Literal["performance", "accuracy"] = Field(
        default="performance",
        description="What the rows are for; audits that name no data set use the first of type performance",
    )
    path: Path | None = Field(
        default=None, description="File of rows, relative to the YAML's directory or else the working directory"
    )
    format: Annotated[Literal["jsonl", "json", "csv", "tsv", "parquet"] | None, BeforeValidator(_without_dot)] = Field(
        default=None, description="Format of the file; null: by its suffix"
    )
    samples: int | None = Field(default=None, gt=0, description="Use the first so many rows; null: all")
    parser: dict[str, str] | None = Field(
        default=None,
        description="Columns to rename, as `new name: name in the file` (prompt: article), or a path into a "
        "column (messages: body.messages, prompt: 'conversations[0].value')",
    )
    template: dict[str, str] | None = Field(
        default=None,
        description="Columns made of others, as `name: text`: {column} in a text is the row's value there, as in "
        "`prompt: 'What is {title} made of?'`; {{column}} stands for itself",
    )
    eval_method: str | None = Field(default=None, description="Scorer of an accuracy data set (older form)")
    accuracy_config: AccuracyConfig | None = Field(default=None, description="How an accuracy data set is scored")
    accuracy_run: bool = Field(
        default=True,
        description="Whether the accuracy run sends this accuracy data set; false: it is for an audit alone, as the "
        "990 samples of TEST07 are",
    )
    agentic_inference: AgenticInference | None = Field(
        default=None,
        description="The file holds conversations, a message a line, and this is how they are played; null: as the "
        "defaults say under load_pattern agentic_inference, else the file holds no conversations",
    )
    generation_config_override: Generation | None = Field(
        default=None, description="Keys of model_params that differ for this data set"
    )

    @model_validator(mode="after")
    def _name_from_path(self) -> Self:
        if len(self.name) > LONGEST_NAME:
            reject(f"becomes a part of test ids and file names; use at most {LONGEST_NAME} characters", at=["name"])
        if not self.name and self.path is not None:
            object.__setattr__(self, "name", PurePath(self.path).stem)  # frozen for everyone else
        return self

    def params(self, base: ModelParams) -> ModelParams:
        """Return `base` with this data set's overrides; ValidationError when the two do not go together."""
        if self.generation_config_override is None:
            return base
        changes = self.generation_config_override.model_dump(exclude_unset=True)
        return ModelParams.model_validate({**base.model_dump(), **changes})
