"""What pytest itself would do with a directory of somebody else's: run its code, misread its name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import ConfigError
from ..report.clean import plain


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


def _conftests(tree: Path, named: Iterable[Path]) -> Iterator[Path]:
    yield tree / "conftest.py"
    for path in named:
        for directory in (path, *path.parents):
            if directory.is_relative_to(tree):
                yield directory / "conftest.py"
        yield from path.glob("test*/conftest.py")
