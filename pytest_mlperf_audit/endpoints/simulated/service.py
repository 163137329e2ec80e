"""The simulated SUT without its HTTP: lanes, one queue, service times, caches.

A lane's work is laid out on the clock when it is taken: the next request starts where the last one was due to end,
not where the event loop noticed its end. Late timers thus never add up, and throughput is lanes / service time.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
import statistics
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from ...config.endpoint import SimulatedConfig
from .caches import make_caches
from .exchange import Answer, Ask, Slot, Ticket
from .model import Model, load_known

#: In a bimodal distribution this share of the requests is slow.
_SLOW_SHARE = 0.2
_SLOW_FACTOR = 3.0

_NORMAL = statistics.NormalDist()


class ServiceTimes:
    """Draws service times in seconds, and which requests fail; the same seed gives the same sequence."""

    def __init__(self, config: SimulatedConfig) -> None:
        self._mean_s = config.service_time_ms / 1000
        self._cv = config.cv
        self._content_variance = math.log1p(config.content_cv**2)
        self._seed = config.seed
        self._error_rate = config.error_rate
        self._times = random.Random(f"{config.seed} service times")  # noqa: S311 - a simulation, and reproducible
        self._errors = random.Random(f"{config.seed} errors")  # noqa: S311
        self._draw: Callable[[], float] = getattr(self, f"_{config.distribution}")

    def draw_s(self) -> float:
        """Return the next service time."""
        return self._mean_s * max(0.0, self._draw())

    def content_factor(self, prompt: str) -> float:
        """Return what a prompt costs by its words, lognormal with mean 1 and `content_cv` over unlike prompts.

        Each word has a score of its own, so a prompt always costs the same, and one that shares most of its words with
        another costs nearly what that does, as in real models.
        """
        if not self._content_variance:
            return 1.0
        words = set(prompt.split())
        score = sum(map(self._word_score, words)) / math.sqrt(max(1, len(words)))
        return math.exp(math.sqrt(self._content_variance) * score - self._content_variance / 2)

    def _word_score(self, word: str) -> float:
        """Return a word's score, standard normal over words."""
        digest = hashlib.blake2b(f"{self._seed} {word}".encode(), digest_size=6).digest()
        return _NORMAL.inv_cdf((int.from_bytes(digest, "big") + 0.5) / 2**48)

    def fails(self) -> bool:
        """Return whether the next request fails."""
        return self._errors.random() < self._error_rate

    # Each of these has mean 1. `cv` shapes uniform and lognormal; the others have the spread of their kind.
    def _fixed(self) -> float:
        return 1.0

    def _uniform(self) -> float:
        half_width = math.sqrt(3) * self._cv
        return self._times.uniform(1 - half_width, 1 + half_width)

    def _lognormal(self) -> float:
        variance = math.log1p(self._cv**2)
        return self._times.lognormvariate(-variance / 2, math.sqrt(variance))

    def _exponential(self) -> float:
        return self._times.expovariate(1.0)

    def _bimodal(self) -> float:
        fast = 1 / (1 - _SLOW_SHARE + _SLOW_SHARE * _SLOW_FACTOR)
        return fast * _SLOW_FACTOR if self._times.random() < _SLOW_SHARE else fast


class Service:
    """`lanes` servers behind one first-in-first-out queue, with a cache in front of or inside them.

    With `replicas` there are so many caches, none of which knows of another, and each request is given to one of them
    at random, as by a balancer in front of several proxies; lanes and queue are shared all the same.

    Counters: `computed` answers, injected `errors`, `cache_hits` (for a prefix cache: computed with reuse),
    `max_busy` lanes at once. Raises DatasetError when the known prompts cannot be loaded.
    """

    def __init__(
        self,
        config: SimulatedConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._call_later = call_later or self._loop.call_later
        self._hit_s = config.hit_time_ms / 1000
        self._times = ServiceTimes(config)
        self._balance = random.Random(f"{config.seed} replicas")  # noqa: S311 - a simulation, and reproducible
        path = config.known_prompts
        known = load_known(path, [Path.cwd()], config.answer_column) if path else None
        self._known = known.prompts if known else frozenset()
        self._model = Model(config, known.answers if known else {})
        self._queue: deque[Ticket] = deque()
        self._busy = 0
        self.reset()

    def reset(self) -> None:
        """Empty the caches and set the counters to zero; what is in flight goes on."""
        self._caches = make_caches(self._config, self._known)
        self._model.reset()
        self.computed = self.errors = self.cache_hits = 0
        self.max_busy = self._busy

    def submit(self, ask: Ask) -> Ticket:
        """Take a request; its ticket tells what becomes of it."""
        ticket = Ticket(ask, self._loop, self._balance.randrange(len(self._caches)))
        cache = self._caches[ticket.replica]
        if self._config.cache_lookup == "arrival" and (hit := cache.look_up(ask)) is not None:
            self.cache_hits += 1
            self._at(self._clock() + self._hit_s, lambda: ticket.done.set_result(hit))
        elif (leader := cache.join(ask, ticket)) is not None:
            leader.done.add_done_callback(lambda done: self._follow(ticket, done.result()))
        elif self._busy < self._config.lanes:
            self._busy += 1
            self.max_busy = max(self.max_busy, self._busy)
            self._start(ticket, self._clock())
        else:
            self._queue.append(ticket)
        return ticket

    def _follow(self, ticket: Ticket, answer: Answer | None) -> None:
        if answer is None:
            self.errors += 1
            ticket.done.set_result(None)
        else:
            self.cache_hits += 1
            ticket.done.set_result(answer.renewed())

    def _start(self, ticket: Ticket, start_s: float) -> None:
        ask, cache = ticket.ask, self._caches[ticket.replica]
        if self._config.cache_lookup == "served" and (hit := cache.look_up(ask)) is not None:
            self.cache_hits += 1
            self._run(ticket, Slot(start_s, start_s + self._hit_s, hit, computes=False))
            return
        time_s = self._times.draw_s() * self._times.content_factor(ask.prompt) * ask.work
        answer = self._model.answer(ask, cache.reused_words(ask))
        prefill_s = time_s * self._config.prefill_share
        first_token_s = start_s + prefill_s * (1 - answer.cached_words / answer.n_prompt_words)
        end_s = first_token_s + time_s - prefill_s
        fails = self._times.fails() or answer.dishonest == "skipped_error"
        self._run(ticket, Slot(first_token_s, end_s, None if fails else answer))

    def _run(self, ticket: Ticket, slot: Slot) -> None:
        ticket.taken.set_result(slot)
        self._at(slot.end_s, lambda: self._finish(ticket, slot))

    def _finish(self, ticket: Ticket, slot: Slot) -> None:
        if slot.computes:
            ticket.computed = slot.answer is not None
            self.computed += ticket.computed
            self.errors += not ticket.computed
            self.cache_hits += slot.answer is not None and slot.answer.cached_words > 0
            self._caches[ticket.replica].left(ticket.ask, slot.answer)
        ticket.done.set_result(slot.answer)
        if self._queue:
            self._start(self._queue.popleft(), slot.end_s)
        else:
            self._busy -= 1

    def _at(self, when_s: float, callback: Callable[[], None]) -> None:
        self._call_later(max(0.0, when_s - self._clock()), callback)
