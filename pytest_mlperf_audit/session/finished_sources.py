"""What a recheck reads beside the verdict: the resolved configuration, and where phases lie. None of it is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from pydantic import ConfigDict

from ..audits import registry
from ..audits.contract import Audit
from ..config.benchmark import Benchmark
from ..config.block import AuditBlock
from ..config.load import load_config
from ..errors import ConfigError, RecordError
from ..records.store import PHASE_FILE, QUERIES_FILE

CONFIG_FILE: Final = "config.yaml"


class _Unknown(AuditBlock):
    """The block of an audit that nobody offers here: it cannot be judged, and hinders no other from being so."""

    model_config = ConfigDict(extra="allow")


def read_config(directory: Path, audits: registry.Registry, ids: Iterable[str]) -> Benchmark:
    """Return the configuration as it was resolved; `ids` are the audits that the verdict has. Raises RecordError."""
    unknown: dict[str, type[AuditBlock]] = {one: _Unknown for one in ids if one not in {**audits, **registry.runs()}}
    path = directory / CONFIG_FILE
    _require_regular(path)
    try:
        return load_config(path, registry.models(audits) | unknown, environ=None).benchmark
    except ConfigError as error:
        raise RecordError(f"{path}: cannot be used, so nothing can be judged by it ({error})") from error


def audit_of(
    audit_id: str, audits: registry.Registry, config: Callable[[], Benchmark], directory: Path
) -> tuple[Audit[Any], AuditBlock]:
    """Return an audit and what the configuration asks of it. Raises RecordError where either is not there."""
    if audit_id in registry.runs():
        return registry.runs()[audit_id]
    if audit_id not in audits:
        raise RecordError(
            f"audit {audit_id} is not known here, so its records cannot be judged; known are "
            f"{', '.join(sorted(audits))}. Run where the plugin or conftest.py that offers it is loaded"
        )
    audit = audits[audit_id]
    for cfg in config().audit:
        if cfg.test in (audit.id, *audit.aliases):
            return audit, cfg
    raise RecordError(
        f"{directory / CONFIG_FILE}: asks for no audit {audit_id}, which the verdict has; one of them was edited"
    )


def place_of(directory: Path, phase_directory: str) -> Path:
    """Return where a phase lies. Raises RecordError where links or oddities stand in the place of records."""
    place = directory / phase_directory
    for folder in (place, *place.parents):
        if folder == directory:
            break
        if folder.is_symlink():
            raise RecordError(f"{folder}: is a symbolic link; put the directory of the records itself there")
    for path in (place / PHASE_FILE, place / QUERIES_FILE):
        _require_regular(path)
    return place


def _require_regular(path: Path) -> None:
    """Raise RecordError for a link, which may lead anywhere, or a pipe, which may never end."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise RecordError(f"{path}: is no regular file; put the file itself there")
