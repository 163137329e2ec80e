"""One reader per file format: a path to its rows, in file order. Errors name file and line."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from ..errors import DatasetError

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_BOM = b"\xef\xbb\xbf"
_BYTE = re.compile(r"byte (\d+)")


class Read(NamedTuple):
    """One row as read; `line` counts from 1."""

    row: dict[str, Any]
    line: int
    raw: bytes | None = None


Reader = Callable[[Path], Iterator[Read]]


def jsonl(path: Path) -> Iterator[Read]:
    """Read one JSON object a line; blank lines are skipped, and counted."""
    with path.open("rb") as file:
        for number, line in enumerate(_lines(file), start=1):
            if raw := line.strip():
                yield Read(_object(raw, path, f"line {number}"), number, raw)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    yield file.readline().removeprefix(_BOM)
    yield from file


def _object(raw: bytes | msgspec.Raw, path: Path, at: str) -> dict[str, Any]:
    try:
        return _OBJECT.decode(raw)
    except UnicodeDecodeError:
        raise DatasetError(f"{path} {at}: is not UTF-8; save the file as UTF-8") from None
    except msgspec.ValidationError:
        raise DatasetError(f'{path} {at}: is not a JSON object; write each row as {{"prompt": "..."}}') from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise DatasetError(f"{path} {at}: is not valid JSON ({_plain(error)}); correct or remove it") from None


def _plain(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ") or "nested too deeply"


def json(path: Path) -> Iterator[Read]:
    """Read a JSON array of objects, or an object whose only key `data` holds one; the line is the row's number."""
    text = _utf8(path.read_bytes().removeprefix(_BOM), path).strip()
    items = _items(text, path)
    for number, raw in enumerate(items, start=1):
        yield Read(_object(raw, path, f"row {number}"), number, bytes(raw))


def _items(text: bytes, path: Path) -> list[msgspec.Raw]:
    try:
        if text.startswith(b"{"):
            wrapped = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
            text = bytes(wrapped["data"]) if set(wrapped) == {"data"} else text
        return _ITEMS.decode(text)
    except msgspec.ValidationError:
        cure = "give a list of objects, or one object a line in a .jsonl file"
        raise DatasetError(f"{path}: is not a JSON array of rows; {cure}") from None
    except msgspec.DecodeError as error:
        found = _BYTE.search(str(error))
        line = text.count(b"\n", 0, int(found[1]) if found else len(text)) + 1
        raise DatasetError(f"{path} line {line}: is not valid JSON ({_plain(error)}); correct it") from None


def _utf8(data: bytes, path: Path) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DatasetError(f"{path} line {line}: is not UTF-8; save the file as UTF-8") from None
    return data


def comma_separated(path: Path) -> Iterator[Read]:
    """Read CSV whose first row names the columns; every value is text. Blank lines are skipped, and counted."""
    text = _utf8(path.read_bytes().removeprefix(_BOM), path).decode()
    records = _records(text, path)
    header = next(records, None)
    if header is None:
        return
    _, names = header
    if "" in names or len(set(names)) < len(names):
        raise DatasetError(f"{path} line 1: column names must be present and distinct; correct the first line")
    for line, values in records:
        if len(values) != len(names):
            cure = "quote values that hold commas"
            raise DatasetError(f"{path} line {line}: has {len(values)} values for {len(names)} columns; {cure}")
        yield Read(dict(zip(names, values, strict=True)), line)


def _records(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (first line, values) of each record that is not blank."""
    previous_limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        line = 1
        try:
            for values in reader:
                if values:
                    yield line, values
                line = reader.line_num + 1
        except csv.Error as error:
            raise DatasetError(f"{path} line {line}: is not valid CSV ({error}); correct its quotes") from None
    finally:
        csv.field_size_limit(previous_limit)


def parquet(path: Path) -> Iterator[Read]:
    """Read Parquet batch by batch; the line is the row's number."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, and slow to load
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise DatasetError(
            f"{path}: reading Parquet needs pyarrow; pip install 'pytest-mlperf-audit[parquet]'"
        ) from None
    try:
        with pq.ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches(batch_size=1024) for row in batch.to_pylist())
            for number, row in enumerate(rows, start=1):
                yield Read(row, number)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the file system's, and not one of pyarrow's own
        reason = str(error).partition("\n")[0]
        raise DatasetError(f"{path}: is not a readable Parquet file ({reason}); check path and format") from None


#: Reader and what `Read.line` counts, by format.
READERS: dict[str, tuple[Reader, str]] = {
    "jsonl": (jsonl, "line"),
    "json": (json, "row"),
    "csv": (comma_separated, "line"),
    "parquet": (parquet, "row"),
}
