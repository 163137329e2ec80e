"""FinishedRun: a report directory as it lies there, its verdict, configuration and records; none of it is believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
from pydantic import ConfigDict

from ..audits import registry
from ..config.benchmark import Benchmark
from ..config.block import AuditBlock, is_entry_name
from ..config.load import load_config
from ..errors import ConfigError, RecordError
from ..records.files import read_limited, walk
from ..records.store import PHASE_FILE, QUERIES_FILE
from ..text import plain
from ..verdicts.document import AuditEntry, VerdictDocument
from ..verdicts.files import VERDICT_FILE, read_verdict
from . import third_party
from .places import require_collectable

#: The class of the tests that are of the run as a whole.
RECORDS = "records"

_CONFIG_FILE: Final = "config.yaml"
#: What pytest takes for something else than a test.
_NO_TESTS = {"pytestmark", *(f"{when}_{of}" for when in ("setup", "teardown") for of in ("class", "method"))}


class _Unknown(AuditBlock):
    """The block of an audit that nobody offers here: it cannot be judged, and hinders no other from being so."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True)
class FinishedRun:
    """`stored` is verdict.json, None where it cannot be used, as `problem` says."""

    directory: Path
    stored: VerdictDocument | None
    problem: str = ""

    @property
    def verdict_file(self) -> Path:
        """Where the verdict lies."""
        return self.directory / VERDICT_FILE

    @property
    def config_file(self) -> Path:
        """Where the configuration lies, as it was resolved."""
        return self.directory / _CONFIG_FILE

    def read_config(self, audits: registry.Registry) -> Benchmark:
        """Return the configuration; audits of the verdict that are not among `audits` hinder nothing.

        Raises RecordError.
        """
        ids = [audit.test for audit in self.stored.audits] if self.stored else []
        known = {**audits, **registry.runs()}
        unknown: dict[str, type[AuditBlock]] = {name: _Unknown for name in ids if name not in known}
        _require_regular(self.config_file)
        try:
            return load_config(self.config_file, registry.models(audits) | unknown, environ=None).benchmark
        except ConfigError as error:
            raise RecordError(
                f"{self.config_file}: cannot be used, so nothing can be judged by it ({error})"
            ) from error

    def phase_directory(self, relative: str) -> Path:
        """Return where a phase lies. Raises RecordError where links or oddities stand in the place of records."""
        place = self.directory / relative
        for folder in (place, *place.parents):
            if folder == self.directory:
                break
            if folder.is_symlink():
                raise RecordError(f"{folder}: is a symbolic link; put the directory of the records itself there")
        for path in (place / PHASE_FILE, place / QUERIES_FILE):
            _require_regular(path)
        return place


def find(directory: Path) -> FinishedRun:
    """Return the run in a directory. Raises ConfigError where there is none that finished."""
    require_verdict(directory)
    verdict = directory / VERDICT_FILE
    try:
        stored = read_verdict(verdict)
        _require_sound(stored, verdict)
    except RecordError as error:
        if _is_round(verdict):
            raise ConfigError(
                f"--mlperf-recheck: {verdict} is the report on a submission tree, no run of ours; to re-verify the "
                "tree again, use --mlperf-results"
            ) from error
        return FinishedRun(directory, None, str(error))
    return FinishedRun(directory, stored)


def require_verdict(directory: Path) -> None:
    """Raise ConfigError where there is no finished run."""
    require_collectable(directory, "--mlperf-recheck")
    _require_directory(directory)
    verdict = directory / VERDICT_FILE
    if verdict.is_symlink() or not verdict.is_file():
        raise ConfigError(f"--mlperf-recheck: {directory}: {_why_none(directory)}")


def refuse_code(directory: Path) -> None:
    """Raise ConfigError when there is Python code in a run's directory: pytest would import a conftest.py."""
    for folder, _, names in walk(directory):
        for name in names:
            if name.endswith(".py"):
                raise ConfigError(
                    f"--mlperf-recheck: {plain(str(folder / name))}: is Python code, which no run of ours writes and "
                    "pytest might execute; look at it, and take it out of the directory"
                )


