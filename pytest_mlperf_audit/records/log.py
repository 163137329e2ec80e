"""queries.jsonl: one QueryRecord a line, appended as queries complete."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import msgspec
from typing_extensions import Self

from ..errors import RecordError
from ..runs.columns import QueryColumns
from ..runs.query import QueryRecord, without_reply
from .files import write_pieces

#: A reply of 16 MiB kept as text takes six times as much where every character is escaped.
_LONGEST_LINE = 128 * 2**20

_BLOCK = 2**20

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(QueryRecord)


class QueryLog:
    """Append-only log. Records are handed to the kernel whole, so that a killed process loses none."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._size = 0
        self.columns = QueryColumns()

    def append(self, record: QueryRecord) -> None:
        """Write one record; see `extend`."""
        self.extend([record])

    def extend(self, records: Sequence[QueryRecord]) -> None:
        """Write records at once. Raises OSError (a full disk, say), and then leaves those that fit, each whole.

        Nothing is left where one of them has what cannot be written (TypeError, UnicodeEncodeError, OverflowError).
        """
        lines = _encoder.encode_lines(records)
        n_written = 0
        try:
            while n_written < len(lines):  # a nearly full disk takes a part of it, and says so at the next write
                n_written += os.write(self._descriptor, lines[n_written:] if n_written else lines)
        except OSError:
            whole = lines[: lines.rfind(b"\n", 0, n_written) + 1]
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size + len(whole))
            self._size += len(whole)
            self.columns.extend(records[: whole.count(b"\n")])
            raise
        try:
            self.columns.extend(records)
        except Exception:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += n_written

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


def extend_each(log: QueryLog, records: Sequence[QueryRecord]) -> None:
    """Write records of which some cannot be written; those without their replies, as crashed. Raises OSError."""
    for record in records:
        _extend_readable(log, record)


def _extend_readable(log: QueryLog, record: QueryRecord) -> None:
    try:
        log.extend([record])
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - it is in the record
        log.extend([without_reply(record, "crashed", type(error).__name__)])


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
    """Return a log as columns; the same QueryColumns that the live phase gathered. Raises RecordError.

    Checks, charts and MLPerf's files ask for the same logs one after the other. Those read last are kept, for as long
    as their file is the same one with the same size and time. A file that was written just now is read again, since
    a second write would have the same time.
    """
    try:
        identity = _identity(path)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error
    if (known := _kept.pop(path, None)) is None or known[0] != identity:
        try:
            known = identity, _columns(path)
        except OverflowError as error:
            raise RecordError(f"{path}: has a number too large for a query record; the file was edited") from error
    since_ns = time.time_ns() - identity[-1]  # noqa: TID251 - file systems use the same clock
    if abs(since_ns) > _SETTLED_NS:  # below 0 where the clock was set back
        _kept[path] = known
    while len(_kept) > 1 and sum(len(columns) for _, columns in _kept.values()) > _MOST_KEPT:
        del _kept[next(iter(_kept))]
    return known[1]


def _columns(path: Path) -> QueryColumns:
    """Read a log as columns, many lines at a time; where that fails, line by line, to name the one amiss."""
    columns = QueryColumns(may_spill=True)
    with suppress(OSError, ValueError, RecursionError), path.open("rb") as file:
        while block := file.read(_BLOCK):
            block += b"" if block.endswith(b"\n") else file.readline(_LONGEST_LINE)
            records = _decoder.decode_lines(block)
            if len(records) != block.count(b"\n") or not block.endswith(b"\n"):
                break
            columns.extend(records)
        else:
            return columns
    return QueryColumns(read_queries(path))


#: Queries whose columns are kept in memory, 57 bytes each; the log read last is kept whatever its size.
_MOST_KEPT = 4_000_000

#: File systems tell times by the kernel's tick, which is 10 ms at most.
_SETTLED_NS = 100_000_000

_kept: dict[Path, tuple[tuple[int, ...], QueryColumns]] = {}


def _identity(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
