"""Environment variables in the YAML: ${NAME}, ${NAME:-default}, $NAME (as in the endpoints tool), $$ for a dollar."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_REFERENCE = re.compile(
    r"\$(?:(?P<dollar>\$)"
    rf"|\{{(?P<braced>{_NAME})(?::-(?P<default>[^}}]*))?\}}"
    r"|(?P<broken>\{)"
    rf"|(?P<bare>{_NAME}))",
    re.ASCII,
)


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
