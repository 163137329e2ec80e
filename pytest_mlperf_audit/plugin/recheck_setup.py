"""What the hooks do for --mlperf-recheck."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from ..audits import registry
from ..errors import ConfigError
from ..session.finished import find, refuse_code, require_verdict
from ..session.plan import node_id
from ..session.recheck import Recheck
from . import options
from .keys import RECHECKS
from .recheck_recorder import Rechecker


def before_conftests(config: pytest.Config, directories: Iterable[Path]) -> None:
    """Keep pytest from executing what lies in the runs' directories, and from writing its cache there.

    Raises pytest.UsageError.
    """
    for directory in directories:
        try:
            require_verdict(directory)
            refuse_code(directory)
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from error
        if _caches_in(directory, config):
            for name in ("cacheprovider", "stepwise"):  # as -p no:cacheprovider does
                config.pluginmanager.set_blocked(name)
                config.pluginmanager.set_blocked(f"pytest_{name}")


def _caches_in(directory: Path, config: pytest.Config) -> bool:
    """Whether pytest's cache would lie in a directory."""
    if not config.pluginmanager.hasplugin("cacheprovider"):
        return False
    return options.absolute(Path(config.rootpath, str(config.getini("cache_dir")))).is_relative_to(directory)


def configure(
    config: pytest.Config, directories: Iterable[Path], audits: registry.Registry, *, records: bool
) -> list[Path]:
    """Read the runs' verdicts, and return the files to collect. Raises ConfigError.

    `records`: this is the lone process or the controller, which tells at the end what the tests came to.
    """
    found = [Recheck(find(directory), audits) for directory in directories]
    rechecks = [(one, node_id(one.run.verdict_file, config.rootpath)) for one in found]
    config.stash[RECHECKS] = rechecks
    if records:
        config.pluginmanager.register(Rechecker(rechecks), "mlperf_rechecker")
    return [one.run.verdict_file for one in found]


def header(config: pytest.Config) -> list[str]:
    """Return what the header says of the runs."""
    lines = []
    for recheck, _ in config.stash[RECHECKS]:
        stored = recheck.run.stored
        if stored is None:
            lines.append(f"mlperf-audit: recheck {recheck.directory}: its verdict.json cannot be used")
            continue
        simulated = " (SIMULATED)" if stored.simulated else ""
        audits = ", ".join(entry.id for entry in stored.audits)
        lines.append(f"mlperf-audit: recheck {recheck.directory}: {stored.status}{simulated}: {audits}")
    return [*lines, "mlperf-audit: recheck: nothing is sent, and nothing is written there"]
