"""Servers in memory of which ids and outputs are known to be honest, or not, and the phases of an audit of them.

They answer on a clock of their own, in no time. identity_rates.py counts how often each of the tables is accused.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pytest_mlperf_audit.audits.probe.identity.identity import Identity, identity
from pytest_mlperf_audit.runs.query import QueryRecord

MISS_S, HIT_S = 0.02, 0.0005


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


class Reply(NamedTuple):
    """An answer, and whether it was kept."""

    id: str
    output: str
    kept: bool = False
    model: str = ""


@dataclass
class Server:
    """Computes what is asked, and answers it under a random id; `kept_by` makes it a cache, by what it returns.

    `says` returns what the headers of a reply to a request quote, instead of the `header` of kept ones.
    The `slow_first` queries take four times as long. `at` is how many requests have come, `in_flight` how many are
    under way.
    """

    seed: int = 1
    kept_by: Callable[[Server, str], Hashable] | None = None
    serves: Callable[[Server, str], bool] = lambda *_: True
    ids: Callable[[Server, str], str] | None = None
    outputs: Callable[[str], str] = lambda request: f"to {request}"
    says: Callable[[Server, str, Reply], str | None] | None = None
    slow_first: int = 0
    cv: float = 0.1
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
        took_s = MISS_S * self.rng.lognormvariate(0, self.cv) * (4 if self.at <= self.slow_first else 1)
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
                reply_id=reply.id or None,
                model=reply.model or None,
                tag=tag,
                cache_header=server.says(server, request, reply) if server.says else header if reply.kept else None,
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


def changed_urls(n: int) -> Iterator[tuple[str, str]]:
    """Yield fresh requests to a changed URL and to the URL as it is, each with its tag."""
    for at in range(n):
        yield f"?n={at} fresh {at}", "u0/U"
        yield f"new {at} fresh {at}", "u0/V"


def audited(server: Server, header: str = "", n_blocks: int = 6, n_urls: int = 0) -> Identity:
    """Return what the replies of an audit show: a reference phase, repeats of row 3, and a probe."""
    rows = [f"row {row}" for row in range(48)]
    server.rng.shuffle(rows)
    nothing = [None] * 48
    phases = [sent(server, rows, 8, nothing, header), sent(server, ["row 3"] * 48, 8, nothing, header)]
    requests, tags = zip(*blocks(n_blocks), *changed_urls(n_urls), strict=True)
    return identity([*phases, sent(server, requests, 1, tags, header)])


def by_request(_: Server, request: str) -> str:
    return request


def few(request: str, many: int = 8) -> int:
    return int(digest(request)[:4], 16) % many


def semantic(_: Server, request: str) -> Hashable:
    return few(request, 40)


def beginning(_: Server, request: str) -> Hashable:
    return request[:10] if request.startswith("head") else request


def canned(seed: int, *, slow_first: int = 0, cv: float = 0.1) -> Server:
    """Return a server of eight replies, each with its id, that a request is dealt one of; it computes all the same."""
    ids, outputs = (lambda _, request: f"id {few(request)}"), (lambda request: f"to {few(request)}")
    return Server(seed, ids=ids, outputs=outputs, slow_first=slow_first, cv=cv)


def drifting(seed: int) -> Server:
    """Return one whose canned replies take ever less time, from five times as long to begin with."""
    server = canned(seed)
    compute = server.answer

    def answer(request: str, now_s: float) -> tuple[Reply, float]:
        reply, took_s = compute(request, now_s)
        return reply, took_s * max(1.0, 5 - server.at / 30)

    server.answer = answer  # type: ignore[method-assign]
    return server


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
    "one reply, no ids": lambda seed: Server(seed, ids=lambda *_: "", outputs=lambda _: "yes"),
    "random ids, CV 60 %, a slow start": lambda seed: Server(seed, cv=0.6, slow_first=40),
    "a few replies": lambda seed: Server(seed, outputs=lambda request: str(few(request))),
    "replies made of a part of the request": canned,
    "the same, CV 60 %": lambda seed: canned(seed, cv=0.6),
    "the same, a slow start": lambda seed: canned(seed, slow_first=40),
    "the same, ever faster": drifting,
    "a constant x-cache: HIT": lambda seed: Server(seed, says=lambda *_: "x-cache: HIT"),
    "a constant x-litellm-cache-key": lambda seed: Server(seed, says=lambda *_: f"x-litellm-cache-key: {digest()}"),
    "a CDN that passes everything": lambda seed: Server(
        seed, says=lambda *_: "x-cache: MISS; cf-cache-status: DYNAMIC"
    ),
    "Varnish that passes everything": lambda seed: Server(seed, says=lambda one, *_: f"age: 0; x-varnish: {one.at}"),
    "one reply, a constant x-cache: HIT": lambda seed: Server(
        seed, outputs=lambda _: "yes", says=lambda *_: "x-cache: HIT"
    ),
    "no ids, one reply, a constant x-cache: HIT": lambda seed: Server(
        seed, ids=lambda *_: "", outputs=lambda _: "yes", says=lambda *_: "x-cache: HIT"
    ),
    "no ids, a few replies, a constant x-litellm-cache-key": lambda seed: Server(
        seed,
        ids=lambda *_: "",
        outputs=lambda request: str(few(request)),
        says=lambda *_: f"x-litellm-cache-key: {digest()}",
    ),
    "a few replies, a constant x-litellm-cache-key": lambda seed: Server(
        seed, outputs=lambda request: str(few(request)), says=lambda *_: f"x-litellm-cache-key: {digest()}"
    ),
}


def one_entry(*_: object) -> Hashable:
    """Return the key of a cache that looks at something that all requests have in common."""
    return "audio.wav"


def without_ids(*_: object) -> str:
    """Return no id."""
    return ""


def litellm(_: Server, __: str, reply: Reply) -> str | None:
    """Quote the headers of LiteLLM: a hit's key, nothing else."""
    return f"x-litellm-cache-key: {digest()}{digest()}" if reply.kept else None


def nginx(_: Server, __: str, reply: Reply) -> str | None:
    """Quote the header that nginx is made to send by custom."""
    return f"x-cache-status: {'HIT' if reply.kept else 'MISS'}"


CACHES: dict[str, Callable[[int], Server]] = {
    "semantic, 40 entries": lambda seed: Server(seed, kept_by=semantic),
    "keyed on a prompt's beginning": lambda seed: Server(seed, kept_by=beginning),
    "serves under load": lambda seed: Server(seed, kept_by=by_request, serves=lambda one, _: one.in_flight >= 4),
    "serves the first 96 requests": lambda seed: Server(seed, kept_by=by_request, serves=lambda one, _: one.at <= 96),
    "serves what is not recent": lambda seed: Server(
        seed, kept_by=by_request, serves=lambda one, request: request not in one.recent[-40:]
    ),
    "serves three hits in ten": lambda seed: Server(
        seed, kept_by=by_request, serves=lambda one, _: one.rng.random() < 0.3
    ),
    "one entry for all, as LiteLLM tells": lambda seed: Server(
        seed, kept_by=one_entry, ids=without_ids, outputs=lambda _: "yes", says=litellm
    ),
    "keyed on meaning, as nginx would tell": lambda seed: Server(
        seed, kept_by=lambda _, request: few(request, 60), ids=without_ids, says=nginx
    ),
}
