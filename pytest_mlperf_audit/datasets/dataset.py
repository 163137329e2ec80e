"""Dataset: a file of rows, validated once when loaded, each row decoded when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config.dataset import DatasetConfig
from ..errors import DatasetError
from .columns import renamed
from .formats import READERS
from .rows import Rows


class Dataset:
    """Rows of a file, by index from 0. The file is not read again after loading."""

    def __init__(self, name: str, path: Path, rows: Rows, unit: str) -> None:
        self.name = name
        self.path = path
        self._rows = rows
        self._unit = unit

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self._rows[index]

    def where(self, index: int) -> str:
        """Return where row `index` stands, for a message: 'prompts.jsonl line 17'."""
        return f"{self.path.name} {self._unit} {self._rows.line(index)}"


def load_dataset(config: DatasetConfig, search: Sequence[Path]) -> Dataset:
    """Load the file of a data set; a relative path is looked for in each directory of `search` in turn.

    Raises DatasetError: no path, no such file, not this format, a bad row (with its line), too few rows.
    """
    path = _find(config, search)
    read, unit = READERS[_format(config, path)]
    parser = config.parser or {}
    rows = Rows()
    try:
        for row, line, raw in read(path):
            mapped = renamed(row, parser, f"{path} {unit} {line}")
            try:
                rows.append(mapped, line, raw if mapped is row else None)
            except (TypeError, ValueError, OverflowError) as error:
                raise DatasetError(f"{path} {unit} {line}: has a value that cannot be sent as JSON ({error})") from None
            if len(rows) == config.samples:
                break
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    _require_enough(config, path, len(rows))
    return Dataset(config.name, path, rows, unit)


def _require_enough(config: DatasetConfig, path: Path, n_rows: int) -> None:
    if n_rows == 0:
        raise DatasetError(f"{path}: holds no rows; check that this is the right file")
    if config.samples is not None and config.samples > n_rows:
        raise DatasetError(
            f"{path}: samples asks for {config.samples} rows, but the file has {n_rows}; "
            f"lower samples to at most {n_rows}, or add rows"
        )


def _find(config: DatasetConfig, search: Iterable[Path]) -> Path:
    if config.path is None:
        raise DatasetError(
            f"data set {config.name!r}: has no path; data sets known by name alone belong to the endpoints tool, "
            "so give the path of a JSONL, JSON, CSV, TSV or Parquet file"
        )
    wanted = config.path.expanduser()
    places = [wanted] if wanted.is_absolute() else list(dict.fromkeys(directory / wanted for directory in search))
    for place in places:
        if place.is_file():
            return place.resolve()
    for place in places:
        if place.is_dir():
            raise DatasetError(f"data set {config.name!r}: {place} is a directory; give a file in it")
        if place.exists():
            raise DatasetError(f"data set {config.name!r}: {place} is not a regular file; give one")
    looked = ", ".join(str(place) for place in places)
    raise DatasetError(f"data set {config.name!r}: no such file; looked for {looked}; correct path, or put it there")


def _format(config: DatasetConfig, path: Path) -> str:
    if config.format is not None:
        return config.format
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in READERS:
        raise DatasetError(f"{path}: its suffix names no known format; add 'format:' with one of {', '.join(READERS)}")
    return suffix
