"""Claiming a report directory without losing what is in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from ..errors import ReportDirError
from .flock import Lock
from .locks import named_lock

#: What a query leaves in queries.jsonl, about, and what the report and the rest need.
_BYTES_PER_QUERY = 400
_BYTES_OF_REPORT = 8 * 2**20


def check_disjoint(directories: Iterable[tuple[Path, Path]]) -> None:
    """Raise ReportDirError when two configurations, given as (YAML, report directory), would share a directory."""
    seen: list[tuple[Path, Path]] = []
    for config, directory in directories:
        for other_config, other in seen:
            if directory == other or directory in other.parents or other in directory.parents:
                raise ReportDirError(
                    f"{other_config.name} and {config.name} both report into {directory}; give each its own report_dir"
                )
        seen.append((config, directory))


def check_harmless(directory: Path, protected: Iterable[Path]) -> None:
    """Raise ReportDirError when moving `directory` aside would move the user's own files."""
    for path in protected:
        if path == directory or directory in path.parents:
            raise ReportDirError(
                f"report_dir {directory} contains {path}, so it cannot be moved aside for a new run; "
                "choose a directory of its own"
            )


def kept_as(directory: Path) -> Path | None:
    """Return where what is in `directory` will be kept, None when there is nothing to keep."""
    try:
        if not any(directory.iterdir()):
            return None
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise ReportDirError(f"report_dir {directory} is a file; choose another name, or remove it") from None
    except OSError as error:
        raise _not_writable(directory, error) from error
    number = 1
    while (kept := directory.with_name(f"{directory.name}.{number}")).exists():
        number += 1
    return kept


def _move_aside(directory: Path, kept: Path) -> None:
    try:
        directory.rename(kept)
    except OSError as error:
        raise ReportDirError(
            f"report_dir {directory} holds an earlier run and cannot be moved aside ({error.strerror or error}), "
            "as when it is a mount point; name a directory inside it"
        ) from error


def claim(directory: Path, n_queries: int) -> Lock:
    """Lock a report directory, move an earlier run aside, and make sure that the new one's records fit.

    Returns the lock, to be held while the run lasts. Raises ReportDirError.
    """
    lock = named_lock("report", str(directory))
    if not lock.try_acquire():
        raise ReportDirError(
            f"report_dir {directory} is in use by another run; wait for it, or set --mlperf-report-dir"
        )
    try:
        if kept := kept_as(directory):
            _move_aside(directory, kept)
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".write-test"
        probe.write_bytes(b"\0" * 65536)
        probe.unlink()
        free = shutil.disk_usage(directory).free
    except OSError as error:
        lock.release()
        raise _not_writable(directory, error) from error
    needed = n_queries * _BYTES_PER_QUERY + _BYTES_OF_REPORT
    if free < needed:
        lock.release()
        raise ReportDirError(
            f"report_dir {directory} has {free / 2**20:.1f} MiB free, {needed / 2**20:.1f} MiB are needed for "
            f"{n_queries} queries; free some space, or set --mlperf-report-dir"
        )
    return lock


def _not_writable(directory: Path, error: OSError) -> ReportDirError:
    return ReportDirError(
        f"report_dir {directory} cannot be written ({error.strerror or error}); set --mlperf-report-dir to one that can"
    )
