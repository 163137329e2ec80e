from __future__ import annotations

import asyncio
import heapq
import math
import statistics
from collections.abc import Callable
from typing import Any

import pytest

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated.exchange import Ask, Slot, Ticket
from pytest_mlperf_audit.endpoints.simulated.service import Service, ServiceTimes


class Clock:
    """Time that passes only when told to, with timers that fire late by `late_s`."""

    def __init__(self, late_s: float = 0.0) -> None:
        self.now_s = 100.0
        self._late_s = late_s
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def __call__(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._timers, (self.now_s + delay_s + self._late_s, self._count, callback))

    async def run(self, until_s: float = float("inf")) -> None:
        """Fire timers in order, giving futures' callbacks their turn between them."""
        while self._timers and self._timers[0][0] <= until_s:
            self.now_s, _count, callback = heapq.heappop(self._timers)
            callback()
            await asyncio.sleep(0)


def ask(prompt: str) -> Ask:
    return Ask(kind="video", key=prompt.encode(), prompt=prompt)


class Bench:
    """A service on a clock of its own."""

    def __init__(self, late_s: float = 0.0, **config: Any) -> None:
        self.clock = Clock(late_s)
        settings = SimulatedConfig(**{"service_time_ms": 50, "lanes": 8, **config})
        self.service = Service(settings, clock=self.clock, call_later=self.clock.call_later)

    def submit(self, *prompts: str) -> list[Ticket]:
        return [self.service.submit(ask(prompt)) for prompt in prompts]

    def counts(self) -> tuple[int, int, int]:
        return self.service.computed, self.service.cache_hits, self.service.errors


def slots(tickets: list[Ticket]) -> list[Slot]:
    return [ticket.taken.result() for ticket in tickets]


def prompts(count: int) -> list[str]:
    return [f"prompt {at}" for at in range(count)]


def test_64_queries_of_50_ms_on_8_lanes_take_400_ms_however_late_the_timers():
    async def check(late_s: float) -> None:
        bench = Bench(late_s)
        tickets = bench.submit(*prompts(64))
        await bench.clock.run()
        assert max(slot.end_s for slot in slots(tickets)) == pytest.approx(100.4)
        assert bench.clock.now_s == pytest.approx(100.4 + late_s)
        assert (bench.service.max_busy, bench.counts()) == (8, (64, 0, 0))

    asyncio.run(check(0.0))
    asyncio.run(check(0.003))


def test_the_queue_is_first_in_first_out():
    async def check() -> None:
        bench = Bench(lanes=2)
        tickets = bench.submit(*prompts(6))
        await bench.clock.run()
        assert [slot.end_s for slot in slots(tickets)] == pytest.approx([100.05, 100.05, 100.1, 100.1, 100.15, 100.15])

    asyncio.run(check())


def test_a_lane_that_was_idle_starts_when_the_request_comes():
    async def check() -> None:
        bench = Bench(lanes=1)
        bench.submit("a")
        await bench.clock.run()
        bench.clock.now_s = 107.0
        tickets = bench.submit("b")
        await bench.clock.run()
        assert slots(tickets)[0].end_s == pytest.approx(107.05)

    asyncio.run(check())


DISTRIBUTIONS = [
    ("fixed", 0.5, 0.0),
    ("uniform", 0.3, 0.3),
    ("lognormal", 0.3, 0.3),
    ("lognormal", 1.0, 1.0),
    ("exponential", 0.0, 1.0),
    ("bimodal", 0.0, 4 / 7),
]


@pytest.mark.parametrize(("distribution", "cv", "expected_cv"), DISTRIBUTIONS)
def test_service_times_have_the_mean_and_spread_they_should(distribution, cv, expected_cv):
    times = ServiceTimes(SimulatedConfig(service_time_ms=50, distribution=distribution, cv=cv))
    drawn_s = [times.draw_s() for _ in range(40_000)]
    assert min(drawn_s) >= 0
    assert statistics.mean(drawn_s) == pytest.approx(0.05, rel=0.03)
    assert statistics.stdev(drawn_s) / statistics.mean(drawn_s) == pytest.approx(expected_cv, rel=0.05, abs=1e-9)


