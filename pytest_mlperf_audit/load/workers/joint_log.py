"""The records of a phase that several workers send."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RecordError
from ...records.log import read_columns
from ...records.merge import Written, merge
from ...records.store import worker_file
from ...runs.columns import QueryColumns
from .member import Member


class JointLog:
    """The records of a joint phase: a file for each worker, put together when it is closed.

    Until then `columns` know only what was counted.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))  # its phase has begun
        self._path = path
        self._files: dict[int, tuple[Path, int]] = {}
        self._clocks: dict[int, Callable[[int], int]] = {}
        self._columns: QueryColumns | None = None
        self.failed: dict[str, int] = {}
        self.longest_s = 0.0

    def open(self, members: Iterable[Member]) -> None:
        """Have records of these workers written."""
        for member in members:
            path = self._path.with_name(worker_file(member.number))
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            self._files[member.number] = path, file
            member.lines_to = file

    def on_our_clock(self, number: int, ours: Callable[[int], int]) -> None:
        """Have a worker's times put on our clock."""
        self._clocks[number] = ours

    @property
    def columns(self) -> Any:
        """What a group asks of a log's columns."""
        return self if self._columns is None else self._columns

    def failures(self) -> dict[str, int]:
        """Return failed queries by reason class, while the log is open."""
        return self.failed

    def latencies_s(self) -> NDArray[np.float64]:
        """Return the longest latency, while the log is open."""
        return np.array([self.longest_s])

    def close(self) -> None:
        """Put the records together, durably. Raises OSError, also where one of them has what no record can hold."""
        if self._columns is None:
            self._columns = QueryColumns()
            for _, file in self._files.values():
                os.close(file)
            try:
                merge([Written(path, self._clocks.get(at)) for at, (path, _) in self._files.items()], self._path)
                self._columns = read_columns(self._path)
            except (RecordError, ValueError) as error:  # of an adapter's reply: msgspec's own errors are ValueErrors
                raise OSError(str(error)) from error
