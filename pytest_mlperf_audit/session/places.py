"""Directories: a report directory is claimed without losing what is in it; one to be judged is kept from pytest.

pytest would run the code in a directory of somebody else's, and misread its name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import ConfigError, ReportDirError
from ..text import plain
from .locks import Lock, named_lock

#: What a query leaves in queries.jsonl, about, and what the report and the rest need.
_BYTES_PER_QUERY = 400
_BYTES_OF_REPORT = 8 * 2**20


def shown(path: Path) -> str:
    """Return a path as a person would type it: relative, where it lies below the working directory."""
    with suppress(ValueError, OSError):
        path = path.relative_to(Path.cwd())
    return plain(str(path), 4096)


def check_disjoint(directories: Iterable[tuple[Path, Path]]) -> None:
    """Raise ReportDirError when two configurations, given as (YAML, report directory), would share a directory."""
    seen: list[tuple[Path, Path]] = []
    for config, directory in directories:
        for other_config, other in seen:
            if directory == other or directory in other.parents or other in directory.parents:
                raise ReportDirError(
                    f"{other_config.name} and {config.name} both report into {directory}; give each its own report_dir"
                )
        seen.append((config, directory))


def check_harmless(directory: Path, protected: Iterable[Path]) -> None:
    """Raise ReportDirError when moving `directory` aside would move the user's own files."""
    for path in protected:
        if path == directory or directory in path.parents:
            raise ReportDirError(
                f"report_dir {directory} contains {path}, so it cannot be moved aside for a new run; "
                "choose a directory of its own"
            )


def kept_as(directory: Path) -> Path | None:
    """Return where what is in `directory` will be kept, None when there is nothing to keep."""
    try:
        if not any(directory.iterdir()):
            return None
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise ReportDirError(f"report_dir {directory} is a file; choose another name, or remove it") from None
    except OSError as error:
        raise _not_writable(directory, error) from error
    number = 1
    while (kept := directory.with_name(f"{directory.name}.{number}")).exists():
        number += 1
    return kept


def _move_aside(directory: Path, kept: Path) -> None:
    try:
        directory.rename(kept)
    except OSError as error:
        raise ReportDirError(
            f"report_dir {directory} holds an earlier run and cannot be moved aside ({error.strerror or error}), "
            "as when it is a mount point; name a directory inside it"
        ) from error


def claim(directory: Path, n_queries: int, moved: Callable[[Path], None] = lambda _: None) -> Lock:
    """Lock a report directory, move an earlier run aside, and make sure that the new one's records fit.

    Returns the lock, to be held while the run lasts; `moved` is told where an earlier run is kept. Raises
    ReportDirError.
    """
    lock = named_lock("report", str(directory))
    if not lock.try_acquire():
        raise ReportDirError(
            f"report_dir {directory} is in use by another run; wait for it, or set --mlperf-report-dir"
        )
    try:
        if kept := kept_as(directory):
            _move_aside(directory, kept)
            moved(kept)
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".write-test"
        probe.write_bytes(b"\0" * 65536)
        probe.unlink()
        free = shutil.disk_usage(directory).free
    except OSError as error:
        lock.release()
        raise _not_writable(directory, error) from error
    needed = n_queries * _BYTES_PER_QUERY + _BYTES_OF_REPORT
    if free < needed:
        lock.release()
        raise ReportDirError(
            f"report_dir {directory} has {free / 2**20:.1f} MiB free, {needed / 2**20:.1f} MiB are needed for "
            f"{n_queries} queries; free some space, or set --mlperf-report-dir"
        )
    return lock


def _not_writable(directory: Path, error: OSError) -> ReportDirError:
    return ReportDirError(
        f"report_dir {directory} cannot be written ({error.strerror or error}); set --mlperf-report-dir to one that can"
    )


def require_collectable(path: Path, option: str) -> None:
    """Raise ConfigError for a path that pytest takes for something else: a[b] for a parameter, a::b for a test's id."""
    text = str(path)
    if "[" in text or "::" in text or text != text.encode("utf-8", "replace").decode():
        raise ConfigError(
            f"{option}: {plain(text)}: pytest can collect nothing from a path with '[', '::' or bytes that are no "
            "UTF-8; rename it, or name a symbolic link to it"
        )


def refuse_conftests(trees: Iterable[Path], args: Iterable[str], cwd: Path) -> None:
    """Raise ConfigError when pytest would execute a conftest.py of a published tree.

    It does so with that of the tree's root, and with those on the way to a path that an argument names, or to the
    working directory, and in directories test* beside it.
    """
    named = [Path(os.path.normpath(cwd / arg.partition("::")[0])) for arg in args] or [cwd]
    for tree in trees:
        for conftest in _conftests(tree, [path for path in named if path.is_relative_to(tree)]):
            if conftest.is_file():
                raise ConfigError(
                    f"--mlperf-results: {plain(str(conftest))}: is Python code, which pytest would execute; look at "
                    "it, and either take it out of the tree or give --noconftest"
                )


def conftests_above(directories: Iterable[Path], rootdir: Path) -> list[Path]:
    """Return every conftest.py above these directories that pytest executes when it collects them."""
    found = {
        parent / "conftest.py": None
        for directory in directories
        for parent in reversed(directory.parents)
        if parent.is_relative_to(rootdir) and (parent / "conftest.py").is_file()
    }
    return list(found)


def file_near(directory: Path) -> Path:
    """Return a file in a directory, or else in the nearest above that has one.

    Named as an argument it has pytest load each conftest.py that it loads for the directory, but none of `test*/`.
    """
    places = (path for place in (directory, *directory.parents) for path in sorted(place.iterdir()) if path.is_file())
    return next(places, Path(os.devnull))


def _conftests(tree: Path, named: Iterable[Path]) -> Iterator[Path]:
    yield tree / "conftest.py"
    for path in named:
        for directory in (path, *path.parents):
            if directory.is_relative_to(tree):
                yield directory / "conftest.py"
        yield from path.glob("test*/conftest.py")
