"""Every kind of cache against the server's own count of what it computed."""

from __future__ import annotations

import json
from typing import Any

import pytest

LONG = " ".join(f"word{at}" for at in range(40))
CACHES: list[dict[str, Any]] = [
    {"cache": "none"},
    {"cache": "exact", "cache_lookup": "arrival"},
    {"cache": "exact", "cache_lookup": "served"},
    {"cache": "coalesce"},
    {"cache": "prefix"},
    {"cache": "semantic"},
    {"cache": "semantic", "cache_lookup": "arrival"},
    {"cache": "near_duplicate"},
    {"cache": "near_duplicate", "cache_lookup": "arrival"},
]


@pytest.mark.parametrize("cache", CACHES, ids=str)
def test_distinct_prompts_are_all_computed(simulated, cache):
    client = simulated(**cache)
    far_apart = [" ".join(f"{letter}{at}" for letter in "abcdefgh") for at in range(16)]
    assert {answered.status for answered in client.at_once(far_apart)} == {200}
    assert client.counts() == (16, 16, 0, 0)


@pytest.mark.parametrize(
    ("cache", "computed"),
    list(zip(CACHES, [6, 1, 1, 6, 6, 1, 1, 1, 1], strict=True)),
    ids=str,
)
def test_repeats_one_after_the_other(simulated, cache, computed):
    client = simulated(**cache)
    answers = [client.video(LONG) for _ in range(6)]
    assert client.stats()["computed"] == computed
    ids = {answered.json()["video_id"] for answered in answers}
    bodies = {answered.body for answered in answers}
    if cache["cache"] == "exact":
        assert len(bodies) == 1, "a real response cache replays the bytes"
    else:
        assert len(ids) == len(bodies) == 6, "every other kind answers under a new id"


@pytest.mark.parametrize(
    ("cache", "computed", "hits"),
    [
        ({"cache": "none"}, 16, 0),
        ({"cache": "exact", "cache_lookup": "arrival"}, 16, 0),
        ({"cache": "exact", "cache_lookup": "served"}, 4, 12),
        ({"cache": "coalesce"}, 1, 15),
        ({"cache": "semantic"}, 4, 12),
        ({"cache": "near_duplicate"}, 4, 12),
        ({"cache": "url"}, 4, 12),
        ({"cache": "exact", "admit_after": 2}, 5, 11),
    ],
    ids=str,
)
def test_repeats_all_at_once(simulated, cache, computed, hits):
    # The service time leaves a slow machine ample time to have all sixteen in flight together.
    client = simulated(service_time_ms=800.0, lanes=4 if computed < 16 else 16, **cache)
    answers = client.at_once([LONG] * 16)
    assert {answered.status for answered in answers} == {200}
    assert client.counts() == (16, computed, hits, 0)
    assert client.stats()["max_in_flight"] == 16
    assert sum(row[2] for row in client.log()) == computed


def test_a_coalescer_forgets_and_a_reset_empties_a_cache(simulated):
    client = simulated(cache="exact")
    first = client.video("a b c")
    assert client.video("a b c").body == first.body
    assert client.send("POST", "/simulated/reset").status == 200
    assert (client.counts(), client.log()) == ((0, 0, 0, 0), [])
    assert client.stats()["first_received_ns"] is None
    assert client.video("a b c").json()["video_id"] != first.json()["video_id"]
    assert client.counts() == (1, 1, 0, 0)


def test_an_exact_cache_is_told_apart_by_any_byte_and_by_the_path(simulated):
    client = simulated(cache="exact")
    client.video("a b c")
    client.video("a b c", user="me")
    client.send("POST", "/v1/videos/generations", b'{"prompt" : "a b c"}')
    assert client.counts() == (3, 3, 0, 0)
    both = json.dumps({"prompt": "a b", "messages": [{"role": "user", "content": "a b"}]}).encode()
    client.send("POST", "/v1/videos/generations", both)
    client.send("POST", "/v1/chat/completions", both)
    assert client.counts() == (5, 5, 0, 0)


def test_a_semantic_cache_gives_a_near_prompt_the_answer_of_another(simulated):
    client = simulated(cache="semantic")
    words = LONG.split()
    texts = [
        client.chat(prompt).json()["choices"][0]["message"]["content"]
        for prompt in (LONG, f"{LONG} 5eed", " ".join(reversed(words)), " ".join(words[:20]))
    ]
    assert texts[0] == texts[1] == texts[2] != texts[3]
    assert client.counts() == (4, 2, 2, 0)


def test_a_prefix_cache_reports_cached_tokens_and_computes_all_the_same(simulated):
    client = simulated(cache="prefix")
    cached = [
        client.chat(prompt).json()["usage"]["prompt_tokens_details"]["cached_tokens"]
        for prompt in (LONG, LONG, f"{LONG} 5eed", f"5eed {LONG}", "word0 word1 word2 word3 other", "word0 word1")
    ]
    assert cached == [0, 36, 40, 0, 4, 0]
    assert client.counts() == (6, 6, 3, 0)


def test_the_count_of_cached_tokens_is_nought_without_a_prefix_cache(simulated):
    client = simulated(cache="exact")
    replies = [client.chat(LONG) for _ in range(2)]
    assert replies[0].body == replies[1].body
    assert replies[1].json()["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


@pytest.mark.parametrize("cache", ["exact", "semantic", "coalesce", "near_duplicate", "url"])
def test_failures_are_not_cached(simulated, cache):
    client = simulated(cache=cache, error_rate=1.0)
    assert [client.video("a b c").status for _ in range(3)] == [500] * 3
    assert client.counts() == (3, 0, 0, 3)


def test_a_streamed_hit_replays_every_event(simulated):
    client = simulated(cache="exact", service_time_ms=20.0)
    first, second = (client.chat(LONG, stream=True) for _ in range(2))
    assert first.body == second.body
    assert first.body.count(b"data: ") == 1 + 16 + 1 + 1
    assert client.counts() == (2, 1, 1, 0)


@pytest.mark.parametrize("cache", [*CACHES, {"cache": "exact", "admit_after": 2}], ids=str)
def test_the_counters_account_for_every_request_whatever_fails(simulated, cache):
    client = simulated(lanes=2, error_rate=0.3, **cache)
    statuses = [answered.status for answered in client.at_once([f"{LONG} {at % 5}" for at in range(30)])]
    received, computed, hits, errors = client.counts()
    assert (received, errors) == (30, statuses.count(500))
    reused = cache["cache"] == "prefix"
    assert computed + errors + (0 if reused else hits) == 30
    assert sum(row[2] for row in client.log()) == computed
