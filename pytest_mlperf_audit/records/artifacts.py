"""The files that a verdict rests on: their digests, and what became of them since."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from .files import sha256_file, walk

#: What is told of a directory in which many files differ.
_MOST_TOLD = 20


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the report directory: its SHA-256 in hex, and its size."""

    sha256: str
    bytes: int


def artifacts(
    directory: Path,
    leave_out: Collection[str],
    on_error: Callable[[OSError], None] | None = None,
    sizes: Collection[int] | None = None,
) -> Iterator[tuple[str, Artifact]]:
    """Yield every regular file but those in `leave_out` and hidden ones (temporary files, locks), in path order.

    Paths are relative, with forward slashes. Symbolic links are left out. What cannot be read goes to
    `on_error`; without one, OSError is raised. Of a file whose size is not among `sizes`, where these are given, the
    digest is "": it is none of those that are looked for, and may be endless.
    """
    for path in sorted(_files(directory, on_error or _raise)):
        shown = path.relative_to(directory).as_posix()
        if shown in leave_out or path.is_symlink() or not path.is_file():
            continue
        name = shown if shown.isascii() else shown.encode("utf-8", "replace").decode()
        try:
            size = path.stat().st_size
            yield name, Artifact(sha256=sha256_file(path) if sizes is None or size in sizes else "", bytes=size)
        except OSError as error:
            (on_error or _raise)(error)


def _files(directory: Path, on_error: Callable[[OSError], None]) -> Iterator[Path]:
    for folder, folders, names in walk(directory, on_error):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def _raise(error: OSError) -> None:
    raise error


def what_changed(recorded: Mapping[str, Artifact], found: Mapping[str, Artifact]) -> list[str]:
    """Return a sentence for each file, or pair of directories, that is not as it was recorded."""
    off = {path for path in recorded if found.get(path) != recorded[path]}
    changes: list[str] = []
    for one, other in _exchanged_directories(recorded, found, off):
        changes.append(f"{one} and {other} were exchanged: each holds what was recorded of the other")
        off -= {path for path in off if _parent(path) in (one, other)}
    for one, other in _exchanged_files(recorded, found, off):
        changes.append(f"{one} and {other} were exchanged: each holds what was recorded as the other")
        off -= {one, other}
    changes += [_what_of(path, recorded, found) for path in recorded if path in off]
    changes += [_added(path, recorded, found[path]) for path in found if path not in recorded]
    more = len(changes) - _MOST_TOLD
    return changes if more <= 0 else [*changes[:_MOST_TOLD], f"and {more} more files"]


def _exchanged_directories(
    recorded: Mapping[str, Artifact], found: Mapping[str, Artifact], off: Collection[str]
) -> Iterator[tuple[str, str]]:
    folders = sorted({_parent(path) for path in off} - {"."})
    for at, one in enumerate(folders):
        for other in folders[at + 1 :]:
            before = _contents(recorded, one), _contents(recorded, other)
            now = _contents(found, one), _contents(found, other)
            if before[0] and before[1] and before == (now[1], now[0]):
                yield one, other


def _exchanged_files(
    recorded: Mapping[str, Artifact], found: Mapping[str, Artifact], off: Collection[str]
) -> Iterator[tuple[str, str]]:
    paths = sorted(off)
    by_digest = {recorded[path].sha256: path for path in paths}
    for one in paths:
        other = by_digest.get(found[one].sha256) if one in found else None
        if other and one < other and found.get(other) == recorded[one] and found[one] == recorded[other]:
            yield one, other


def _what_of(path: str, recorded: Mapping[str, Artifact], found: Mapping[str, Artifact]) -> str:
    before, now = recorded[path], found.get(path)
    if now is None:
        renamed = [other for other in found if other not in recorded and found[other] == before]
        return f"{path} is missing" + (f"; {renamed[0]} holds what was recorded of it" if renamed else "")
    copied = [other for other in recorded if recorded[other] == now]
    if copied:
        return f"{path} holds what was recorded as {copied[0]}"
    if now.bytes != before.bytes:
        return f"{path} was altered: it has {now.bytes} bytes, {before.bytes} were recorded"
    return f"{path} was altered: its size is as recorded, its digest is not"


def _added(path: str, recorded: Mapping[str, Artifact], now: Artifact) -> str:
    same = [other for other in recorded if recorded[other] == now]
    return f"{path} was added after the verdict" + (f"; it is a copy of {same[0]}" if same else "")


def _parent(path: str) -> str:
    return PurePosixPath(path).parent.as_posix()


def _contents(files: Mapping[str, Artifact], folder: str) -> dict[str, Artifact]:
    """Return the files that lie directly in a folder, by name."""
    return {PurePosixPath(path).name: one for path, one in files.items() if _parent(path) == folder}
