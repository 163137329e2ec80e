"""Where two plain values differ: what was stored, and what was recomputed from the records."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

#: Another processor or another numpy may round a sum or a percentile otherwise in the last digits, never in the ninth.
_RELATIVE: Final = 1e-9
_ABSOLUTE: Final = 1e-12

_MOST_SHOWN: Final = 160
_NAMES: Final = ("name", "label", "id")


class _Missing:
    """Stands for a value that one of the two sides does not have."""

    def __repr__(self) -> str:
        return "nothing"


_MISSING: Final = _Missing()


class _Difference(msgspec.Struct, frozen=True):
    """One value that differs; `where` leads to it: checks[throughput_ratio].observed."""

    where: str
    stored: Any
    recomputed: Any

    def __str__(self) -> str:
        return f"{self.where}: {_shown(self.stored)} stored, {_shown(self.recomputed)} recomputed"


def differences(
    stored: Any, recomputed: Any, *, where: str = "", skip: Collection[str] = (), known_only: bool = False
) -> Iterator[_Difference]:
    """Yield every difference between two values made of mappings, sequences, numbers and text.

    Numbers that agree to nine digits are the same. Keys in `skip` are left out at any depth. With `known_only`, so are
    keys that only the recomputed side has, as a later version adds. Entries of a list are matched by
    their name, label or id, where they have one.
    """
    if isinstance(stored, Mapping) and isinstance(recomputed, Mapping):
        yield from _mapping_differences(stored, recomputed, where, skip, known_only=known_only)
    elif isinstance(stored, (list, tuple)) and isinstance(recomputed, (list, tuple)):
        yield from _sequence_differences(stored, recomputed, where, skip, known_only=known_only)
    elif not _same(stored, recomputed):
        yield _Difference(where or "value", stored, recomputed)


def _mapping_differences(
    stored: Mapping[str, Any], recomputed: Mapping[str, Any], where: str, skip: Collection[str], *, known_only: bool
) -> Iterator[_Difference]:
    for key in dict.fromkeys((*stored, *recomputed)):
        if key in skip or (known_only and key not in stored):
            continue
        inner = f"{where}.{key}" if where else str(key)
        one, other = stored.get(key, _MISSING), recomputed.get(key, _MISSING)
        yield from differences(one, other, where=inner, skip=skip, known_only=known_only)


def _sequence_differences(
    stored: Sequence[Any], recomputed: Sequence[Any], where: str, skip: Collection[str], *, known_only: bool
) -> Iterator[_Difference]:
    before, after = _by_name(stored), _by_name(recomputed)
    if before is None or after is None:
        before, after = ({str(at): entry for at, entry in enumerate(side)} for side in (stored, recomputed))
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name, _MISSING), after.get(name, _MISSING)
        yield from differences(one, other, where=f"{where}[{name}]", skip=skip, known_only=known_only)
    if before.keys() == after.keys() and list(before) != list(after):
        yield _Difference(f"order of {where}", list(before), list(after))


def _by_name(entries: Sequence[Any]) -> dict[str, Any] | None:
    """Return entries by what they are called, None where they have no names or share one."""
    if not entries:
        return {}
    for key in _NAMES:
        if all(isinstance(entry, Mapping) and isinstance(entry.get(key), str) for entry in entries):
            named = {entry[key]: entry for entry in entries}
            return named if len(named) == len(entries) else None
    return None


def _same(stored: Any, recomputed: Any) -> bool:
    if isinstance(stored, bool) or isinstance(recomputed, bool):
        return stored is recomputed
    if isinstance(stored, float) or isinstance(recomputed, float):
        if isinstance(stored, (int, float)) and isinstance(recomputed, (int, float)):
            return _close(stored, recomputed)
        return False
    return bool(stored == recomputed)


def _close(one: float, other: float) -> bool:
    try:
        return math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    except OverflowError:  # an integer beyond all floats
        return False


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "a block" if isinstance(value, dict) else f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"
