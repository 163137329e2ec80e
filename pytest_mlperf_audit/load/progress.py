"""How far a phase is: written by the process that runs it, read by whichever process has the terminal."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec


class Progress(msgspec.Struct, kw_only=True):
    """A snapshot of the phase that is running. `elapsed_s` counts from its first query, `target_s` is its floor.

    `latest_s` is the latency of the query that completed last, 0 where it is not known. With `note`, `phase` is a
    sentence on what is waited for.
    """

    phase: str
    title: str
    requested: int
    issued: int = 0
    completed: int = 0
    failed: int = 0
    elapsed_s: float = 0.0
    target_s: float = 0.0
    idle_s: float = 0.0
    latest_s: float = 0.0
    over: bool = False
    note: bool = False


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Progress)


class ProgressFile:
    """Latest snapshot in a file, replaced whole, so that a reader never sees half of one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._scratch = path.with_name(f".{path.name}.{os.getpid()}")
        self._ended = path.with_name(f"{path.name}.ended")

    def write(self, progress: Progress) -> None:
        """Publish a snapshot; a full disk costs the display, never the measurement."""
        with contextlib.suppress(OSError):
            self._scratch.write_bytes(_encoder.encode(progress))
            self._scratch.replace(self._path)
            if progress.over:
                with self._ended.open("ab") as file:
                    file.write(_encoder.encode(progress) + b"\n")

    def read(self) -> Progress | None:
        """Return the latest snapshot, None when there is none."""
        try:
            return _decoder.decode(self._path.read_bytes())
        except (OSError, msgspec.DecodeError):
            return None

    def ended(self) -> list[Progress]:
        """Return the last snapshot of each phase that is over, in order."""
        try:
            whole, _, _ = self._ended.read_bytes().rpartition(b"\n")
            return [_decoder.decode(line) for line in whole.splitlines()]
        except (OSError, msgspec.DecodeError):
            return []
