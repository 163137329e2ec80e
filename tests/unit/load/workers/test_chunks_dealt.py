"""Positions dealt to several workers: whatever happens, what is sent is a prefix of the order, each position once.

The simulation runs both sides on virtual time: workers with connections, replies and messages that take their time.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from pytest_mlperf_audit.load.pattern import arrivals
from pytest_mlperf_audit.load.workers import dealer as module
from pytest_mlperf_audit.load.workers.dealer import Arrivals, Chunk, Dealer, Hand
from pytest_mlperf_audit.load.workers.shares import shares
from pytest_mlperf_audit.runs.order import sequential, without_replacement
from pytest_mlperf_audit.runs.phase import StoppedBy
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput, Poisson, RunSpec

MS = 10**6
_LONG_MS = 600_000.0


def _spec(n_samples: int, **fields: Any) -> RunSpec:
    values = {"load": Concurrency(target=32), "order": sequential(wrap=True), **fields}
    return RunSpec(label="phase", n_samples=n_samples, **values)


class Simulated:
    """One phase of several workers; `sent` has (milliseconds since the start, worker, position)."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        spec: RunSpec,
        connections: list[int],
        latency_ms: Callable[[int, random.Random], float],
        *,
        delay_ms: float = 0.1,
        n_rows: int = 10**9,
        seed: int = 1,
    ) -> None:
        self.now = self.start = 10**9
        monkeypatch.setattr(module, "perf_counter_ns", lambda: self.now)
        self.sent: list[tuple[float, int, int]] = []
        self.rng = random.Random(seed)
        self.dealer = Dealer(spec, n_rows, len(connections))
        self._floor_ns = spec.min_duration_ms * MS
        self._latency_ms, self._delay_ms = latency_ms, delay_ms
        self._connections, self._free = connections, list(connections)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._wants: dict[int, int] = {}
        self._told_end = False
        self._reached: set[int] = set()
        self.hands = [self._hand(worker) for worker in range(len(connections))]
        if spec.max_duration_ms:
            self._after(spec.max_duration_ms, lambda: self._hold("ceiling"))

    def _hand(self, worker: int) -> Hand:
        def ask(wanted: int) -> None:
            self._message(lambda: self._want(worker, wanted))

        return Hand(ask, self._connections[worker], lambda: self._send(worker))

    def run(self) -> list[int]:
        """Run to the end; return the positions in the order in which they were sent."""
        for worker, hand in enumerate(self.hands):
            hand.top_up()
            self._pace(worker, 0)
        while not self._is_over():
            self.now, _, action = heapq.heappop(self._events)
            action()
            assert self.now - self.start < _LONG_MS * MS, "it came to a halt"
        return [position for _, _, position in self.sent]

    def _is_over(self) -> bool:
        return all(hand.over for hand in self.hands) and self._free == self._connections

    def _after(self, ms: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + int(ms * MS), next(self._order), action))

    def _message(self, action: Callable[[], None]) -> None:
        self._after(self._delay_ms, action)

    # A worker.

    def _pace(self, worker: int, n_before: int) -> None:
        n_now = self.hands[worker].pace(0.05, n_before)
        self._after(50, lambda: self._pace(worker, n_now))

    def _send(self, worker: int) -> None:
        while self._free[worker] and (position := self.hands[worker].take()) is not None:
            self._free[worker] -= 1
            self.sent.append(((self.now - self.start) / MS, worker, position))
            self._after(self._latency_ms(worker, self.rng), lambda: self._reply(worker))

    def _reply(self, worker: int) -> None:
        self._free[worker] += 1
        at_ns = self.now - self.start
        if at_ns >= self._floor_ns > 0 and worker not in self._reached:
            self._reached.add(worker)
            self._message(lambda: self._note_reached(at_ns))
        self._send(worker)

    # The controller.

    def _want(self, worker: int, wanted: int) -> None:
        self._wants[worker] = wanted
        self._share()

    def _note_reached(self, at_ns: int) -> None:
        self.dealer.note_reached(at_ns)
        if self.dealer.is_too_much:
            self._hold("count")
        self._share()

    def _hold(self, stopped_by: StoppedBy) -> None:
        self.dealer.hold(stopped_by, range(len(self.hands)))
        self._told_end = False
        for worker in range(len(self.hands)):
            self._message(lambda worker=worker: self._held(worker))  # type: ignore[misc]

    def _held(self, worker: int) -> None:
        hand = self.hands[worker]
        chunks, highest = hand.give_back(), hand.highest
        self._message(lambda: self._take_back(worker, chunks, highest))
        hand.top_up()

    def _take_back(self, worker: int, chunks: list[Chunk], highest: int) -> None:
        self.dealer.take_back(worker, chunks, highest)
        self._share()

    def _share(self) -> None:
        for worker, wanted in tuple(self._wants.items()):
            if chunk := self.dealer.deal(wanted):
                del self._wants[worker]
                most = self.dealer.most
                self._message(lambda w=worker, c=chunk, m=most: self.hands[w].add(c, m))  # type: ignore[misc]
        if self.dealer.is_dealt and not self._told_end:
            self._told_end = True
            for hand in self.hands:
                self._message(lambda hand=hand: hand.end(self.dealer.stopped_by))  # type: ignore[misc]


