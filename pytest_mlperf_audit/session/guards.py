"""What pytest itself would do with a directory of somebody else's: run its code, misread its name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import ConfigError
from ..text import plain


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


def above(directories: Iterable[Path], rootdir: Path) -> list[Path]:
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
