"""One reader per file format: a path to its rows, in file order. Errors name file and line."""

from __future__ import annotations

import codecs
import csv
import io
import json as stdlib_json
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
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BYTE = re.compile(r"byte (\d+)")


class _Read(NamedTuple):
    """One row as read; `line` counts from 1."""

    row: dict[str, Any]
    line: int
    raw: bytes | None = None


_Reader = Callable[[Path], Iterator[_Read]]


def _jsonl(path: Path) -> Iterator[_Read]:
    """Read one JSON object a line; blank lines are skipped, and counted."""
    with path.open("rb") as file:
        for number, line in enumerate(_lines(file, path), start=1):
            if raw := line.strip():
                yield _read(raw, path, f"line {number}", number)


def _lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    if file.read(2) in _UTF_16:
        yield from io.BytesIO(_utf8(path.read_bytes(), path))
        return
    file.seek(0)
    yield file.readline().removeprefix(_BOM)
    yield from file


def _read(raw: bytes | msgspec.Raw, path: Path, at: str, number: int) -> _Read:
    try:
        return _Read(_OBJECT.decode(raw), number, bytes(raw))
    except msgspec.ValidationError:
        raise DatasetError(f'{path} {at}: is not a JSON object; write each row as {{"prompt": "..."}}') from None
    except (ValueError, RecursionError) as error:
        if not _is_utf8(bytes(raw)):
            raise DatasetError(f"{path} {at}: is not UTF-8; save the file as UTF-8") from None
        if (row := _with_nan(bytes(raw))) is not None:
            return _Read(row, number)
        raise DatasetError(f"{path} {at}: is not valid JSON ({_plain(error)}); correct or remove it") from None


def _with_nan(raw: bytes) -> dict[str, Any] | None:
    """Return a row in which a value is absent as Python writes it, NaN, or None where that is not what is wrong."""
    try:
        row = stdlib_json.loads(raw, parse_constant=lambda _: None) if b"NaN" in raw or b"Infinity" in raw else None
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _plain(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ") or "nested too deeply"


def _json(path: Path) -> Iterator[_Read]:
    """Read a JSON array of objects, or an object with such a list in one member; the line is the row's number."""
    text = _utf8(path.read_bytes(), path).strip()
    items = _items(text, path)
    for number, raw in enumerate(items, start=1):
        yield _read(raw, path, f"row {number}", number)


def _items(text: bytes, path: Path) -> list[msgspec.Raw]:
    try:
        if text.startswith(b"{"):
            text = _wrapped(msgspec.json.decode(text, type=dict[str, msgspec.Raw]), path)
        return _ITEMS.decode(text)
    except msgspec.ValidationError:
        cure = "give a list of objects, or one object a line in a .jsonl file"
        raise DatasetError(f"{path}: is not a JSON array of rows; {cure}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        if (b"NaN" in text or b"Infinity" in text) and (items := _items_with_nan(text)) is not None:
            return items
        found = _BYTE.search(str(error))
        line = text.count(b"\n", 0, int(found[1]) if found else len(text)) + 1
        raise DatasetError(f"{path} line {line}: is not valid JSON ({_plain(error)}); correct it") from None


def _wrapped(members: dict[str, msgspec.Raw], path: Path) -> bytes:
    """Return the one list of objects in an object: its `data`, or else its only such member."""
    lists = {name: bytes(raw) for name, raw in members.items() if re.match(rb"\[\s*\{", bytes(raw).lstrip())}
    if "data" in lists or set(members) == {"data"}:
        return bytes(members["data"])
    if len(lists) == 1:
        return next(iter(lists.values()))
    raise DatasetError(
        f"{path}: is not a JSON array of rows; give a list of objects, or one object a line in a .jsonl file (it is "
        f"one object with the members {', '.join(members) or 'none'})"
    )


def _items_with_nan(text: bytes) -> list[msgspec.Raw] | None:
    try:
        value = stdlib_json.loads(text, parse_constant=lambda _: None)
        return _ITEMS.decode(msgspec.json.encode(value))
    except (ValueError, TypeError, RecursionError):
        return None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _utf8(data: bytes, path: Path) -> bytes:
    """Return a file's text as UTF-8 without a byte order mark; UTF-16 is known by its own."""
    try:
        if data.startswith(_UTF_16):
            return data.decode("utf-16").encode()
        data = data.removeprefix(_BOM)
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DatasetError(f"{path} line {line}: is not UTF-8; save the file as UTF-8") from None
    return data


def _comma_separated(path: Path) -> Iterator[_Read]:
    """Read CSV whose first row names the columns; every value is text. Blank lines are skipped, and counted.

    A blank cell is an absent value. A header without a comma is one of semicolons or of tabs, as spreadsheets write it.
    """
    return _separated(path, ",;\t")


def _tab_separated(path: Path) -> Iterator[_Read]:
    """Read what CSV is with tabs."""
    return _separated(path, "\t")


def _separated(path: Path, separators: str) -> Iterator[_Read]:
    text = _utf8(path.read_bytes(), path).decode()
    header_line = text.lstrip("\r\n").partition("\n")[0]
    separator = next((one for one in separators if one in header_line), separators[0])
    records = _records(text, path, separator)
    header = next(records, None)
    if header is None:
        return
    _, names = header
    named = [name for name in names if name]  # a column without a name is an index that pandas wrote
    if len(set(named)) < len(named) or len(names) - len(named) > 1 or not named:
        raise DatasetError(f"{path} line 1: column names must be present and distinct; correct the first line")
    for line, values in records:
        if len(values) != len(names):
            cure = f"quote values that hold {_SEPARATORS[separator]}"
            raise DatasetError(f"{path} line {line}: has {len(values)} values for {len(names)} columns; {cure}")
        cells = zip(names, values, strict=True)
        yield _Read({name: value or None for name, value in cells if name}, line)


_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def _records(text: str, path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (first line, values) of each record that is not blank."""
    previous_limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
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


def _parquet(path: Path) -> Iterator[_Read]:
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
                yield _Read(row, number)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the file system's, and not one of pyarrow's own
        reason = str(error).partition("\n")[0]
        raise DatasetError(f"{path}: is not a readable Parquet file ({reason}); check path and format") from None


#: Reader and what `Read.line` counts, by format.
READERS: dict[str, tuple[_Reader, str]] = {
    "jsonl": (_jsonl, "line"),
    "json": (_json, "row"),
    "csv": (_comma_separated, "line"),
    "tsv": (_tab_separated, "line"),
    "parquet": (_parquet, "row"),
}
