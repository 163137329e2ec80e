"""Where the phases of a run lie, and reading and writing them.

    <directory>/phase.json      written once, when the phase has ended however it ended
    <directory>/queries.jsonl   appended while it runs
    <directory>/score.json      what an external scorer made of it, where one was asked for

A directory with queries but no phase.json is a phase whose process was killed: it is never read as a result.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..errors import NoVerdictError, RecordError
from ..runs.phase import PhaseRecord
from .atomic import write_atomic
from .walk import read_limited

PHASE_FILE = "phase.json"
QUERIES_FILE = "queries.jsonl"
SCORE_FILE = "score.json"
SCHEMA_VERSION = 1
_MOST_BYTES = 64 * 2**20

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(PhaseRecord)


class _Version(msgspec.Struct):
    schema_version: int


_version_decoder = msgspec.json.Decoder(_Version)


def write_phase(directory: Path, record: PhaseRecord) -> None:
    """Write phase.json atomically. Raises OSError."""
    write_atomic(directory / PHASE_FILE, msgspec.json.format(_encoder.encode(record), indent=2) + b"\n")


def read_phase(directory: Path) -> PhaseRecord | None:
    """Return the record of a phase that ended, None when there is none.

    Raises RecordError when phase.json is not one this version wrote.
    """
    path = directory / PHASE_FILE
    try:
        raw = read_limited(path, _MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        # Before the rest is looked at, which in another version may have another shape.
        version = _version_decoder.decode(raw).schema_version
        if version != SCHEMA_VERSION:
            raise RecordError(
                f"{path}: has schema version {version}, and this version of pytest-mlperf-audit reads "
                f"{SCHEMA_VERSION}; use the version that wrote it"
            )
        return _decoder.decode(raw)
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        raise RecordError(f"{path}: not a phase record ({error})") from error


def started(directory: Path) -> bool:
    """Whether a phase was begun here, ended or not."""
    return (directory / QUERIES_FILE).exists() or (directory / PHASE_FILE).exists()


def complete_phase(directory: Path) -> PhaseRecord:
    """Return a phase record that a verdict may rest on. Raises NoVerdictError, saying why, or RecordError."""
    record = read_phase(directory)
    if record is None:
        what = "was cut short: its process ended in mid-phase" if started(directory) else "was not run"
        raise NoVerdictError(f"phase {directory.name} {what} (records: {directory})")
    if not record.complete:
        raise NoVerdictError(f"phase {record.label}: {record.reason or record.status} (records: {directory})")
    return record


def set_aside(directory: Path) -> int:
    """Move what an earlier attempt at a phase left to `attempt-<k>` within it; return the next attempt's number."""
    attempt = 1
    while (directory / f"attempt-{attempt}").exists():
        attempt += 1
    leftovers = [path for name in (QUERIES_FILE, PHASE_FILE, SCORE_FILE) if (path := directory / name).exists()]
    if not leftovers:
        return attempt
    kept = directory / f"attempt-{attempt}"
    kept.mkdir()
    for path in leftovers:
        path.rename(kept / path.name)
    return attempt + 1