def _even(_worker: int, rng: random.Random) -> float:
    return rng.uniform(4, 6)


def _one_slow(worker: int, rng: random.Random) -> float:
    return rng.uniform(4, 6) * (10 if worker == 1 else 1)


def _heavy(_worker: int, rng: random.Random) -> float:
    return rng.paretovariate(1.2)


LATENCIES = {"even": _even, "one_slow": _one_slow, "heavy": _heavy}


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("n_workers", range(1, 9))
def test_a_count_is_sent_exactly(monkeypatch: pytest.MonkeyPatch, latency: str, n_workers: int):
    simulated = Simulated(monkeypatch, _spec(2000), [4] * n_workers, LATENCIES[latency])
    assert sorted(simulated.run()) == list(range(2000))
    assert simulated.dealer.stopped_by == "count"
    assert simulated.dealer.conclude() == 2000


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("n_workers", range(1, 9))
@pytest.mark.parametrize("seed", range(3))
def test_at_a_floor_what_is_sent_is_a_prefix(monkeypatch: pytest.MonkeyPatch, latency: str, n_workers: int, seed: int):
    simulated = Simulated(
        monkeypatch, _spec(50, min_duration_ms=700), [3] * n_workers, LATENCIES[latency], seed=seed, delay_ms=0.4
    )
    sent = sorted(simulated.run())
    assert sent == list(range(len(sent)))
    assert len(sent) >= 50
    assert simulated.dealer.stopped_by == "count"
    assert simulated.dealer.conclude() == len(sent)


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("n_workers", [1, 2, 5])
@pytest.mark.parametrize("floor_ms", [0, 3, 700])
def test_a_floor_leads_to_the_end_of_a_pass(
    monkeypatch: pytest.MonkeyPatch, latency: str, n_workers: int, floor_ms: int
):
    spec = _spec(50, min_duration_ms=floor_ms, multiple_of=25)
    simulated = Simulated(monkeypatch, spec, [3] * n_workers, LATENCIES[latency], delay_ms=0.4)
    sent = sorted(simulated.run())
    assert sent == list(range(len(sent)))
    assert len(sent) >= 50
    assert len(sent) % 25 == 0
    assert simulated.dealer.stopped_by == "count"
    assert simulated.dealer.conclude() == len(sent)


@pytest.mark.parametrize("n_workers", range(1, 9))
@pytest.mark.parametrize("seed", range(3))
def test_at_the_ceiling_what_is_sent_is_a_prefix(monkeypatch: pytest.MonkeyPatch, n_workers: int, seed: int):
    spec = _spec(10**6, max_duration_ms=300)
    simulated = Simulated(monkeypatch, spec, [5] * n_workers, _one_slow, seed=seed)
    sent = sorted(simulated.run())
    assert sent == list(range(len(sent)))
    assert 0 < len(sent) < 10**6
    assert simulated.dealer.stopped_by == "ceiling"
    # A gap left by a slow worker's connections is filled when one of them comes free.
    assert max(at for at, _, _ in simulated.sent) < 300 + 61


