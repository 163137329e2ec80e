"""Caches that are built not to be found: servers that cheat.

They replay what they kept, its id with it, unless `fresh_ids` is set. `BEYOND_REACH` are those of which no black box
can know.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Hashable
from typing import Any, ClassVar

from .lane_server import Answer, Ask, Behaviour, Exchange, LaneServer
from .plain_caches import Coalescing, Exact, Semantic


class Counting(Exact):
    """It counts how often each request came."""

    def __init__(self, server: LaneServer) -> None:
        super().__init__(server)
        self.uses: Counter[Hashable] = Counter()

    def serves(self, ask: Ask, key: Hashable) -> bool:  # noqa: ARG002
        self.uses[key] += 1
        return True


class DelayedFirst(Counting):
    """The first repeat of a request takes as long as its computation would; the next are fast."""

    delayed = 1

    async def hit(self, ask: Ask, key: Hashable) -> Answer:
        if self.uses[key] <= 1 + self.delayed:
            await asyncio.sleep(self.seconds(ask) * self.server.draw())
        return await super().hit(ask, key)


class DelayedFive(DelayedFirst):
    """So do the first five."""

    delayed = 5


class FirstOnly(Exact):
    """It serves among the first 130 requests only: a main run and a part of an audit."""

    n_first = 130

    def serves(self, ask: Ask, key: Hashable) -> bool:  # noqa: ARG002
        return self.server.received <= self.n_first


class DetectsRepeats(Exact):
    """Two identical requests in a row switch it off for the next 64."""

    last: Hashable = None
    off_until = 0

    def serves(self, ask: Ask, key: Hashable) -> bool:  # noqa: ARG002
        received = self.server.received
        if key == self.last:
            self.off_until = received + 64
        self.last = key
        return received > self.off_until


class NotRecent(Exact):
    """What was among the last 64 requests is not served."""

    def __init__(self, server: LaneServer) -> None:
        super().__init__(server)
        self.recent: deque[Hashable] = deque(maxlen=64)

    def serves(self, ask: Ask, key: Hashable) -> bool:  # noqa: ARG002
        willing = key not in self.recent
        self.recent.append(key)
        return willing


class OffAtUrl(Exact):
    """It is switched off by the first URL with a query string."""

    off = False

    def serves(self, ask: Ask, key: Hashable) -> bool:  # noqa: ARG002
        self.off |= "?" in ask.url
        return not self.off


class UnderLoad(Exact):
    """It serves where four requests or more are in flight."""

    def serves(self, ask: Ask, key: Hashable) -> bool:  # noqa: ARG002
        return self.server.in_flight >= 4


class Key24(Exact):
    """A prompt's first 24 characters are looked at."""

    n_characters = 24

    def key(self, ask: Ask) -> Hashable:
        return ask.prompt[: self.n_characters]


class Key64(Key24):
    """A prompt's first 64 characters are looked at."""

    n_characters = 64


class HitRate(Exact):
    """Three kept replies in ten are served."""

    def serves(self, ask: Ask, key: Hashable) -> bool:  # noqa: ARG002
        return self.server.rng.random() < 0.3


class ThirdUse(Counting):
    """A reply is kept when its request came three times."""

    def keeps(self, key: Hashable) -> bool:
        return self.uses[key] >= 3


class Dedup(Behaviour):
    """A batcher that gathers for 3 ms, and takes what is equal to a request that still waits along with it."""

    gathers_s = 0.003

    def __init__(self, server: LaneServer) -> None:
        super().__init__(server)
        self.waiting: dict[Hashable, asyncio.Future[Answer]] = {}

    async def answer(self, ask: Ask, exchange: Exchange) -> Answer:
        server = self.server
        if (other := self.waiting.get(ask.exact)) is not None:
            return await server.serve_kept(await asyncio.shield(other))
        done = self.waiting[ask.exact] = asyncio.get_running_loop().create_future()
        await asyncio.sleep(self.gathers_s)
        async with server.lanes:
            del self.waiting[ask.exact]
            answer = await server.work(ask, exchange, self.seconds(ask) * server.draw())
        done.set_result(answer)
        return answer


class Dedup16(Dedup):
    """More lanes than requests in flight: nothing waits longer than is gathered."""

    options: ClassVar[dict[str, Any]] = {"lanes": 16}


class Coalesce8(Coalescing):
    """As many lanes as a benchmark of concurrency 8 has in flight, so that nothing queues there."""

    options: ClassVar[dict[str, Any]] = {"lanes": 8}


class Semantic60(Semantic):
    """Far from equal is near enough."""

    least = 0.6


class Semantic40(Semantic):
    """So near that a data set of prompts in one form is answered with a few replies."""

    least = 0.4


class OneKey(Exact):
    """The prompt is no part of the key, as the file was none of that of LiteLLM's transcription cache."""

    def key(self, ask: Ask) -> Hashable:
        return ask.url.partition("?")[0]


class From1000(Exact):
    """It serves from the thousandth request on."""

    def serves(self, ask: Ask, key: Hashable) -> bool:  # noqa: ARG002
        return self.server.received > 1000


class InLane(Exact):
    """A hit takes a lane for as long as the work would."""

    async def hit(self, ask: Ask, key: Hashable) -> Answer:
        async with self.server.lanes:
            await asyncio.sleep(self.seconds(ask) * self.server.draw())
        return await super().hit(ask, key)


CHEATS: dict[str, type[Behaviour]] = {
    "delayed_first": DelayedFirst,
    "delayed_five": DelayedFive,
    "first_130": FirstOnly,
    "detects_repeats": DetectsRepeats,
    "not_recent": NotRecent,
    "off_at_url": OffAtUrl,
    "under_load": UnderLoad,
    "key24": Key24,
    "key64": Key64,
    "hit_rate_30": HitRate,
    "third_use": ThirdUse,
    "dedup4": Dedup,
    "dedup16": Dedup16,
    "coalesce8": Coalesce8,
    "semantic60": Semantic60,
    "semantic40": Semantic40,
    "one_key": OneKey,
}
BEYOND_REACH: dict[str, type[Behaviour]] = {"from_1000": From1000, "in_lane": InLane}
