"""Several caches behind one random balancer, each of which learns for itself."""

from __future__ import annotations

from itertools import pairwise

import pytest

LONG = " ".join(f"word{at}" for at in range(40))
N = 40


@pytest.mark.parametrize(
    ("cache", "computed", "hits"),
    [
        ({"cache": "none"}, N, 0),
        ({"cache": "exact"}, 3, N - 3),
        ({"cache": "exact", "cache_lookup": "arrival"}, 3, N - 3),
        ({"cache": "exact", "admit_after": 2}, 6, N - 6),
        ({"cache": "url"}, 3, N - 3),
        ({"cache": "near_duplicate"}, 3, N - 3),
        ({"cache": "semantic"}, 3, N - 3),
        ({"cache": "prefix"}, N, N - 3),
        ({"cache": "coalesce"}, N, 0),
    ],
    ids=str,
)
def test_each_replica_computes_a_request_for_itself(simulated, cache, computed, hits):
    client = simulated(replicas=3, **cache)
    ids = [client.video(LONG).json()["video_id"] for _ in range(N)]
    assert client.counts() == (N, computed, hits, 0)
    assert sum(row[2] for row in client.log()) == computed
    if cache["cache"] in {"exact", "url"}:
        assert len(set(ids)) == computed, "as many replies as there were computations, and each of them replayed"
        assert sum(one != other for one, other in pairwise(ids)) > N / 3, "no replica is stuck to"
    else:
        assert len(set(ids)) == N


def test_coalescing_ends_at_the_replica(simulated):
    client = simulated(cache="coalesce", replicas=3, lanes=16, service_time_ms=800.0)
    client.at_once([LONG] * 16)
    assert client.counts() == (16, 3, 13, 0)


def test_the_lanes_are_shared(simulated):
    client = simulated(cache="exact", replicas=4, lanes=1, service_time_ms=100.0)
    client.at_once([f"scene {at}" for at in range(6)])
    stats = client.stats()
    assert (stats["max_in_flight"], stats["max_busy_lanes"], stats["computed"]) == (6, 1, 6)


def test_the_seed_decides_who_goes_where(simulated):
    def computed(seed: int) -> list[bool]:
        client = simulated(alone=True, cache="exact", replicas=5, seed=seed)
        for at in range(30):
            client.video(f"scene {at % 3}")
        return [row[2] for row in client.log()]

    assert computed(1) == computed(1) != computed(2)


def test_a_reset_empties_every_replica(simulated):
    client = simulated(cache="exact", replicas=3)
    for _ in range(N):
        client.video(LONG)
    client.send("POST", "/simulated/reset")
    for _ in range(N):
        client.video(LONG)
    assert client.counts() == (N, 3, N - 3, 0)
