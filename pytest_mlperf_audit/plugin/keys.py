"""Stash keys, in one place so that no file must import another for a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .run import AuditRun
    from .session import AuditSession

#: The runs of this process, in the order of their YAMLs. Absent without a YAML.
RUNS: pytest.StashKey[list[AuditRun]] = pytest.StashKey()
#: What exists once a run. Absent on xdist's workers and under --collect-only.
SESSION: pytest.StashKey[AuditSession] = pytest.StashKey()