def test_a_seed_fixes_times_and_errors_apart_from_each_other():
    def draws(**changes: Any) -> tuple[list[float], list[bool]]:
        times = ServiceTimes(SimulatedConfig(**{"distribution": "exponential", "error_rate": 0.3, **changes}))
        return [times.draw_s() for _ in range(50)], [times.fails() for _ in range(50)]

    assert draws() == draws()
    assert draws()[0] == draws(error_rate=0.9)[0]
    assert draws()[0] != draws(seed=1)[0]
    assert draws()[1] != draws(seed=1)[1]


def test_errors_take_their_time_and_are_counted():
    async def check() -> None:
        bench = Bench(lanes=1, error_rate=1.0, cache="exact")
        tickets = bench.submit("a", "a")
        await bench.clock.run()
        assert [ticket.done.result() for ticket in tickets] == [None, None]
        assert bench.clock.now_s == pytest.approx(100.1), "an error is not stored"
        assert bench.counts() == (0, 0, 2)

    asyncio.run(check())


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8])
def test_a_prefix_hit_saves_prefill_and_leaves_decode(share):
    async def check() -> None:
        bench = Bench(cache="prefix", prefill_share=share)
        words = " ".join(f"w{at}" for at in range(8))
        bench.submit(words)
        await bench.clock.run()
        start_s = bench.clock.now_s
        full, tail, head = bench.submit(words, f"{words} nonce", f"nonce {words}")
        await bench.clock.run()
        firsts = [slot.first_token_s - start_s for slot in slots([full, tail, head])]
        prefill_s = 0.05 * share
        assert firsts == pytest.approx([prefill_s / 2, prefill_s / 9, prefill_s])
        decodes = [slot.end_s - slot.first_token_s for slot in slots([full, tail, head])]
        assert decodes == pytest.approx([0.05 * (1 - share)] * 3)
        answers = [ticket.done.result() for ticket in (full, tail, head)]
        assert [answer.cached_words for answer in answers if answer] == [4, 8, 0]
        assert bench.counts() == (4, 2, 0)

    asyncio.run(check())


def test_decode_is_at_least_a_fifth_of_a_miss_by_default():
    assert SimulatedConfig().prefill_share <= 0.8


def test_time_to_the_first_token_falls_with_each_reused_word():
    async def check() -> None:
        bench = Bench(cache="prefix", service_time_ms=1000, prefill_share=0.6)
        words = [f"w{at}" for at in range(40)]
        bench.submit(" ".join(words))
        await bench.clock.run()
        start_s = bench.clock.now_s
        tickets = bench.submit(*(" ".join(words[:n] + [f"x{n}"] * (40 - n)) for n in (0, 8, 16, 24, 32)))
        await bench.clock.run()
        firsts = [slot.first_token_s - start_s for slot in slots(tickets)]
        assert firsts == pytest.approx([0.6 * (1 - n / 40) for n in (0, 8, 16, 24, 32)])
        assert [slot.end_s - slot.first_token_s for slot in slots(tickets)] == pytest.approx([0.4] * 5)

    asyncio.run(check())


@pytest.mark.parametrize("cache", ["exact", "url", "near_duplicate", "semantic"])
def test_a_hit_of_a_response_cache_saves_prefill_and_decode(cache):
    async def check() -> None:
        bench = Bench(cache=cache, hit_time_ms=2)
        bench.submit("a b c")
        await bench.clock.run()
        start_s = bench.clock.now_s
        (hit,) = slots(bench.submit("a b c"))
        assert not hit.computes, "its reply is sent whole"
        assert hit.end_s - start_s == pytest.approx(0.002)
        await bench.clock.run()

    asyncio.run(check())


