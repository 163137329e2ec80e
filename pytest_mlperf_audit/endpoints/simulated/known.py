"""The prompts that a precomputed table or an allow-list knows in advance: a file of rows with a text `prompt`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ...config.dataset import DatasetConfig
from ...config.endpoint import EndpointConfig
from ...datasets import Dataset, load_dataset
from ...errors import DatasetError


class Known(NamedTuple):
    """Known prompts, and the absolute path of the file they are from."""

    path: Path
    prompts: frozenset[str]


def load_known(path: Path, search: Sequence[Path]) -> Known:
    """Load known prompts; a relative path is looked for in each directory of `search` in turn.

    Raises DatasetError: no such file, not a data set, a row without a text as its prompt.
    """
    dataset = load_dataset(DatasetConfig(name="known_prompts", path=path), search)
    return Known(dataset.path, frozenset(_prompts(dataset)))


def with_known_prompts(config: EndpointConfig, search: Sequence[Path]) -> EndpointConfig:
    """Return the endpoint with an absolute path to the known prompts, if it has any. Raises as load_known does."""
    if (path := config.simulated.known_prompts) is None:
        return config
    found = load_known(path, search).path
    return config.model_copy(update={"simulated": config.simulated.model_copy(update={"known_prompts": found})})


def _prompts(dataset: Dataset) -> Iterator[str]:
    for index in range(len(dataset)):
        prompt = dataset[index].get("prompt")
        if not isinstance(prompt, str):
            raise DatasetError(f"{dataset.where(index)}: has no text 'prompt', as a known prompt must; give it one")
        yield prompt
