"""Values from outside as what they were meant to be, or as nothing. Pure, and no function here raises."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_LIMIT = 2**31
_DEPTH = 8
_THOUGHTS = ("thinking", "reasoning")


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return an object; an empty one for anything else, such as the [] of languages that have one empty value."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> Sequence[Any]:
    """Return a list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def as_count(value: Any) -> int | None:
    """Return a number from 0 to 2**31 - 1 that is whole, as a number or as a text; else None."""
    if isinstance(value, str):
        value = int(value) if value.isdecimal() and len(value) < len(str(_LIMIT)) + 1 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LIMIT or value != int(value):
        return None
    return int(value)


def as_counts(value: Any) -> list[int] | None:
    """Return a list of such numbers; None unless every one of them is, since a list with gaps tells nothing."""
    counts = [as_count(number) for number in as_list(value)]
    whole = [count for count in counts if count is not None]
    return whole if whole and len(whole) == len(counts) else None


def as_word(value: Any) -> str | None:
    """Return an id, a name or a reason as text: of an object what it says of its type, of anything else its text."""
    if isinstance(value, Mapping):
        named = (value.get(key) for key in ("type", "reason", "finish_reason", "name", "value", "id"))
        value = next((name for name in named if isinstance(name, str) and name), value)
    if value is None or value is False or value in ({}, []):
        return None
    return as_unicode(value if isinstance(value, str) else compact(value))


def as_text(value: Any, *, thinking: bool = False, depth: int = 0) -> str | None:
    """Return a text, or that of the parts it comes in: those that are thoughts, or those that are not."""
    if isinstance(value, list) and depth < _DEPTH:
        return "".join(as_text(part, thinking=thinking, depth=depth + 1) or "" for part in value) or None
    if isinstance(value, Mapping) and depth < _DEPTH:
        thought = "thinking" in value or any(value.get("type") == kind for kind in _THOUGHTS)
        if thought is not thinking:
            return None
        inner = next(
            (value[key] for key in ("text", "thinking", "reasoning", "content", "refusal") if value.get(key)), None
        )
        return _all_text(inner, depth + 1)
    return None if thinking else _all_text(value, depth)


def _all_text(value: Any, depth: int) -> str | None:
    """Return every text in a part."""
    if isinstance(value, str):
        return as_unicode(value)
    if isinstance(value, list) and depth < _DEPTH:
        return "".join(_all_text(part, depth + 1) or "" for part in value) or None
    if isinstance(value, Mapping) and depth < _DEPTH:
        return _all_text(next((value[key] for key in ("text", "content", "value") if value.get(key)), None), depth + 1)
    return None


def compact(value: Any) -> str:
    """Return a JSON value as the one text that stands for it, whatever the order of its keys."""
    return as_unicode(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def as_unicode(text: str) -> str:
    """Return a text with U+FFFD for each half of a surrogate pair, which UTF-8 cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
