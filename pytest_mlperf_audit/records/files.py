"""Files as records need them: written whole or not at all; read and walked whatever somebody may have put there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..errors import RecordError

#: A file that we write whole, such as phase.json or verdict.json, has no more.
_MOST_BYTES = 64 * 2**20


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


def read_limited(path: Path) -> bytes:
    """Return a file's bytes. Raises RecordError where it is larger than any that we write whole, and OSError."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size > _MOST_BYTES:
            raise RecordError(
                f"{path}: has {status.st_size} bytes, and none that we write has more than {_MOST_BYTES}; it was edited"
            )
        return file.read(_MOST_BYTES)


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path`: temporary file beside it, fsync, rename, fsync of the directory. Raises OSError."""
    write_pieces(path, [data])


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Write `pieces` one after the other, as write_atomic does; what making them raises leaves no file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with scratch.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot; the rename itself has happened
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file in hex, reading it in pieces."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            hasher.update(piece)
    return hasher.hexdigest()
