"""Which keys of the YAML hold a credential, told by their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .yaml_source import KeyPath

_SECRET_NAME = re.compile(
    r"(^|_)(api_?key|secret|password|authorization|auth|credentials?)(_|$)|_(key|token)$", re.IGNORECASE
)
#: In a map whose keys we do not know, more names are taken for a credential's: token, myKey, db-passwd, Cookie.
_LOOKS_SECRET = re.compile(
    r"key$|token$|secret|passw|passphrase|pwd|credential|authorization|^auth$|bearer|cookie|signature|^sig$",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a key of this name holds a credential: api_key, hf_token, password."""
    return _SECRET_NAME.search(name) is not None


def looks_secret(name: str) -> bool:
    """Whether a key of this name, in a map of the user's own keys, may hold a credential."""
    return is_secret_name(name) or _LOOKS_SECRET.search(name) is not None


def is_free_map(path: KeyPath) -> bool:
    """Whether a key path leads into a map whose keys are the user's own."""
    return "chat_template_kwargs" in path or ("accuracy_config" in path and "extras" in path)


def is_command(path: KeyPath) -> bool:
    """Whether a key path is an argument of one of the two programs that the YAML may name."""
    return path[-2:-1] == ("command",) and path[-3:-2] in {("between_phases",), ("accuracy_config",)}


def is_public(path: KeyPath) -> bool:
    """Whether a key's value names a thing or a file, and so stands in messages and reports."""
    last = path[-1]
    return (
        path[0] in {"name", "version", "report_dir", "submission_ref"}
        or path == ("model_params", "name")
        or (path[0] == "datasets" and len(path) == 3 and last in {"name", "path"})
    )


def secrets_below(value: Any, *, hidden: bool = False) -> Iterator[str]:
    """Yield the texts of a map of the user's own keys that stand under a key which looks like a credential's."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from secrets_below(inner, hidden=hidden or looks_secret(str(key)))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from secrets_below(inner, hidden=hidden)
    elif hidden and isinstance(value, str):
        yield value
