"""A history of runs: a file of JSON lines, one a run, appended when it has ended; and what earlier runs say of a next.

A line has what a comparison needs, so that records need not be kept. Lines that cannot be read (cut short, of another
version, of somebody else) are left out and counted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..stats.estimates import Estimate

_VERSION = 1
_LARGEST = 256 * 2**20


class PastRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run in a history. `workload` says what was measured and how: equal ones can be compared.

    `phase` is the phase whose `figures` these are, by metric; throughput is seconds per query. `ratio` is TEST04's.
    """

    finished_at: str
    workload: str
    name: str
    model: str
    endpoint: str
    status: str
    phase: str
    figures: dict[str, Estimate]
    failed_share: float = 0.0
    ratio: float | None = None
    schema_version: int = _VERSION


class History(msgspec.Struct, frozen=True):
    """The runs of a file in its order, and how many of its lines could not be read."""

    runs: tuple[PastRun, ...]
    unreadable: int = 0

    def of(self, workload: str) -> list[PastRun]:
        """Return the runs of a workload, the oldest first."""
        return [run for run in self.runs if run.workload == workload]


def append(path: Path, run: PastRun) -> None:
    """Add a line in one write, so that runs which end together do not mix. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        line = msgspec.json.encode(run) + b"\n"
        if size := os.fstat(descriptor).st_size:  # behind a line that was cut short, a line of its own
            os.lseek(descriptor, size - 1, os.SEEK_SET)
            line = line if os.read(descriptor, 1) == b"\n" else b"\n" + line
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> History:
    """Return a history. Raises OSError, and ValueError for a file that is too large to be one."""
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"is larger than {_LARGEST // 2**20} MiB, so it is no history of runs")
    runs, unreadable = [], 0
    decoder = msgspec.json.Decoder(PastRun)
    for line in path.read_bytes().splitlines():
        if not line.strip():
            continue
        try:
            run = decoder.decode(line)
        except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
            unreadable += 1
            continue
        if run.schema_version == _VERSION and all(map(_is_sound, run.figures.values())):
            runs.append(run)
        else:
            unreadable += 1
    return History(tuple(runs), unreadable)


def _is_sound(figure: Estimate) -> bool:
    return 0 < figure.low <= figure.value <= figure.high < float("inf")


def figures_of(runs: Sequence[PastRun], metric: str) -> list[float]:
    """Return a metric's value in each of the runs that have it."""
    return [run.figures[metric].value for run in runs if metric in run.figures]
