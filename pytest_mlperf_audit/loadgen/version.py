"""Which LoadGen wrote a detail log: its version and the form of its log, from the log's first lines.

Source: mlcommons/inference `loadgen/version_generator.py`, `loadgen/logging.cc`, and published logs. LoadGen writes its
version first: as an event `loadgen_version` since v1.0, as a line of text before. Its number is `.5a1` up to v1.0, and
that of the round since. Early stopping came with 2.0.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import RecordError
from .text import open_plain

#: The first major version that has it.
_EARLY_STOPPING: Final = 2
_HEAD_BYTES: Final = 8 * 1024
_TEXT_LINE = re.compile(rb'^\0*"pid": [0-9]+, "tid": [0-9]+, "ts": -?[0-9]+ns : ', re.MULTILINE)
_VERSION = re.compile(r"([0-9]*)\.[0-9a-z]+")
_TEXT_VERSION = re.compile(rb"ns : version\s*: ([0-9]*)\.[0-9a-z]+")
_EVENT_VERSION = re.compile(rb'"key": "loadgen_version", "value": "([0-9]*)\.[0-9a-z.]+')


class Writer(NamedTuple):
    """`is_text`: the log holds lines of text, as of v0.7. `major` is 0 for `.5a1`, None where no version is said."""

    is_text: bool = False
    major: int | None = None

    @property
    def has_early_stopping(self) -> bool:
        """Whether this LoadGen estimates percentiles by early stopping; True where the version is not known."""
        return self.major is None or self.major >= _EARLY_STOPPING


def version_has_early_stopping(version: str | None) -> bool:
    """Return whether the LoadGen of a version, as `loadgen_version` has it, estimates by early stopping."""
    match = _VERSION.match(version or "")
    return Writer(major=int(match[1] or 0) if match else None).has_early_stopping


def writer_of(path: Path) -> Writer:
    """Return what the first lines of a detail log say of their writer; nothing for a log that cannot be read."""
    try:
        with open_plain(path) as file:
            head = file.read(_HEAD_BYTES)
    except (OSError, RecordError):
        return Writer()
    is_text = bool(_TEXT_LINE.search(head))
    version = (_TEXT_VERSION if is_text else _EVENT_VERSION).search(head)
    major = int(version[1] or 0) if version else None
    return Writer(is_text, 0 if is_text and major is None else major)
