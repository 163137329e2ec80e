"""Caches by what their keys hold: the last word, the URL, the query string; and when they admit a reply."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

CHAT = "/v1/chat/completions"
VIDEO = "/v1/videos/generations"
LOOKUPS = ("arrival", "served")


def body(prompt: str, **fields: Any) -> bytes:
    return json.dumps({"prompt": prompt, **fields}).encode()


def content(answered: Any) -> str:
    return str(answered.json()["choices"][0]["message"]["content"])


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_a_near_duplicate_gets_the_answer_under_a_new_id(simulated, lookup):
    client = simulated(cache="near_duplicate", cache_lookup=lookup)
    replies = [
        client.chat(prompt) for prompt in ("a red kite", "a red kite", "a red boat", "a  red kite", "the red kite")
    ]
    texts = [content(reply) for reply in replies]
    assert texts[0] == texts[1] == texts[2]
    assert len({texts[0], texts[3], texts[4]}) == 3, "nothing but the last word may differ"
    assert len({reply.json()["id"] for reply in replies}) == 5
    assert client.counts() == (5, 3, 2, 0)


def test_near_duplicates_are_told_apart_by_format_and_model_and_length(simulated):
    client = simulated(cache="near_duplicate")
    client.chat("a red kite")
    client.chat("a red")
    client.chat("a")
    client.chat("b")
    client.chat("a red kite", model="other")
    client.video("a red kite")
    assert client.counts() == (6, 6, 0, 0)
    # It reads the request rather than its bytes, so what else they say is no matter.
    client.chat("a red boat", temperature=0.5)
    client.send("POST", f"{VIDEO}?n=1", body("a red boat"))
    assert client.counts() == (8, 6, 2, 0)


def test_the_url_alone_is_the_key(simulated):
    client = simulated(cache="url")
    first, second = client.video("a red kite"), client.video("a blue boat")
    assert first.body == second.body, "replayed to whatever is sent there, id and all"
    other = client.send("POST", f"{VIDEO}?n=1", body("a red kite"))
    assert other.status == 200
    assert other.body != first.body
    assert client.send("POST", f"{VIDEO}?n=1", body("a green tree")).body == other.body
    assert client.counts() == (4, 2, 2, 0)


def test_a_url_cache_replays_the_form_of_the_first_reply(simulated):
    client = simulated(cache="url")
    first, streamed, other_model = client.chat("p"), client.chat("q", stream=True), client.chat("r", model="n")
    assert streamed.media_type == first.media_type == "application/json"
    assert first.body == streamed.body == other_model.body
    client.send("POST", "/simulated/reset")
    first, whole = client.chat("p", stream=True), client.chat("q")
    assert whole.media_type == "text/event-stream"
    assert whole.body == first.body
    assert client.counts() == (2, 1, 1, 0)


def test_the_query_string_is_part_of_an_exact_key(simulated):
    client = simulated(cache="exact")
    paths = (VIDEO, f"{VIDEO}?n=1", f"{VIDEO}?n=2", f"{VIDEO}?n=2", VIDEO)
    replies = [client.send("POST", path, body("a red kite")) for path in paths]
    assert replies[0].body == replies[4].body
    assert replies[2].body == replies[3].body
    assert client.counts() == (5, 3, 2, 0)


@pytest.mark.parametrize("cache", ["none", "exact", "coalesce", "prefix", "semantic", "near_duplicate", "url"])
def test_an_unknown_query_string_is_no_obstacle(simulated, cache):
    client = simulated(cache=cache)
    for path in (f"{VIDEO}?n=5eed", f"{VIDEO}?n=%F0%9F%AA%81&m", f"{VIDEO}?n=%ff"):
        answered = client.send("POST", path, body(path))
        assert answered.status == 200
        assert answered.json()["video_path"].endswith(".mp4")
    assert client.counts() == (3, 3, 0, 0)


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("cache", ["exact", "url"])
def test_a_reply_is_admitted_when_it_was_computed_often_enough(simulated, cache, lookup):
    client = simulated(cache=cache, cache_lookup=lookup, admit_after=3)
    replies = [client.video("a red kite").body for _ in range(6)]
    assert len(set(replies[:3])) == 3
    assert set(replies[3:]) == {replies[2]}, "the reply that was stored is replayed"
    assert client.counts() == (6, 3, 3, 0)
    client.send("POST", "/simulated/reset")
    client.video("a red kite")
    assert client.counts() == (1, 1, 0, 0)
    client.video("a red kite")
    assert client.counts() == (2, 2, 0, 0), "a reset forgets what was counted, too"


def test_near_duplicates_count_together_towards_admission(simulated):
    client = simulated(cache="near_duplicate", admit_after=2)
    texts = [content(client.chat(f"a red {word}")) for word in ("kite", "boat", "tree")]
    assert texts[0] != texts[1] == texts[2]
    assert client.counts() == (3, 2, 1, 0)


def test_failures_do_not_count_towards_admission(simulated):
    client = simulated(cache="exact", admit_after=2, error_rate=0.5, seed=1)
    statuses = [client.video("a red kite").status for _ in range(40)]
    received, computed, hits, errors = client.counts()
    assert errors == statuses.count(500) > 0
    assert statuses[-1] == 200
    assert (received, computed, hits) == (40, 2, 40 - 2 - errors)


def test_second_use_admission_passes_a_cold_and_a_once_warmed_run(simulated):
    client = simulated(cache="exact", admit_after=2)
    prompts = [f"scene {at}" for at in range(6)]
    for expected in ((6, 6, 0, 0), (12, 12, 0, 0), (18, 12, 6, 0)):
        client.at_once(prompts)
        assert client.counts() == expected


def test_bytes_outside_ascii_in_a_url_do_no_harm(simulated):
    client = simulated(cache="exact")
    with socket.create_connection(client.address) as connection:
        connection.sendall(
            b"POST %s?n=\xff\xfe HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n" % VIDEO.encode()
            + b'{"prompt": "p"}'
        )
        assert connection.recv(12).startswith(b"HTTP/1.")
    assert client.video("p").status == 200
