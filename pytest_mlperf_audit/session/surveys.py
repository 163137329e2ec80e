"""What was found in submission trees, as bytes: who has the terminal walks a tree, and the workers need not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..audits.published.tree import Survey


def packed_surveys(found: Iterable[tuple[Path, Survey]]) -> bytes:
    """Return what was found in each tree, to be read by `unpacked_surveys` in another process of this machine."""
    return msgspec.msgpack.encode([(tree, survey) for tree, survey in found], enc_hook=_as_bytes)


def unpacked_surveys(packed: bytes) -> Mapping[Path, Survey]:
    """Return what was found, by tree."""
    found = msgspec.msgpack.decode(packed, type=list[tuple[Path, Survey]], dec_hook=_from_bytes)
    return dict(found)


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, Path):
        return os.fsencode(value)  # a name may hold bytes that are no UTF-8
    raise NotImplementedError(type(value))


def _from_bytes(kind: type, value: Any) -> Any:
    return kind(os.fsdecode(value))
