"""What ids, outputs and headers prove, leave in doubt, or do not tell: on records of servers made up here."""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from pytest_mlperf_audit.audits.probe.identity import Identity, identity
from pytest_mlperf_audit.runs.query import QueryRecord

MISS_S, HIT_S = 0.02, 0.0005


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


class Reply(NamedTuple):
    """An answer, and whether it was kept."""

    id: str
    output: str
    kept: bool = False


@dataclass
class Server:
    """Computes what is asked, and answers it under a random id; `kept_by` makes it a cache, by what it returns.

    `at` is how many requests have come, `in_flight` how many are under way.
    """

    seed: int = 1
    kept_by: Callable[[Server, str], Hashable] | None = None
    serves: Callable[[Server, str], bool] = lambda *_: True
    ids: Callable[[Server, str], str] | None = None
    outputs: Callable[[str], str] = lambda request: f"to {request}"
    slow_first: int = 0
    in_flight: int = 0
    at: int = 0
    now_s: float = 0.0
    recent: list[str] = field(default_factory=list)
    entries: dict[Hashable, tuple[float, Reply]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def answer(self, request: str, now_s: float) -> tuple[Reply, float]:
        """Return a reply and the seconds that it takes."""
        self.now_s = now_s
        self.at += 1
        willing = self.serves(self, request)
        self.recent.append(request)
        key = self.kept_by(self, request) if self.kept_by else None
        if key is not None and willing and key in self.entries and self.entries[key][0] <= now_s:
            return self.entries[key][1]._replace(kept=True), HIT_S * self.rng.uniform(0.8, 1.2)
        took_s = MISS_S * self.rng.lognormvariate(0, 0.1) * (4 if self.at <= self.slow_first else 1)
        own = self.ids(self, request) if self.ids else f"{self.rng.getrandbits(64):x}"
        reply = Reply(own, self.outputs(request))
        if key is not None and key not in self.entries:
            self.entries[key] = (now_s + took_s, reply)
        return reply, took_s


def sent(
    server: Server, requests: Iterable[str], at_once: int, tags: Iterable[str | None], header: str = ""
) -> list[QueryRecord]:
    """Return the records of a phase; `header` is that of a kept reply."""
    records: list[QueryRecord] = []
    running: list[float] = []
    now_s = server.now_s + 1
    began_s = now_s
    for query, (request, tag) in enumerate(zip(requests, tags, strict=False)):
        if len(running) == at_once:
            now_s = heapq.heappop(running)
        server.in_flight = len(running) + 1
        reply, took_s = server.answer(request, now_s)
        heapq.heappush(running, now_s + took_s)
        records.append(
            QueryRecord(
                query=query,
                sample=0,
                issued_ns=round((now_s - began_s) * 1e9),
                completed_ns=round((now_s + took_s - began_s) * 1e9),
                request=digest(request),
                reply=digest(reply.output),
                reply_id=reply.id,
                tag=tag,
                cache_header=header if reply.kept else None,
            )
        )
    server.now_s = now_s + max(running, default=0.0)
    return records


def blocks(n: int) -> Iterator[tuple[str, str]]:
    """Yield the requests of groups, each with its tag: of made-up prompts, and of rows of the data set."""
    for block in range(n):
        head = f"head{block} text{block}"
        yield f"{head} one", f"m{block}/prime.a"
        for arm, ending in (("R.a", "one"), ("Y", "two"), ("Y", "three"), ("X", "all new")):
            yield f"{head} {ending}", f"m{block}/{arm}"
        yield f"lead{block} text{block} one", f"m{block}/P"
        yield f"other{block} words{block}", f"m{block}/S"
        for arm, request in (("prime", f"row {block}"), ("R", f"row {block}"), ("P", f"new{block} row {block}")):
            yield request, f"d{block}/{arm}"


def audited(server: Server, header: str = "", n_blocks: int = 6) -> Identity:
    """Return what the replies of an audit show: a reference phase, repeats of row 3, and a probe."""
    rows = [f"row {row}" for row in range(48)]
    server.rng.shuffle(rows)
    nothing = [None] * 48
    phases = [sent(server, rows, 8, nothing, header), sent(server, ["row 3"] * 48, 8, nothing, header)]
    requests, tags = zip(*blocks(n_blocks), strict=True)
    return identity([*phases, sent(server, requests, 1, tags, header)])


def by_request(_: Server, request: str) -> str:
    return request


def few(request: str, many: int = 8) -> int:
    return int(digest(request)[:4], 16) % many


HONEST: dict[str, Callable[[int], Server]] = {
    "random ids": Server,
    "ids of the request": lambda seed: Server(seed, ids=lambda _, request: digest(request)),
    "ids of the request and one of four servers": lambda seed: Server(
        seed, ids=lambda server, request: digest(request, server.rng.randrange(4) if server.in_flight > 1 else 0)
    ),
    "ids of the request and the second": lambda seed: Server(
        seed, ids=lambda server, request: digest(request, int(server.now_s))
    ),
    "few ids": lambda seed: Server(seed, ids=lambda server, _: str(server.rng.randrange(10))),
    "ids of the clock, one reply": lambda seed: Server(
        seed, ids=lambda server, _: str(int(server.now_s * 20)), outputs=lambda _: "yes"
    ),
    "one reply": lambda seed: Server(seed, outputs=lambda _: "yes"),
    "a few replies": lambda seed: Server(seed, outputs=lambda request: str(few(request))),
}


#: Honest servers whose ids may leave a doubt: what they show is what a cache that serves now and then shows.
DOUBTFUL = {"ids of the request and the second"}


@pytest.mark.parametrize("name", HONEST)
def test_honest_servers_are_not_accused(name):
    for seed in range(30):
        found = audited(HONEST[name](seed))
        assert not found.proofs
        assert not found.doubt or name in DOUBTFUL


@pytest.mark.parametrize("slow_first", [0, 40])
def test_replies_made_of_a_part_of_the_request_are_no_proof(slow_first):
    """Eight canned replies, each with its id: as far as can be seen they may be kept, and they are no faster."""
    for seed in range(100):
        server = Server(
            seed, ids=lambda _, request: f"id {few(request)}", outputs=lambda r: f"to {few(r)}", slow_first=slow_first
        )
        found = audited(server)
        assert not found.proofs
        assert "bear the id and the output of an earlier reply to another request" in found.doubt


def test_one_reply_under_one_id_is_in_doubt():
    found = audited(Server(ids=lambda *_: "id", outputs=lambda _: "yes"))
    assert not found.proofs
    assert found.doubt.startswith("replies to 90 different requests are one and the same, id and output")


def semantic(_: Server, request: str) -> Hashable:
    return few(request, 40)


def beginning(_: Server, request: str) -> Hashable:
    return request[:10] if request.startswith("head") else request


@pytest.mark.parametrize(
    ("kind", "kept_by"), [("semantic", semantic), ("near_duplicate", beginning)], ids=["semantic", "near_duplicate"]
)
def test_replies_to_other_requests_that_come_faster_are_proof(kind, kept_by):
    found = audited(Server(kept_by=kept_by), n_blocks=12)
    assert list(found.proofs) == [kind]
    assert "bear the id and the output of an earlier reply to another request" in found.proofs[kind]
    assert " took 0.5" in found.proofs[kind]
    assert found.doubt == ""


def test_replies_that_a_cache_knew_before_are_in_doubt():
    """All that is sent was answered before, so that nothing is slower than what is borrowed."""
    server = Server(kept_by=semantic)
    server.entries = {key: (0.0, Reply(f"id {key}", f"to {key}")) for key in range(40)}
    found = audited(server)
    assert not found.proofs
    assert "a cache that knew these requests before" in found.doubt


def test_a_header_proves_what_times_do_not():
    server = Server(kept_by=semantic)
    server.entries = {key: (0.0, Reply(f"id {key}", f"to {key}")) for key in range(39)}
    assert audited(server, "x-cache: HIT").doubt, "the first of each kind says so, too"
    assert list(audited(Server(kept_by=semantic), "x-cache: HIT").proofs) == ["semantic"]


@pytest.mark.parametrize(
    "serves",
    [
        lambda server, _: server.in_flight >= 4,
        lambda server, _: server.at <= 96,
        lambda server, request: request not in server.recent[-40:],
    ],
    ids=["under load", "at first", "what is not recent"],
)
def test_replays_beside_requests_that_are_computed_again_are_proof(serves):
    found = audited(Server(kept_by=by_request, serves=serves))
    assert list(found.proofs) == ["response"]
    assert "while others no less identical have ids of their own" in found.proofs["response"]


def test_a_single_replay_is_a_doubt():
    server = Server(kept_by=by_request, serves=lambda server, request: server.at == 48 + 48 + 8 and request == "row 0")
    found = audited(server)
    assert not found.proofs
    assert found.doubt.startswith("1 of 66 requests that had been answered before got the same id and output once more")


def test_requests_answered_together_are_a_doubt():
    """What comes while an identical request is under way gets its reply; all else is computed."""
    under_way: dict[str, tuple[float, str]] = {}

    def ids(server: Server, request: str) -> str:
        until_s, own = under_way.get(request, (0.0, ""))
        if until_s <= server.now_s:
            own = f"{server.rng.getrandbits(64):x}"
            under_way[request] = (server.now_s + MISS_S / 2, own)
        return own

    found = audited(Server(ids=ids))
    assert not found.proofs
    assert "requests were coalesced" in found.doubt


def test_headers_that_tell_repeats_from_fresh_requests_are_proof():
    def of_request(_: Server, request: str) -> str:
        return digest(request)

    found = audited(Server(kept_by=by_request, ids=of_request), "x-cache: HIT")
    assert found.proofs["response"].startswith(
        "12 of 12 exact repeats say in their headers that they come from a cache"
    )
    assert audited(Server(kept_by=by_request, ids=of_request), "x-cache: MISS") == Identity()


def test_replies_without_ids_tell_nothing():
    record = QueryRecord(query=0, sample=0, issued_ns=0, completed_ns=1, request="0" * 32)
    assert identity([[record]] * 40) == Identity()
    assert identity([]) == Identity()
