"""Caches as they are built in good faith, before or inside the lanes of lane_server.py, one for each kind."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Hashable
from typing import Any, ClassVar

from .lane_server import Answer, Ask, Behaviour, Exchange, LaneServer

_SEMANTIC = 0.7


class Exact(Behaviour):
    """A response cache before the server: a hit needs no lane. The others change its key, or when it serves."""

    def __init__(self, server: LaneServer) -> None:
        super().__init__(server)
        self.store: dict[Hashable, Answer] = {}

    def key(self, ask: Ask) -> Hashable:
        return ask.exact

    def serves(self, ask: Ask, key: Hashable) -> bool:  # noqa: ARG002
        """Return whether a kept reply is served; called for every request, also where nothing is kept."""
        return True

    def keeps(self, key: Hashable) -> bool:  # noqa: ARG002
        """Return whether a reply that was computed is kept."""
        return True

    async def answer(self, ask: Ask, exchange: Exchange) -> Answer:
        key = self.key(ask)
        willing = self.serves(ask, key)
        if key in self.store and willing:
            return await self.hit(ask, key)
        answer = await self.server.compute(ask, exchange)
        if self.keeps(key):
            self.store[key] = answer
        return answer

    async def hit(self, ask: Ask, key: Hashable) -> Answer:  # noqa: ARG002
        return await self.server.serve_kept(self.store[key])


class Served(Exact):
    """It is looked up when a lane is free."""

    async def answer(self, ask: Ask, exchange: Exchange) -> Answer:
        async with self.server.lanes:
            key = self.key(ask)
            if key in self.store:
                return await self.hit(ask, key)
            seconds = self.seconds(ask) * self.server.draw()
            self.store[key] = await self.server.work(ask, exchange, seconds)
            return self.store[key]


class NearDuplicate(Exact):
    """All but the last word is looked at."""

    def key(self, ask: Ask) -> Hashable:
        return tuple(ask.words[:-1])


class UrlKeyed(Exact):
    """Only the URL is looked at."""

    def key(self, ask: Ask) -> Hashable:
        return ask.url


class OneInThree(Exact):
    """Three caches behind a balancer."""

    def key(self, ask: Ask) -> Hashable:
        return self.server.rng.randrange(3), ask.exact


class OneSecond(Exact):
    """What is kept is forgotten after a second."""

    def __init__(self, server: LaneServer) -> None:
        super().__init__(server)
        self.until_s: dict[Hashable, float] = {}

    def serves(self, ask: Ask, key: Hashable) -> bool:  # noqa: ARG002
        return time.monotonic() < self.until_s.get(key, 0.0)

    def keeps(self, key: Hashable) -> bool:
        self.until_s[key] = time.monotonic() + 1.0
        return True


class Semantic(Exact):
    """A request whose bag of words is near that of one before it is answered as that one was."""

    least = _SEMANTIC

    def __init__(self, server: LaneServer) -> None:
        super().__init__(server)
        self.bags: list[tuple[Counter[str], float, Hashable]] = []

    def key(self, ask: Ask) -> Hashable:
        bag = Counter(word.lower().strip(".,?!") for word in ask.words)
        norm = math.sqrt(sum(count * count for count in bag.values()))
        for other, its_norm, key in self.bags:
            dot = sum(count * other[word] for word, count in bag.items())
            if dot >= self.least * norm * its_norm:
                return key
        self.bags.append((bag, norm, ask.prompt))
        return ask.prompt


class Coalescing(Behaviour):
    """A request equal to one in flight waits for its reply."""

    def __init__(self, server: LaneServer) -> None:
        super().__init__(server)
        self.running: dict[Hashable, asyncio.Future[Answer]] = {}

    async def answer(self, ask: Ask, exchange: Exchange) -> Answer:
        if (other := self.running.get(ask.exact)) is not None:
            return await self.server.serve_kept(await asyncio.shield(other))
        done = self.running[ask.exact] = asyncio.get_running_loop().create_future()
        answer = await self.server.compute(ask, exchange)
        done.set_result(answer)
        del self.running[ask.exact]
        return answer


class Prefix(Behaviour):
    """What was read of a prompt's beginning, in blocks of four words, is not read again; the rest takes its time."""

    options: ClassVar[dict[str, Any]] = {"prefill_share": 0.6}
    block = 4

    def __init__(self, server: LaneServer) -> None:
        super().__init__(server)
        self.known: set[tuple[str, ...]] = set()

    async def answer(self, ask: Ask, exchange: Exchange) -> Answer:
        async with self.server.lanes:
            words = ask.words
            n_blocks = (len(words) - 1) // self.block
            blocks = [tuple(words[: self.block * n]) for n in range(1, n_blocks + 1)]
            n_known = sum(block in self.known for block in blocks)
            self.known.update(blocks)
            spared = n_known * self.block / len(words)
            answer = await self.server.work(ask, exchange, self.seconds(ask) * self.server.draw(), spared)
            return answer._replace(cached_tokens=n_known * self.block)


PLAIN_CACHES: dict[str, tuple[str, type[Behaviour]]] = {
    "exact": ("response", Exact),
    "served": ("response", Served),
    "near_duplicate": ("near_duplicate", NearDuplicate),
    "url_keyed": ("url_keyed", UrlKeyed),
    "one_in_three": ("response", OneInThree),
    "one_second": ("response", OneSecond),
    "semantic": ("semantic", Semantic),
    "coalescing": ("coalescing", Coalescing),
    "prefix": ("prefix", Prefix),
}


class FasterRepeats(Exact):
    """A repeat takes a lane for so many times less; of what is kept, this is the whole gain."""

    options: ClassVar[dict[str, Any]] = {"times": 1.5}

    async def hit(self, ask: Ask, key: Hashable) -> Answer:
        async with self.server.lanes:
            await asyncio.sleep(self.seconds(ask) * self.server.draw() / self.server.o["times"])
        return await super().hit(ask, key)


class HitsOfSome(Exact):
    """A share of the repeats is served without work."""

    options: ClassVar[dict[str, Any]] = {"share": 0.2}

    def serves(self, ask: Ask, key: Hashable) -> bool:  # noqa: ARG002
        return self.server.rng.random() < float(self.server.o["share"])


#: For the ratio alone.
MEASURED: dict[str, type[Behaviour]] = {"faster_repeats": FasterRepeats, "hits_of_some": HitsOfSome}
