"""Paths into values of JSON: `body.messages`, `conversations[0].value`, `outputs.0.text`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

#: One step into a value: `.name`, or `[0]` and `.0` for an item of a list.
_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")

_MOST_DIGITS: Final = 10

#: What stands at a path where nothing does.
ABSENT: Final = object()


def at_path(document: Any, path: str) -> Any:
    """Return what stands at a path, which may also be a key as it is; ABSENT where nothing does."""
    if isinstance(document, Mapping) and path in document:
        return document[path]
    value = document
    for name, index in _STEP.findall(path) or [(path, "")]:
        value = _step(value, name or index)
        if value is ABSENT:
            return ABSENT
    return value


def _step(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, ABSENT)
    if isinstance(value, list) and name.isdecimal() and len(name) < _MOST_DIGITS and int(name) < len(value):
        return value[int(name)]
    return ABSENT
