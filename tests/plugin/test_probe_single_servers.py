"""The single design against real servers: replicas of unequal speed, replies that stall, and a cache with stalls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.lane_process import LaneProcesses

#: Sessions of each kind: a cache has to be found in all of them, an honest server may be accused in one of a hundred.
SESSIONS = 2
#: Keys of test04, taken out.
NO_TEST04 = dict.fromkeys(("samples", "sample_index", "threshold", "probe"))


@pytest.fixture(scope="module")
def processes() -> Iterator[LaneProcesses]:
    with LaneProcesses() as started:
        yield started


def words(audit, processes: LaneProcesses, **options) -> list[tuple[int, str]]:
    """Run the probe alone so many times, each against a server of its own; return exit statuses and figures."""
    found = []
    for number in range(SESSIONS):
        server = processes.start(service_ms=10, seed=number, **options)
        audit.config(server.url, audit={"test": "cache_probe", "only": True, **NO_TEST04})
        result = audit.run()
        found.append((int(result.ret), audit.verdict()["audits"][-1]["figures"]["probe"]))
        server.stop()
    return found


@pytest.mark.parametrize("speeds", [(1.0, 0.67), (1.0, 0.67, 0.67)], ids=["two", "three"])
def test_replicas_that_a_hash_picks_are_no_cache(audit, processes, speeds):
    found = words(audit, processes, kind="hashed_replicas", speeds=speeds)
    assert sum(word == "CACHE" for _, word in found) <= 1


def test_stalls_alone_are_no_cache(audit, processes):
    found = words(audit, processes, stalls=0.2)
    assert sum(word == "CACHE" for _, word in found) <= 1


def test_stalls_do_not_hide_a_cache(audit, processes):
    assert words(audit, processes, kind="exact", stalls=0.2) == [(1, "CACHE")] * SESSIONS
