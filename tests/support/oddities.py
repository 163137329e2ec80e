"""Honest servers that compute every request, and look odd: none of them may be accused of a cache."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import math
from typing import Any, ClassVar

from .lane_server import Answer, Ask, Behaviour, Exchange, LaneServer, words_from


class IdsOfRequest(Behaviour):
    """A reply's id is drawn from the request's body, so a repeat has the same."""

    def reply(self, ask: Ask) -> Answer:
        return super().reply(ask)._replace(id=hashlib.sha256(ask.body).hexdigest()[:24])


class FewIds(Behaviour):
    """Ids are numbers below ten."""

    def reply(self, ask: Ask) -> Answer:
        return super().reply(ask)._replace(id=str(self.server.rng.randrange(10)))


class ConstantReplies(Behaviour):
    """Everything is answered with the same words."""

    def reply(self, ask: Ask) -> Answer:  # noqa: ARG002
        return Answer(self.server.new_id(), words_from(b"constant"))


class ConstantAll(Behaviour):
    """And under the same id."""

    def reply(self, ask: Ask) -> Answer:  # noqa: ARG002
        return Answer("reply", words_from(b"constant"))


class HashedReplicas(Behaviour):
    """Four replicas of unequal speed, with a lane or two each; a prompt's hash says which one takes it."""

    speeds = (0.8, 1.0, 1.0, 1.3)

    def __init__(self, server: LaneServer) -> None:
        super().__init__(server)
        self.speeds = tuple(server.o["speeds"] or self.speeds)
        self.replicas = [asyncio.Semaphore(max(1, server.o["lanes"] // 4)) for _ in self.speeds]

    async def answer(self, ask: Ask, exchange: Exchange) -> Answer:
        at = hashlib.sha256(ask.prompt.encode()).digest()[0] % len(self.speeds)
        async with self.replicas[at]:
            seconds = self.seconds(ask) * self.server.draw() / self.speeds[at]
            return await self.server.work(ask, exchange, seconds)


class WarmingUp(Behaviour):
    """The first queries take four times as long, which wears off over some thirty."""

    def seconds(self, ask: Ask) -> float:
        return super().seconds(ask) * (1 + 3 * math.exp(-self.server.received / 30))


class JitByLength(Behaviour):
    """A prompt of a length, to eight words, that was not met before is compiled for: five times the time."""

    bucket = 8

    def __init__(self, server: LaneServer) -> None:
        super().__init__(server)
        self.known: set[int] = set()

    def seconds(self, ask: Ask) -> float:
        bucket = len(ask.words) // self.bucket
        times = 1.0 if bucket in self.known else 5.0
        self.known.add(bucket)
        return super().seconds(ask) * times


class ContinuousBatching(Behaviour):
    """Steps of a batch: each gives every request in it a token; new ones join between two steps, up to 4 lanes times 4.

    A step takes longer the more are in it. A request alone takes the service time.
    """

    n_steps = 8
    per_request = 0.15

    def __init__(self, server: LaneServer) -> None:
        super().__init__(server)
        self.batch: list[tuple[float, Ask, Exchange, asyncio.Future[Answer]]] = []
        self.queue: list[tuple[Ask, Exchange, asyncio.Future[Answer]]] = []
        self.stepping: asyncio.Task[None] | None = None

    async def answer(self, ask: Ask, exchange: Exchange) -> Answer:
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.queue.append((ask, exchange, done))
        if self.stepping is None or self.stepping.done():
            self.stepping = asyncio.create_task(self._steps())
        return await done

    async def _steps(self) -> None:
        server = self.server
        step_s = float(server.o["service_ms"]) / 1000 / self.n_steps
        while self.batch or self.queue:
            while self.queue and len(self.batch) < 4 * server.o["lanes"]:
                ask, exchange, done = self.queue.pop(0)
                self.batch.append((self.n_steps * server.draw(), ask, exchange, done))
            await asyncio.sleep(step_s * (1 + self.per_request * (len(self.batch) - 1)))
            left = []
            for steps, ask, exchange, done in self.batch:
                if steps > 1:
                    left.append((steps - 1, ask, exchange, done))
                else:
                    server.computed += not exchange.first
                    done.set_result(self.reply(ask))
            self.batch = left


class ProcessorSharing(Behaviour):
    """All that is in flight is worked on at the same time, and shares what so many lanes could do."""

    def __init__(self, server: LaneServer) -> None:
        super().__init__(server)
        self.work_done = 0.0  # of each request in flight since the beginning, seconds
        self.at_s = asyncio.get_running_loop().time()
        self.due: list[tuple[float, int, asyncio.Event]] = []
        self.timer: asyncio.TimerHandle | None = None
        self.number = 0

    async def answer(self, ask: Ask, exchange: Exchange) -> Answer:
        self._advance()
        self.number += 1
        finished = asyncio.Event()
        work_s = self.seconds(ask) * self.server.draw()
        heapq.heappush(self.due, (self.work_done + work_s, self.number, finished))
        self._set_timer()
        await finished.wait()
        self.server.computed += not exchange.first
        return self.reply(ask)

    def _rate(self) -> float:
        return min(1.0, self.server.o["lanes"] / len(self.due)) if self.due else 0.0

    def _advance(self) -> None:
        now_s = asyncio.get_running_loop().time()
        self.work_done += (now_s - self.at_s) * self._rate()
        self.at_s = now_s

    def _set_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.due:
            wait_s = max(0.0, self.due[0][0] - self.work_done) / self._rate()
            self.timer = asyncio.get_running_loop().call_later(wait_s, self._finish)

    def _finish(self) -> None:
        self._advance()
        while self.due and self.due[0][0] <= self.work_done + 1e-5:
            heapq.heappop(self.due)[2].set()
        self._set_timer()


class VariableLength(Behaviour):
    """Answers of two to sixteen tokens, by the words of the prompt; each token costs the same. One row asks for little.

    A prompt that shares most of its words with another gets an answer of nearly its length.
    """

    n_usual = 8
    cheap: ClassVar[str] = "briefly"

    def n_tokens(self, ask: Ask) -> int:
        if self.cheap in ask.prompt:
            return 3
        scores = [hashlib.sha256(word.encode()).digest()[0] / 127.5 - 1 for word in set(ask.words)]
        return max(2, min(16, round(self.n_usual * (1 + 1.2 * sum(scores) / math.sqrt(max(1, len(scores)))))))

    def seconds(self, ask: Ask) -> float:
        return super().seconds(ask) * self.n_tokens(ask) / self.n_usual

    def reply(self, ask: Ask) -> Answer:
        return Answer(self.server.new_id(), words_from(ask.prompt.encode(), self.n_tokens(ask)))


class PrefillDominated(Behaviour):
    """The words of the prompt are what takes time, an answer is soon written: llama.cpp with short outputs."""

    options: ClassVar[dict[str, Any]] = {"prefill_share": 0.9}

    def seconds(self, ask: Ask) -> float:
        return super().seconds(ask) * (0.1 + 0.9 * len(ask.words) / 24)


ODDITIES: dict[str, type[Behaviour]] = {
    "ids_of_request": IdsOfRequest,
    "few_ids": FewIds,
    "constant_replies": ConstantReplies,
    "constant_all": ConstantAll,
    "hashed_replicas": HashedReplicas,
    "warming_up": WarmingUp,
    "jit_by_length": JitByLength,
    "continuous_batching": ContinuousBatching,
    "processor_sharing": ProcessorSharing,
    "variable_length": VariableLength,
    "prefill_dominated": PrefillDominated,
}
