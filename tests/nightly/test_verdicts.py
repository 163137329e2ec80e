"""Cheating servers, honest ones that look odd, and plain caches: real sessions of each, none with a wrong verdict.

    pytest -m nightly tests/nightly/test_verdicts.py -n 0

A few sessions a cell; `python -m tests.benchmarks.bench_verdicts` measures rates with many.
"""

from __future__ import annotations

from argparse import Namespace

import pytest

from tests.benchmarks.bench_verdicts import measure
from tests.benchmarks.verdict_cells import GROUPS, Cell

pytestmark = pytest.mark.nightly

SESSIONS = 2
#: What a probe of one prompt, one query at a time, does not meet (docs/benchmarks.md); TEST04 does.
UNMET_ON_VIDEOS = {"not_recent", "under_load", "third_use", "dedup4", "dedup16", "coalesce8"}
OPTIONS = Namespace(sessions=SESSIONS, service_ms=8.0, keep=None, json=None)


def quiet(*groups: str) -> list[object]:
    """Return the cells of groups that run on the machine as it is."""
    cells = [cell for group in groups for cell in GROUPS[group]() if not cell.busy]
    return [pytest.param(cell, id=cell.name.replace("; ", "-").replace(" ", "_")) for cell in cells]


def sessions(cell: Cell):
    found = measure([cell], OPTIONS)
    assert len(found) == SESSIONS
    return found


@pytest.mark.parametrize("cell", quiet("honest", "cold_start", "oddities"))
def test_an_honest_server_does_not_fail(cell):
    for session in sessions(cell):
        assert session.served == 0, session
        assert session.exit in (0, 6), session


@pytest.mark.parametrize("cell", quiet("cheats"))
def test_a_cheat_does_not_pass(cell):
    """One that served nothing may."""
    unmet = cell.kind in UNMET_ON_VIDEOS and (cell.format, cell.order) == ("videogen", "probe")
    for session in sessions(cell):
        assert session.right or unmet, session
        claimed = session.exit == 0 and cell.expected in session.excluded.split(",")
        assert not claimed or unmet or not session.served, session


@pytest.mark.parametrize("cell", quiet("caches"))
def test_a_cache_fails_by_its_name(cell):
    for session in sessions(cell):
        assert session.right, session
