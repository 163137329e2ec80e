"""What other plugins need of us: pytest-xdist's workers the session's files, pytest-timeout which tests to leave alone.

Phases have time limits of their own and cannot be sent twice. Our checks are exempt from pytest-timeout's; a user's
test that runs phases has its clock stopped meanwhile, and started anew afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .keys import SESSION
from .nodes import AuditFile

if TYPE_CHECKING:
    from ..session.run import AuditRun

_TIMED: pytest.StashKey[tuple[pytest.Item, Any]] = pytest.StashKey()


def configure_worker(node: Any) -> None:
    """Give a worker, from the controller, the session's directory and clock."""
    session = node.config.stash[SESSION]
    node.workerinput["mlperf_session_dir"] = str(session.directory)
    node.workerinput["mlperf_clock"] = (session.clock.read_ns, session.clock.counted_ns)


def session_dir(config: pytest.Config) -> Path:
    """Return the session's directory, on a worker."""
    return Path(config.workerinput["mlperf_session_dir"])  # type: ignore[attr-defined]


def join_session(run: AuditRun, config: pytest.Config) -> None:
    """Have a worker's run be the one that the controller prepares."""
    from ..runs.clock import Clock

    run.session_dir = session_dir(config)
    run.controller = os.getppid()
    run.clock = Clock(*config.workerinput["mlperf_clock"])  # type: ignore[attr-defined]


def set_timer(item: pytest.Item, settings: Any) -> bool | None:
    """Answer pytest-timeout: True where no clock is to run, None where its own is."""
    if item.getparent(AuditFile):
        return True
    item.config.stash[_TIMED] = (item, settings)
    return None


def forget_timer(item: pytest.Item) -> None:
    """Note that no clock runs any more."""
    if _TIMED in item.config.stash:
        del item.config.stash[_TIMED]


@contextmanager
def without_limit(config: pytest.Config) -> Iterator[None]:
    """Stop the running test's clock while phases run."""
    timed = config.stash.get(_TIMED, None)
    if timed is None:
        yield
        return
    item, settings = timed
    item.ihook.pytest_timeout_cancel_timer(item=item)
    try:
        yield
    finally:
        item.ihook.pytest_timeout_set_timer(item=item, settings=settings)
