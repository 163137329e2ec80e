"""Inputs of one kind, one after the other, in one process: what they came to, and that none takes for ever."""

from __future__ import annotations

import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import NamedTuple

from .kind import Kind, WrongError, drawn_for

#: Each kind's module beside this one, and its part of a whole run in thousandths: the fast ones have the most.
KINDS = {
    "replies": ("replies", 790),
    "heads": ("heads", 190),
    "yaml": ("yamls", 10),
    "logs": ("logs", 7),
    "recheck": ("rechecks", 3),
}
_MOST_SECONDS = 60


class Part(NamedTuple):
    """What one process does at a time: so many inputs of one kind."""

    kind: str
    seed: int
    inputs: int


class Finding(NamedTuple):
    """An input that was not taken as it should be."""

    kind: str
    seed: int
    said: str

    @property
    def again(self) -> str:
        """The command that tries this input once more."""
        return f"python -m tests.fuzz --kind {self.kind} --seed {self.seed} --inputs 1"


class Done(NamedTuple):
    """A part that was done, in so many seconds of CPU."""

    part: Part
    cpu_s: float
    findings: list[Finding]


def parts(kinds: list[str], seed: int, inputs: int, size: int = 2000) -> Iterator[Part]:
    """Yield what is to be done for so many inputs in all, shared by the kinds, the slow ones first."""
    shares = {kind: KINDS[kind][1] for kind in kinds}
    slow_first = sorted(kinds, key=shares.__getitem__)
    left = inputs
    for at, kind in enumerate(slow_first):
        last = at == len(slow_first) - 1
        total = left if last else min(left, max(1, inputs * shares[kind] // sum(shares.values())))
        left -= total
        for start in range(0, total, size):
            yield Part(kind, seed + start, min(size, total - start))


def do(part: Part) -> Done:
    """Try inputs with a new instance of their kind."""
    began = time.process_time()
    kind: Kind = import_module(f".{KINDS[part.kind][0]}", __package__).MAKE()
    try:
        findings = list(_try_all(kind, part))
    finally:
        kind.close()
    return Done(part, time.process_time() - began, findings)


def _try_all(kind: Kind, part: Part) -> Iterator[Finding]:
    for seed in range(part.seed, part.seed + part.inputs):
        if said := _tried(kind, seed):
            yield Finding(kind.name, seed, said[-4000:])


def _tried(kind: Kind, seed: int) -> str:
    """Try one input; return what is wrong, "" for nothing."""
    try:
        with _time_limit(_MOST_SECONDS):
            kind.try_one(drawn_for(kind.name, seed))
    except WrongError as error:
        return str(error)
    except Exception:  # noqa: BLE001 - any exception of the code under test is what is looked for
        return traceback.format_exc()
    return ""


@contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    """End an input that takes for ever, where signals can be had."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise WrongError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
