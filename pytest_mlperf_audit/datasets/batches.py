"""Rows in batches: the queries of a format that sends several rows in each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from typing_extensions import override

from .dataset import Dataset, Rows


class InBatches(Dataset):
    """A data set of which each row is {"rows": [row, ...]}: so many of another's, in their order.

    The last batch is filled with the first rows, so that all are equally large.
    """

    def __init__(self, dataset: Dataset, size: int) -> None:
        super().__init__(dataset.name, dataset.path, Rows(), "row")
        self._dataset = dataset
        self._size = size

    @override
    def __len__(self) -> int:
        return (len(self._dataset) + self._size - 1) // self._size

    @override
    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return {"rows": [self._dataset[at] for at in self._at(index)]}

    @override
    def column(self, index: int, name: str) -> Any:
        """Return what the first row of a batch has in a column; None where it has nothing."""
        return self._dataset.column(self._at(index)[0], name)

    @override
    def pieces(self, n_bytes: int) -> Iterator[tuple[bytes, tuple[int, ...]]]:
        """Yield the rows themselves; who gets them puts them into batches."""
        return self._dataset.pieces(n_bytes)

    @override
    def where(self, index: int) -> str:
        """Return where the rows of a batch begin, for a message."""
        return f"{self._dataset.where(self._at(index)[0])} and the {self._size - 1} behind it"

    def _at(self, index: int) -> list[int]:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of a data set of {len(self)}")
        first = index * self._size
        return [at % len(self._dataset) for at in range(first, first + self._size)]
