"""The servers of known truth do what their names say: honest ones compute everything, caches do not."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.cheats import CHEATS
from tests.support.lane_process import LaneProcesses, RunningServer
from tests.support.oddities import ODDITIES
from tests.support.plain_caches import MEASURED, PLAIN_CACHES

#: Serve only in what a plain series of requests does not do: come together, or stay away for so long.
TOGETHER = {"coalescing", "dedup4", "dedup16", "coalesce8", "under_load"}
APART = {"not_recent", "detects_repeats"}
SERIES = sorted({*PLAIN_CACHES, *MEASURED, *CHEATS} - TOGETHER - APART - {"prefix"})


@pytest.fixture(scope="module")
def processes() -> Iterator[LaneProcesses]:
    with LaneProcesses() as started:
        yield started


@pytest.fixture
def server(processes, request) -> Iterator[RunningServer]:
    started = processes.start(kind=request.param, service_ms=2, share=0.9)
    yield started
    started.stop()


def ask(server: RunningServer, prompt: str, *, stream: bool = False) -> bytes:
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}], "stream": stream}
    url = f"{server.url}/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return bytes(reply.read())


@pytest.mark.parametrize("server", ["honest", *ODDITIES], indirect=True)
def test_an_honest_server_computes_each_request(server):
    for number in range(3):
        ask(server, "the same words as before, for a server to know")
        ask(server, f"other words, {number} of them, that nobody has asked for", stream=True)
    assert server.stats() == {"received": 6, "computed": 6, "served": 0}


@pytest.mark.parametrize("server", SERIES, indirect=True)
def test_a_cache_does_not(server):
    for _ in range(12):
        ask(server, "the same words as before, for a server to know")
    stats = server.stats()
    assert stats["served"] > 0
    assert stats["computed"] + stats["served"] == stats["received"] == 12


@pytest.mark.parametrize("server", sorted(TOGETHER), indirect=True)
def test_nor_one_that_serves_what_comes_together(server):
    ask(server, "the same words")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask(server, "the same words"), range(24)))
    assert server.stats()["served"] > 0


@pytest.mark.parametrize("server", sorted(APART), indirect=True)
def test_nor_one_that_waits_until_a_repeat_stands_apart(server):
    for number in range(70):
        ask(server, f"words {number}")
    assert server.stats()["served"] == 0
    ask(server, "words 0")
    assert server.stats()["served"] == 1


@pytest.mark.parametrize("server", ["prefix"], indirect=True)
def test_a_prefix_cache_says_how_much_it_knew(server):
    replies = [json.loads(ask(server, f"one two three four five six seven eight {end}")) for end in ("nine", "ten")]
    cached = [reply["usage"]["prompt_tokens_details"]["cached_tokens"] for reply in replies]
    assert cached == [0, 8]
    assert server.stats()["computed"] == 2