def test_at_a_floor_little_is_sent_behind_it(monkeypatch: pytest.MonkeyPatch):
    """Replies of 0.4 s, 32 in flight, 3 s: one process sends 256 queries."""
    spec = _spec(100, min_duration_ms=3000)
    simulated = Simulated(monkeypatch, spec, [16, 16], lambda *_: 400.0)
    assert 256 <= len(simulated.run()) <= 256 + 32


@pytest.mark.parametrize("n_workers", [1, 2, 5])
@pytest.mark.parametrize("connections", [4, 200])
def test_a_floor_that_is_reached_when_all_is_dealt_and_not_yet_sent(
    monkeypatch: pytest.MonkeyPatch, n_workers: int, connections: int
):
    simulated = Simulated(monkeypatch, _spec(1000, min_duration_ms=3), [connections] * n_workers, _one_slow)
    sent = sorted(simulated.run())
    assert sent == list(range(len(sent)))
    assert len(sent) >= 1000


@pytest.mark.parametrize("size", [900, 1000, 1100])
def test_what_was_given_back_below_the_count_is_sent_all_the_same(size: int):
    dealer = Dealer(_spec(1000, min_duration_ms=1), 10**9, 2)
    first, second = dealer.deal(500), dealer.deal(size - 500)
    assert first is not None
    assert second is not None
    dealer.deal(4096)
    dealer.note_reached(MS)
    dealer.hold("count", [0, 1])
    dealer.take_back(0, [Chunk(10, 500), Chunk(size, size + 4096)], 9)
    dealer.take_back(1, [second], -1)
    left: list[int] = []
    while chunk := dealer.deal(64):
        left += range(*chunk)
    assert sorted(left) == list(range(10, 1000))
    assert (dealer.is_dealt, dealer.end, dealer.stopped_by) == (True, 1000, "count")


@pytest.mark.parametrize("n_workers", [1, 2, 5])
def test_the_order_may_end_before_the_count(monkeypatch: pytest.MonkeyPatch, n_workers: int):
    spec = _spec(500, order=without_replacement(1), min_duration_ms=60_000)
    simulated = Simulated(monkeypatch, spec, [4] * n_workers, _even, n_rows=120)
    assert sorted(simulated.run()) == list(range(120))
    assert simulated.dealer.stopped_by == "samples_exhausted"


def test_fewer_queries_than_workers(monkeypatch: pytest.MonkeyPatch):
    assert sorted(Simulated(monkeypatch, _spec(3), [1, 1, 1], _even).run()) == [0, 1, 2]


def test_a_slow_worker_leaves_no_tail(monkeypatch: pytest.MonkeyPatch):
    """With a static stride it would end at ten times the time of the others."""
    simulated = Simulated(monkeypatch, _spec(4000), [8, 8], _one_slow)
    simulated.run()
    last = [max(at for at, worker, _ in simulated.sent if worker == one) for one in (0, 1)]
    assert abs(last[0] - last[1]) < 100
    shares_of = [sum(worker == one for _, worker, _ in simulated.sent) for one in (0, 1)]
    assert shares_of[0] > 5 * shares_of[1]


def test_workers_are_not_starved_of_positions(monkeypatch: pytest.MonkeyPatch):
    simulated = Simulated(monkeypatch, _spec(20_000), [32, 32], _even, delay_ms=1.0)
    simulated.run()
    assert sum(hand.starved for hand in simulated.hands) < 200


