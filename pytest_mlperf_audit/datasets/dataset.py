"""Dataset: a file of rows, validated once when loaded, each row decoded when asked for."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from typing_extensions import Self

from ..config.dataset import DatasetConfig
from ..errors import DatasetError
from .formats import READERS
from .paths import ABSENT, at_path
from .template import completed

_DECODE = msgspec.json.Decoder(dict[str, Any]).decode
_ENCODE = msgspec.json.Encoder().encode


class Rows:
    """An append-only list of JSON objects; `line` is where a row began in its file, or its number in it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._ends = array("Q", [0])
        self._lines = array("Q")

    def append(self, row: dict[str, Any], line: int, raw: bytes | None = None) -> None:
        """Add a row; `raw` is its JSON where the file has it already."""
        self._buffer += _ENCODE(row) if raw is None else raw
        self._ends.append(len(self._buffer))
        self._lines.append(line)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of a data set of {len(self)} rows")
        with memoryview(self._buffer) as view, view[self._ends[index] : self._ends[index + 1]] as raw:
            return _DECODE(raw)

    def line(self, index: int) -> int:
        """Return the line, or number, that row `index` was added with."""
        return self._lines[index]

    def pieces(self, n_bytes: int) -> Iterator[tuple[bytes, tuple[int, ...]]]:
        """Yield all rows as JSON, about `n_bytes` at a time, with the length of each."""
        first = 0
        while first < len(self):
            start, last = self._ends[first], first + 1
            while last < len(self) and self._ends[last + 1] - start <= n_bytes:
                last += 1
            ends = self._ends[first : last + 1]
            lengths = tuple(end - begin for begin, end in pairwise(ends))
            yield bytes(self._buffer[start : ends[-1]]), lengths
            first = last

    def add_piece(self, rows: bytes, lengths: Iterable[int]) -> None:
        """Add rows as `pieces` yields them."""
        self._buffer += rows
        for length in lengths:
            self._ends.append(self._ends[-1] + length)
            self._lines.append(len(self._lines) + 1)


class Dataset:
    """Rows of a file, by index from 0. The file is not read again after loading.

    `of_conversations` says that each is a turn of a recorded conversation, with the history before it.
    """

    of_conversations = False

    def __init__(self, name: str, path: Path, rows: Rows, unit: str) -> None:
        self.name = name
        self.path = path
        self._rows = rows
        self._unit = unit

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self._rows[index]

    def column(self, index: int, name: str) -> Any:
        """Return what row `index` has in a column, None where it has nothing."""
        return self[index].get(name)

    def to_check(self, index: int) -> Mapping[str, Any]:
        """Return what is to be looked at to know whether row `index` can be sent."""
        return self[index]

    def pieces(self, n_bytes: int) -> Iterator[tuple[bytes, tuple[int, ...]]]:
        """Yield all rows as JSON, about `n_bytes` at a time, with the length of each, for another process."""
        return self._rows.pieces(n_bytes)

    @classmethod
    def of_pieces(cls, name: str, pieces: Iterable[tuple[bytes, Iterable[int]]]) -> Self:
        """Return the data set that `pieces` come from."""
        rows = Rows()
        for raw, lengths in pieces:
            rows.add_piece(raw, lengths)
        return cls(name, Path(name), rows, "row")

    def where(self, index: int) -> str:
        """Return where row `index` stands, for a message: 'prompts.jsonl line 17'."""
        return f"{self.path.name} {self._unit} {self._rows.line(index)}"


def load_dataset(config: DatasetConfig, search: Sequence[Path], own_columns: Collection[str] = ()) -> Dataset:
    """Load the file of a data set; a relative path is looked for in each directory of `search` in turn.

    A row with one of `own_columns` has its input there, and none of its columns is taken for a prompt.

    Raises DatasetError: no path, no such file, not this format, a bad row (with its line), too few rows.
    """
    path = find_file(config, search)
    read, unit = READERS[format_of(config, path)]
    parser, rows = config.parser or {}, Rows()
    try:
        for row, line, raw in read(path):
            where = f"{path} {unit} {line}"
            mapped = completed(_mapped(row, parser, where, own_columns), config.template, where)
            try:
                rows.append(mapped, line, raw if mapped is row else None)
            except (TypeError, ValueError, OverflowError) as error:
                raise DatasetError(f"{where}: has a value that cannot be sent as JSON ({error})") from None
            if len(rows) == config.samples:
                break
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); check its permissions", key="path") from None
    _require_enough(config, path, len(rows))
    return Dataset(config.name, path, rows, unit)


def _require_enough(config: DatasetConfig, path: Path, n_rows: int) -> None:
    if n_rows == 0:
        raise DatasetError(f"{path}: holds no rows; check that this is the right file", key="path")
    if config.samples is not None and config.samples > n_rows:
        raise DatasetError(
            f"{path}: samples asks for {config.samples} rows, but the file has {n_rows}; "
            f"lower samples to at most {n_rows}, or add rows",
            key="samples",
        )


def find_file(config: DatasetConfig, search: Iterable[Path]) -> Path:
    """Return the file of a data set; see `load_dataset`. Raises DatasetError."""
    if config.path is None:
        raise DatasetError(
            f"data set {config.name!r}: has no path, and nothing is downloaded; name the directory that holds its file "
            "by --mlperf-data-dir, or give the path of a JSONL, JSON, CSV, TSV or Parquet file",
            key="path",
        )
    wanted = config.path.expanduser()
    places = [wanted] if wanted.is_absolute() else list(dict.fromkeys(directory / wanted for directory in search))
    for place in places:
        if place.is_file():
            return place.resolve()
    for place in places:
        if place.is_dir():
            raise DatasetError(f"data set {config.name!r}: {place} is a directory; give a file in it", key="path")
        if place.exists():
            raise DatasetError(f"data set {config.name!r}: {place} is not a regular file; give one", key="path")
    looked = ", ".join(str(place) for place in places)
    told = f"data set {config.name!r}: no such file; looked for {looked}; correct path, or put it there"
    raise DatasetError(told, key="path")


