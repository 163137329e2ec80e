"""Stash keys, in one place so that no file must import another for a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..session.prepare import AuditSession
    from ..session.recheck import Recheck
    from ..session.round import Round
    from ..session.run import AuditRun

#: The runs of this process, in the order of their YAMLs. Absent without a YAML.
RUNS: pytest.StashKey[list[AuditRun]] = pytest.StashKey()
#: The submission trees of --mlperf-results. Absent without any.
ROUNDS: pytest.StashKey[list[Round]] = pytest.StashKey()
#: The finished runs of --mlperf-recheck and the node ids of their verdicts. Absent without any.
RECHECKS: pytest.StashKey[Sequence[tuple[Recheck, str]]] = pytest.StashKey()
#: Present where nothing is collected but the trees and finished runs that were asked for.
ALONE: pytest.StashKey[bool] = pytest.StashKey()
#: What exists once a run. Absent on xdist's workers and under --collect-only.
SESSION: pytest.StashKey[AuditSession] = pytest.StashKey()
