"""One timer for all time limits: each connection is cut when its own is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from pytest_mlperf_audit.load.connections import Deadlines
from pytest_mlperf_audit.load.wire import Connection


class Handle:
    def __init__(self, loop: Loop, due_s: float, call: Callable[[], None]) -> None:
        self.loop, self.due_s, self.call = loop, due_s, call

    def cancel(self) -> None:
        self.loop.timers.remove(self)


class Loop:
    """A loop whose time goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.timers: list[Handle] = []

    def time(self) -> float:
        return self.now_s

    def call_at(self, due_s: float, call: Callable[[], None]) -> Handle:
        self.timers.append(Handle(self, due_s, call))
        return self.timers[-1]

    def go_to(self, now_s: float) -> None:
        while due := [timer for timer in self.timers if timer.due_s <= now_s]:
            timer = min(due, key=lambda one: one.due_s)
            self.timers.remove(timer)
            self.now_s = max(self.now_s, timer.due_s)
            timer.call()
        self.now_s = now_s


class Watched:
    def __init__(self, loop: Loop, cut: list[tuple[str, float]], name: str) -> None:
        self.loop, self.to, self.name = loop, cut, name

    def cut(self) -> None:
        self.to.append((self.name, round(self.loop.now_s, 3)))


def made() -> tuple[Loop, Deadlines, list[tuple[str, float]], Callable[[str], Connection]]:
    loop, cut = Loop(), list[tuple[str, float]]()
    deadlines = Deadlines(cast("asyncio.AbstractEventLoop", cast("Any", loop)))
    return loop, deadlines, cut, lambda name: cast("Connection", cast("Any", Watched(loop, cut, name)))


def test_each_is_cut_at_its_own_time_by_one_timer():
    loop, deadlines, cut, connection = made()
    for name, due_s in (("a", 0.3), ("b", 0.1), ("c", 0.2), ("d", 0.1)):
        deadlines.watch(connection(name), due_s)
        assert len(loop.timers) == 1
    loop.go_to(1.0)
    assert cut == [("b", 0.1), ("d", 0.1), ("c", 0.2), ("a", 0.3)]
    assert not loop.timers


def test_what_is_forgotten_is_not_cut():
    loop, deadlines, cut, connection = made()
    first, second = connection("first"), connection("second")
    deadlines.watch(first, 0.1)
    deadlines.watch(second, 0.2)
    deadlines.forget(first)
    deadlines.forget(first)
    loop.go_to(1.0)
    assert cut == [("second", 0.2)]


def test_a_loop_that_was_held_up_cuts_all_that_are_due():
    loop, deadlines, cut, connection = made()
    for name, due_s in (("a", 0.1), ("b", 0.2), ("c", 9.0)):
        deadlines.watch(connection(name), due_s)
    timer = loop.timers.pop()
    loop.now_s = 5.0
    timer.call()
    assert cut == [("a", 5.0), ("b", 5.0)]
    assert [timer.due_s for timer in loop.timers] == [9.0]
    deadlines.close()
    assert not loop.timers
