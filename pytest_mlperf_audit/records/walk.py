"""Walking directories that anybody may have made, and reading files that may be of any size."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import RecordError


def walk(
    directory: Path, on_error: Callable[[OSError], None] | None = None, *, links: bool = False
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield each directory with the names of its directories and of its files, as os.walk does, however deep.

    The caller may take names of directories away, which are then not entered. With `links`, a linked directory is
    entered under the link's name when it lies below `directory` and does not hold the link; links below it are not, so
    that links cannot multiply a tree without end. What cannot be read goes to `on_error`.
    """
    root = os.path.realpath(directory)
    left = [(directory, False)]
    while left:
        here, linked = left.pop()
        try:
            directories, files, linking = _entries(here)
        except OSError as error:
            if on_error:
                on_error(error)
            continue
        yield here, directories, files
        left += [
            (here / name, linked or name in linking)
            for name in directories
            if name not in linking or (links and not linked and _leads_within(here / name, root))
        ]


def _entries(directory: Path) -> tuple[list[str], list[str], set[str]]:
    """Return the names of directories, of what else there is, and of those of both that are links."""
    directories: list[str] = []
    files: list[str] = []
    linking: set[str] = set()
    with os.scandir(directory) as entries:
        for entry in entries:
            (directories if _is_directory(entry) else files).append(entry.name)
            if entry.is_symlink():
                linking.add(entry.name)
    return directories, files, linking


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _leads_within(link: Path, root: str) -> bool:
    """Whether a link leads to a directory below `root` that does not hold the link itself."""
    target, place = os.path.realpath(link), os.path.realpath(link.parent)
    return f"{target}/".startswith(f"{root}/") and not f"{place}/".startswith(f"{target}/")


def read_limited(path: Path, limit_bytes: int) -> bytes:
    """Return a file's bytes. Raises RecordError for one larger than a file of ours is, OSError as reading does."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size > limit_bytes:
            raise RecordError(
                f"{path}: has {status.st_size} bytes, and none that we write has more than {limit_bytes}; it was edited"
            )
        return file.read(limit_bytes)
