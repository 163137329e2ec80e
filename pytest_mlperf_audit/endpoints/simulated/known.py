"""The prompts that a precomputed table or an allow-list knows in advance: a file of rows with a text `prompt`.

With a column of answers the model knows what to answer to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...config.dataset import DatasetConfig
from ...config.endpoint import EndpointConfig
from ...datasets import Dataset, load_dataset
from ...errors import DatasetError


class Known(NamedTuple):
    """Known prompts, the absolute path of the file they are from, and the answers to them where there is a column."""

    path: Path
    prompts: frozenset[str]
    answers: Mapping[str, str]


def load_known(path: Path, search: Sequence[Path], answer_column: str | None = None) -> Known:
    """Load known prompts; a relative path is looked for in each directory of `search` in turn.

    Raises DatasetError: no such file, not a data set, a row without a text as its prompt, or without an answer.
    """
    dataset = load_dataset(DatasetConfig(name="known_prompts", path=path), search)
    prompts = [_prompt(dataset, index) for index in range(len(dataset))]
    answers = [_answer(dataset, index, answer_column) for index in range(len(dataset))] if answer_column else []
    return Known(dataset.path, frozenset(prompts), dict(zip(prompts, answers, strict=False)))


def with_known_prompts(config: EndpointConfig, search: Sequence[Path]) -> EndpointConfig:
    """Return the endpoint with an absolute path to the known prompts, if it has any. Raises as load_known does."""
    if (path := config.simulated.known_prompts) is None:
        return config
    found = load_known(path, search, config.simulated.answer_column).path
    return config.model_copy(update={"simulated": config.simulated.model_copy(update={"known_prompts": found})})


def _prompt(dataset: Dataset, index: int) -> str:
    prompt = dataset[index].get("prompt")
    if not isinstance(prompt, str):
        raise DatasetError(f"{dataset.where(index)}: has no text 'prompt', as a known prompt must; give it one")
    return prompt


def _answer(dataset: Dataset, index: int, column: str) -> str:
    answer = dataset[index].get(column)
    if answer is None or not str(answer).strip():
        raise DatasetError(
            f"{dataset.where(index)}: has no answer in column {column!r}, which simulated.answer_column names; "
            "give it one, or name another column"
        )
    return str(answer)