def _require_directory(directory: Path) -> None:
    try:
        empty = not any(directory.iterdir())
    except FileNotFoundError:
        raise ConfigError(
            f"--mlperf-recheck: {directory}: no such directory; name the report directory of a finished run, where its "
            f"{VERDICT_FILE} lies"
        ) from None
    except NotADirectoryError:
        raise ConfigError(
            f"--mlperf-recheck: {directory}: is a file; name the report directory, {directory.parent}"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"--mlperf-recheck: {directory}: cannot be read ({error.strerror}); check its permissions"
        ) from None
    if empty:
        raise ConfigError(
            f"--mlperf-recheck: {directory}: is empty; name the report directory of a finished run, where its "
            f"{VERDICT_FILE} lies"
        )


def _why_none(directory: Path) -> str:
    if (directory / VERDICT_FILE).exists() or (directory / VERDICT_FILE).is_symlink():
        return f"its {VERDICT_FILE} is no regular file; put the file itself there"
    if any((directory / place).is_dir() for place in ("audit", "performance")) and any(_logs(directory)):
        return (
            f"holds query records but no {VERDICT_FILE}: the run was stopped before its end, or the file was removed, "
            "so there is no verdict to recheck; run it again, or put the file back"
        )
    below = sorted(path.parent for path in directory.glob(f"*/{VERDICT_FILE}"))
    if below:
        return f"holds no {VERDICT_FILE}; did you mean {below[0]}?"
    return f"holds no {VERDICT_FILE} and no query records, so it is no run of ours; name its report directory"


def _logs(directory: Path) -> Iterator[Path]:
    yield from directory.glob(f"audit/*/{QUERIES_FILE}")
    yield from directory.glob(f"performance/**/{QUERIES_FILE}")


class _Kind(msgspec.Struct):
    kind: str


def _is_round(verdict: Path) -> bool:
    try:
        return msgspec.json.decode(read_limited(verdict), type=_Kind).kind == "round"
    except (ValueError, RecursionError, OSError, RecordError):
        return False


def _require_sound(stored: VerdictDocument, path: Path) -> None:
    """Raise RecordError for names that cannot be those of tests, and for places outside the run's directory."""
    ids = [audit.id for audit in stored.audits]
    if len(set(ids)) < len(ids) or RECORDS in ids or not all(map(third_party.LABEL.fullmatch, ids)):
        raise RecordError(f"{path}: its audits are called {ids!r:.200}, which cannot be; the file was edited")
    for audit in stored.audits:
        if audit.name and not (is_entry_name(audit.name) and audit.id.endswith(f"-{audit.name}")):
            raise RecordError(f"{path}: {audit.id} is called {audit.name!r:.80}, which cannot be; the file was edited")
        _require_names(audit, path)
        labels = [phase.label for phase in audit.phases]
        if len(set(labels)) < len(labels):
            raise RecordError(
                f"{path}: two phases of {audit.id} are called alike: {labels!r:.200}; the file was edited"
            )
        for phase in audit.phases:
            if not _is_inside(phase.directory):
                raise RecordError(
                    f"{path}: phase {phase.label!r:.80} is said to lie in {phase.directory!r:.200}, outside the run's "
                    "directory; the file was edited"
                )


def _require_names(audit: AuditEntry, path: Path) -> None:
    names = [check.name for check in audit.checks]
    groups = {name.partition("[")[0] for name in names if "[" in name}
    if not names or not all(map(_is_fit, names)) or len(set(names)) < len(names) or groups & set(names):
        raise RecordError(
            f"{path}: the checks of {audit.id} are called {names!r:.200}, which cannot be; the file was edited"
        )


def _is_fit(name: str) -> bool:
    of_pytest = name.startswith("__") or name.partition("[")[0] in _NO_TESTS
    return bool(third_party.CHECK.fullmatch(name)) and name.isascii() and name.isprintable() and not of_pytest


def _is_inside(directory: str) -> bool:
    place = PurePosixPath(directory)
    return bool(place.parts) and not place.is_absolute() and ".." not in place.parts and "\0" not in directory


def _require_regular(path: Path) -> None:
    """Raise RecordError for a link, which may lead anywhere, or a pipe, which may never end."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise RecordError(f"{path}: is no regular file; put the file itself there")
