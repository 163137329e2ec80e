"""A YAML file as data whose every key remembers its line, for messages; and environment variables in its text.

Variables: ${NAME}, ${NAME:-default}, $NAME (as in the endpoints tool), $$ for a dollar.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

KeyPath = tuple[str | int, ...]

#: So many faults of a file are shown; it may have a hundred thousand.
MAX_FAULTS = 20

#: What is shown of a key below endpoint_config: where a blank or a colon is missing, a credential is part of the key.
_PLAIN_KEY = re.compile(r"[A-Za-z]+(?:[-_][A-Za-z]+){0,7}")

#: Of a longer key the beginning is shown.
_MAX_KEY = 60

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_REFERENCE = re.compile(
    r"\$(?:(?P<dollar>\$)"
    rf"|\{{(?P<braced>{_NAME})(?::-(?P<default>[^}}]*))?\}}"
    r"|(?P<broken>\{)"
    rf"|(?P<bare>{_NAME}))",
    re.ASCII,
)


@dataclass(frozen=True)
class YamlSource:
    """A YAML file as data. `lines` has the line of every key path.

    `from_env` has the text, as it was written, of the paths that held a variable.
    """

    name: str
    data: dict[str, Any] = field(repr=False)
    lines: dict[KeyPath, int] = field(repr=False)
    from_env: Mapping[KeyPath, str] = field(repr=False)

    def known(self, path: KeyPath) -> KeyPath:
        """Return the part of `path` that the file has, less the index of a block that stands alone."""
        found: KeyPath = ()
        for part in path:
            if (*found, part) in self.lines:
                found = (*found, part)
            elif isinstance(part, str):
                break
        return found

    def line(self, path: KeyPath) -> int:
        """Return the line of `path`, or of the nearest block around it that the file has."""
        return self.lines[self.known(path)]

    def where(self, *path: str | int) -> str:
        """Return file, line and key path, as every message begins: 'wan22.yaml:14: audit.sample_index'."""
        at = f"{self.name}:{self.line(path)}"
        shown = dotted(self.without_tags(path))
        return f"{at}: {shown}" if shown else at

    def without_tags(self, path: KeyPath) -> KeyPath:
        """Return `path` as the user would write it: without the index of a block that stands alone."""
        shown: KeyPath = ()
        for at, part in enumerate(path):
            nested = isinstance(part, int) and at + 1 < len(path)
            if not (nested and shown in self.lines and (*shown, part) not in self.lines):
                shown = (*shown, part)
        return shown


def dotted(path: KeyPath) -> str:
    """Return a key path as text: datasets[0].samples."""
    below = len(path) > 1 and path[0] == "endpoint_config"
    parts = (
        "(a key that is not shown)" if below and isinstance(part, str) and not _PLAIN_KEY.fullmatch(part) else part
        for part in path
    )
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_cut(part)}" for part in parts).removeprefix(".")


def _cut(key: str) -> str:
    return key if len(key) <= _MAX_KEY else f"{key[: _MAX_KEY - 3]}..."


def fault_list(lines: Sequence[str], n_faults: int, name: str) -> str:
    """Return the message of a file's faults: the first lines of `lines`, and how many faults are not shown."""
    shown = list(lines[:MAX_FAULTS])
    if more := n_faults - len(shown):
        shown.append(f"{name}: {more:,} more {'fault' if more == 1 else 'faults'}, shown once these are mended")
    return "\n".join(shown)


class InterpolationError(Exception):
    """A variable cannot be replaced; the message has no value in it."""


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` with every reference replaced once; values are not searched for further references.

    As in a shell, the default of ${NAME:-default} is taken when NAME is unset or empty.
    Raises InterpolationError when a variable is unset and has no default, or a reference is not well formed.
    """
    return _REFERENCE.sub(lambda match: _replacement(match, environ), text)


def has_variable(text: str) -> bool:
    """Whether `text` refers to a variable."""
    return any(not match["dollar"] for match in _REFERENCE.finditer(text))


def has_default(text: str) -> bool:
    """Whether `text` holds a default, ${NAME:-default}: a value in the clear."""
    return any(match["default"] is not None for match in _REFERENCE.finditer(text))


def as_written(text: str) -> str:
    """Return `text` with its references as they stand, and `$$` as the dollar that it is."""
    return _REFERENCE.sub(lambda match: "$" if match["dollar"] else match[0], text)


def names_in(text: str) -> list[str]:
    """Return the names of the variables in `text`."""
    return [match["braced"] or match["bare"] or "" for match in _REFERENCE.finditer(text) if not match["dollar"]]


def values_in(text: str, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return name and value of each variable in `text`. Raises InterpolationError."""
    found = (match for match in _REFERENCE.finditer(text) if not match["dollar"])
    return [(match["braced"] or match["bare"] or "", _replacement(match, environ)) for match in found]


def _replacement(match: re.Match[str], environ: Mapping[str, str]) -> str:
    if match["dollar"]:
        return "$"
    if match["broken"]:
        raise InterpolationError("'${' begins no variable; write ${NAME} or ${NAME:-default}, or $${ for the text '${'")
    name, default = match["braced"] or match["bare"], match["default"]
    if default is None:
        if name not in environ:
            cure = f"set it, write ${{{name}:-default}}, or write $$ for a dollar sign"
            raise InterpolationError(f"the environment variable {name} is not set; {cure}")
        return environ[name]
    if "${" in default:
        raise InterpolationError(f"the default of {name} holds another variable, which is not supported")
    return environ.get(name) or default