def test_a_worker_that_is_done_holds_nothing():
    dealer = Dealer(_spec(10, max_duration_ms=1), 10**9, 2)
    dealer.deal(4)
    dealer.hold("ceiling", [0])  # worker 1 is done
    before = dealer.is_dealt
    dealer.take_back(0, [Chunk(2, 4)], 1)
    assert (before, dealer.is_dealt, dealer.end) == (False, True, 2)


def test_gaps_below_the_highest_position_are_dealt_again():
    dealer = Dealer(_spec(100, max_duration_ms=1), 10**9, 2)
    assert [dealer.deal(10), dealer.deal(10)] == [Chunk(0, 10), Chunk(10, 20)]
    dealer.hold("ceiling", [0, 1])
    assert dealer.deal(5) is None
    dealer.take_back(0, [Chunk(3, 10)], 2)
    assert dealer.deal(5) is None
    dealer.take_back(1, [Chunk(15, 20)], 14)
    again = [dealer.deal(4), dealer.deal(99), dealer.deal(99), dealer.deal(99)]
    assert [position for chunk in again if chunk for position in range(*chunk)] == list(range(3, 10))
    assert dealer.is_dealt
    assert (dealer.end, dealer.stopped_by) == (15, "ceiling")


def test_a_hand_gives_up():
    hand = Hand(lambda _: None, 2, lambda: None)
    hand.add(Chunk(0, 5), 10)
    assert hand.take() == 0
    hand.give_up("abort")
    assert (hand.take(), hand.over, hand.stopped_by) == (None, True, "abort")


@pytest.mark.parametrize("n_workers", range(1, 9))
def test_arrivals_of_all_are_one_schedule(n_workers: int):
    load = Poisson(target_qps=1000.0, seed=7)
    spec = _spec(500, load=load)
    found = {}
    for worker in range(n_workers):
        own = Arrivals(spec, load, (worker, n_workers), 10**9, 500)
        while not own.over:
            due_ns = own.due_ns
            position = own.take()
            assert position is not None
            found[position] = due_ns
        assert own.take() is None
    assert [found[at] for at in range(500)] == list(itertools.islice(arrivals(load, 10**9), 500))
    assert len(found) == 500


def test_arrivals_that_hold_go_on_to_the_last_that_is_sent():
    load = Poisson(target_qps=1000.0, seed=7)
    own = Arrivals(_spec(5, load=load, min_duration_ms=1), load, (1, 3), 10**9, None)
    assert [own.take(), own.take()] == [1, 4]
    own.end("count", own.highest + 1)
    assert own.over
    own.end("count", 12)
    assert [own.take(), own.take(), own.take()] == [7, 10, None]


def test_an_arrivals_dealer_knows_how_many_there_are():
    load = Poisson(target_qps=1.0, seed=1)
    dealer = Dealer(_spec(10, load=load), 10**9, 2)
    assert (dealer.until, dealer.conclude(), dealer.stopped_by) == (10, 10, "count")
    short = Dealer(_spec(10, load=load, order=without_replacement(1)), 4, 2)
    assert (short.until, short.conclude(), short.stopped_by) == (4, 4, "samples_exhausted")
    floor = Dealer(_spec(10, load=load, min_duration_ms=5), 10**9, 2)
    assert floor.until is None


@pytest.mark.parametrize("n_workers", [1, 2, 3, 7])
@pytest.mark.parametrize("target", [1, 2, 10, 64])
def test_connections_are_shared_evenly(n_workers: int, target: int):
    loads = shares(_spec(1000, load=Concurrency(target=target)), n_workers)
    sizes = [load.target for load in loads if isinstance(load, Concurrency)]
    assert sum(sizes) == target
    assert len(sizes) == min(n_workers, target)
    assert max(sizes) - min(sizes) <= 1


def test_all_at_once_is_shared_as_well():
    assert shares(_spec(10, load=MaxThroughput()), 4) == [MaxThroughput(max_in_flight=size) for size in (3, 3, 2, 2)]
    assert shares(_spec(10, load=Poisson(target_qps=1.0, seed=1)), 2) == [Poisson(target_qps=1.0, seed=1)] * 2