def format_of(config: DatasetConfig, path: Path) -> str:
    """Return the format of a file, as the YAML has it or by its suffix. Raises DatasetError."""
    if config.format is not None:
        return config.format
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in READERS:
        known = ", ".join(READERS)
        told = f"{path}: its suffix names no known format; add 'format:' with one of {known}"
        raise DatasetError(told, key="format")
    return suffix


#: Read as the key where a row has no such column; as the endpoints tool does.
_OTHER_NAMES = {
    "prompt": ("user_prompt", "question", "input", "input_text", "problem", "query"),
    "system": ("system_prompt",),
}

#: Columns that are named so in data sets of the trade, the likeliest first.
_LIKELY = ("prompt", "text", "question", "caption", "instruction", "content", "article", "input")


def _mapped(
    row: dict[str, Any], parser: Mapping[str, str], where: str, own_columns: Collection[str] = ()
) -> dict[str, Any]:
    """Return `row` as `renamed` does, where `parser` may also name the prompt that a row has under another name.

    The endpoints tool's files do: their `parser: {input: prompt}` reads the prompt that the tool has made.
    """
    if "prompt" in parser.values() and "prompt" not in row:
        row = renamed(row, {}, where, own_columns)
    mapped = renamed(row, parser, where, own_columns)
    return renamed(mapped, {}, where, own_columns) if "prompt" in parser.values() else mapped


def renamed(
    row: dict[str, Any], parser: Mapping[str, str], where: str, own_columns: Collection[str] = ()
) -> dict[str, Any]:
    """Return `row` with the columns of `parser` (new name: name in the file) renamed; the same object if none is.

    A name in the file may be a path into a column: `body.messages`, `conversations[0].value`. A row of `instruction`
    and perhaps `input` (Alpaca's form) has both as its prompt, an empty line between them; see `load_dataset` for
    `own_columns`.

    Raises DatasetError, naming `where`, when a column that `parser` names is missing.
    """
    found = {new: _value(row, old, where) for new, old in parser.items() if new != old or old not in row}
    taken = {old for new, old in parser.items() if new != old}
    for name, others in _OTHER_NAMES.items():
        if name == "prompt" and any(column in row or column in parser for column in own_columns):
            continue
        if name not in row and name not in parser:
            other = next((other for other in others if other in row and other not in parser.values()), None)
            if name == "prompt" and "messages" not in parser and isinstance(row.get("instruction"), str):
                found[name], taken = _instruction(row), taken | {"instruction", "input"}
            elif other:
                found[name], taken = row[other], taken | {other}
    if not found:
        return row
    return {**{column: value for column, value in row.items() if column not in taken}, **found}


def column_of(row: Mapping[str, Any], name: str) -> str:
    """Return the column that a file's `name` was read as: 'prompt' for one of its other names where it stands so."""
    if name in row:
        return name
    return next((key for key, others in _OTHER_NAMES.items() if name in others and key in row), name)


def _instruction(row: Mapping[str, Any]) -> str:
    given = row.get("input")
    if isinstance(given, str) and "{input}" in row["instruction"]:  # as in MLPerf's own cnn_eval.json
        return str(row["instruction"].replace("{input}", given))
    return "\n\n".join(filter(None, (row["instruction"], given if isinstance(given, str) else None)))


def _value(row: Mapping[str, Any], path: str, where: str) -> Any:
    """Return what stands at a path, which may also be the name of a column as it is."""
    if (value := at_path(row, path)) is ABSENT:
        raise DatasetError(f"{where}: has no column {path!r}, which parser names; its columns are {listed(row)}")
    return value


def listed(row: Mapping[str, Any]) -> str:
    """Return the names of a row's columns, as a message has them."""
    return ", ".join(f"'{column}'" for column in row) or "none"


def parser_line(row: Mapping[str, Any]) -> str | None:
    """Return the `parser` that probably finds a row's prompt: 'parser: {prompt: conversations[0].value}', or None."""
    texts: dict[str, str] = {}
    for path, value in _walk(row, ""):
        if isinstance(value, str):
            texts[path] = value
        elif _is_messages(value):
            return f"parser: {{messages: {path}}}"
    if not texts:
        return None
    by_name = {path.lower(): path for path in texts}
    likely = [by_name[name] for name in _LIKELY if name in by_name] + [one for one in texts if one.endswith(".value")]
    return f"parser: {{prompt: {next(iter(likely), max(texts, key=lambda one: len(texts[one])))}}}"


def _walk(value: Any, path: str, depth: int = 3) -> Iterator[tuple[str, Any]]:
    """Yield every value in a row with its path; of a list the first item only, or ShareGPT's first human turn."""
    if path:
        yield path, value
    if isinstance(value, Mapping) and depth:
        for name, one in value.items():
            yield from _walk(one, f"{path}.{name}" if path else str(name), depth - 1)
    elif isinstance(value, list) and value and depth:
        human = (
            at for at, one in enumerate(value) if isinstance(one, Mapping) and one.get("from") in {"human", "user"}
        )
        first = next(human, 0)
        yield from _walk(value[first], f"{path}[{first}]", depth - 1)


def _is_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, Mapping) and {"role", "content"} <= one.keys() for one in value)
    )