def content_factors(prompts: list[str], **config: Any) -> list[float]:
    times = ServiceTimes(SimulatedConfig(**config))
    return [times.content_factor(prompt) for prompt in prompts]


@pytest.mark.parametrize("n_words", [1, 4, 40])
def test_the_cost_of_content_has_the_mean_and_spread_it_should(n_words):
    prompts = [" ".join(f"{at}-{word}" for word in range(n_words)) for at in range(8_000)]
    factors = content_factors(prompts, content_cv=0.3)
    assert statistics.mean(factors) == pytest.approx(1.0, rel=0.02)
    assert statistics.stdev(factors) == pytest.approx(0.3, rel=0.06)


def test_the_cost_of_content_is_the_prompts_own():
    words = [f"w{at}" for at in range(40)]
    twin, other = [*words[:-1], "other"], [f"x{at}" for at in range(40)]
    texts = [" ".join(text) for text in (words, words, twin, other)]
    first, again, near, far = content_factors(texts, content_cv=0.3)
    assert first == again != near
    assert abs(math.log(near / first)) < 0.2, "one word of forty moves the score by 2 / sqrt(40) at most in 19 of 20"
    assert abs(math.log(far / first)) > abs(math.log(near / first))
    assert content_factors(texts, content_cv=0.3, seed=1)[0] != first
    assert content_factors(texts) == [1.0] * 4


def test_the_same_prompt_always_takes_the_same_time():
    async def check() -> None:
        bench = Bench(content_cv=0.5)
        tickets = bench.submit("a b", "c d", "a b", "a b")
        await bench.clock.run()
        ends = [slot.end_s for slot in slots(tickets)]
        assert ends[0] == ends[2] == ends[3] != ends[1]

    asyncio.run(check())


def test_hits_on_arrival_wait_for_no_lane_and_hits_when_served_do():
    async def check(lookup: str, end_s: float) -> None:
        bench = Bench(lanes=1, cache="exact", cache_lookup=lookup, hit_time_ms=1)
        bench.submit("a")
        await bench.clock.run()
        bench.clock.now_s = 200.0
        *_busy, hit = bench.submit("b", "c", "a")
        hit_at: list[float] = []
        hit.done.add_done_callback(lambda _done: hit_at.append(bench.clock.now_s))
        await bench.clock.run()
        assert hit_at == pytest.approx([end_s])
        assert bench.counts() == (3, 1, 0)

    asyncio.run(check("arrival", 200.001))
    asyncio.run(check("served", 200.101))


def test_repeats_queued_behind_the_first_are_hits_only_when_looked_up_late():
    async def check(lookup: str, computed: int) -> None:
        bench = Bench(lanes=2, cache="exact", cache_lookup=lookup)
        tickets = bench.submit(*["a"] * 10)
        await bench.clock.run()
        assert bench.counts() == (computed, 10 - computed, 0)
        assert len({ticket.done.result().id for ticket in tickets if ticket.done.result()}) == 2 or lookup == "arrival"  # type: ignore[union-attr]

    asyncio.run(check("arrival", 10))
    asyncio.run(check("served", 2))


def test_coalesced_requests_fail_together_and_are_forgotten():
    async def check() -> None:
        bench = Bench(cache="coalesce", error_rate=1.0)
        tickets = bench.submit("a", "a", "b")
        await bench.clock.run()
        assert [ticket.done.result() for ticket in tickets] == [None] * 3
        assert bench.counts() == (0, 0, 3)
        bench.submit("a")
        await bench.clock.run()
        assert bench.counts() == (0, 0, 4)

    asyncio.run(check())


def test_reset_while_requests_are_in_flight():
    async def check() -> None:
        bench = Bench(lanes=1, cache="coalesce")
        tickets = bench.submit("a", "a", "b")
        bench.service.reset()
        tickets += bench.submit("a")
        await bench.clock.run()
        assert all(ticket.done.result() for ticket in tickets)
        assert bench.counts() == (3, 1, 0)

    asyncio.run(check())
