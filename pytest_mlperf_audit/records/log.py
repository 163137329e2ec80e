"""queries.jsonl: one QueryRecord a line, appended as each query completes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import msgspec
from typing_extensions import Self

from ..errors import RecordError
from ..runs.columns import QueryColumns
from ..runs.query import QueryRecord
from .atomic import write_pieces

#: A reply of 16 MiB kept as text takes six times as much where every character is escaped.
_LONGEST_LINE = 128 * 2**20

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(QueryRecord)


class QueryLog:
    """Append-only log. Each record is handed to the kernel whole, so that a killed process loses none."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._size = 0
        self.columns = QueryColumns()

    def append(self, record: QueryRecord) -> None:
        """Write one record. Raises OSError (a full disk, say), and then leaves no part of it."""
        line = _encoder.encode(record) + b"\n"
        size = self._size + len(line)
        try:
            while line:  # a nearly full disk takes a part of it, and says so at the next write
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size = size
        self.columns.append(record)

    def close(self) -> None:
        """Make the log durable and close it."""
        if self._descriptor >= 0:
            try:
                os.fsync(self._descriptor)
            finally:
                os.close(self._descriptor)
                self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def fail_completed(path: Path, outcome: str, detail: str) -> QueryColumns:
    """Rewrite a closed log so that its completed queries are failed ones; return its columns.

    Raises OSError, RecordError. What was recorded of their replies stays. The file is replaced whole.
    """
    columns = QueryColumns()

    def lines() -> Iterator[bytes]:
        for record in read_queries(path):
            if record.ok:
                record.outcome, record.detail = outcome, detail
            columns.append(record)
            yield _encoder.encode(record) + b"\n"

    write_pieces(path, lines())
    return columns


def read_queries(path: Path) -> Iterator[QueryRecord]:
    """Yield every record of a log. Raises RecordError, naming the line, for one that is not a whole record."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
                if not line.endswith(b"\n"):
                    if len(line) == _LONGEST_LINE:
                        raise RecordError(f"{path}:{number}: is longer than any query record; the file was edited")
                    raise RecordError(
                        f"{path}:{number}: the last record is cut short; the run was stopped while writing it"
                    )
                try:
                    yield _decoder.decode(line)
                except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
                    raise RecordError(f"{path}:{number}: not a query record ({error})") from error
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error


def read_columns(path: Path) -> QueryColumns:
    """Return a log as columns; the same QueryColumns that the live phase gathered. Raises RecordError."""
    try:
        return QueryColumns(read_queries(path))
    except OverflowError as error:
        raise RecordError(f"{path}: has a number too large for a query record; the file was edited") from error
