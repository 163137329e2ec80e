"""pytest-timeout's limits beside phases, which have time limits of their own and cannot be sent twice.

Our checks are exempt. A user's test that runs phases has its clock stopped meanwhile, and started anew afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .audit_nodes import AuditFile

_TIMED: pytest.StashKey[tuple[pytest.Item, Any]] = pytest.StashKey()


def set_timer(item: pytest.Item, settings: Any) -> bool | None:
    """Answer pytest-timeout: True where no clock is to run, None where its own is."""
    if item.getparent(AuditFile):
        return True
    item.config.stash[_TIMED] = (item, settings)
    return None


def forget(item: pytest.Item) -> None:
    """Note that no clock runs any more."""
    if _TIMED in item.config.stash:
        del item.config.stash[_TIMED]


@contextmanager
def lifted(config: pytest.Config) -> Iterator[None]:
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
