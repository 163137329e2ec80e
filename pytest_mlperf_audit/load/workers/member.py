"""One worker as the controller has it: what is said to it, what it says, and whether it is still there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter_ns
from typing import TypeVar

from ...text import printable
from .clocks import Trip
from .gateways import Gateway
from .messages import Command, Done, Pong, Records, Report, packed, report

_Report = TypeVar("_Report")

#: What execnet gives a receiver when the channel has ended.
_ENDED = b""


class LostError(Exception):
    """A worker is not there any more, or does not do what it was told."""


Inbox = asyncio.Queue[tuple["Member", Report | None]]


class Member:
    """A worker. All but `_take` and what it calls is for the thread of the event loop that it is bound to.

    While `lines_to` is a file's descriptor, a phase is on: records go there, from execnet's thread, and are shown to
    `on_lines`. `None` in an inbox says that the worker is lost, or that its records cannot be written (`failure`).
    """

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.number = gateway.number
        self.name = gateway.name
        self.lost = ""
        self.failure: OSError | None = None
        self.n_lines = 0
        self.trips: list[Trip] = []
        self.progress = Pong(0, 0)
        self.is_heard = True
        self.lines_to = -1
        self.on_lines: Callable[[bytes], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: Inbox
        gateway.channel.setcallback(self._take, endmarker=_ENDED)

    def bind(self, inbox: Inbox | None = None) -> None:
        """Have the running loop told what the worker says: into `inbox`, or else for `expect`."""
        self._loop = asyncio.get_running_loop()
        self._inbox = asyncio.Queue() if inbox is None else inbox
        if self.lost:
            self._inbox.put_nowait((self, None))

    def begin_phase(self) -> None:
        """Know nothing of the phase before."""
        self.n_lines, self.progress, self.is_heard = 0, Pong(0, 0), True

    def send(self, message: Command) -> None:
        """Say something. Raises LostError when the worker is gone."""
        try:
            self.gateway.channel.send(packed(message))
        except OSError as error:
            raise LostError(f"{self.name}: {self.lost or 'the connection to it ended'}") from error

    async def expect(self, kind: type[_Report], timeout_s: float) -> _Report:
        """Return what the worker says next. Raises LostError when it says something else, or nothing for so long.

        The answer to a ping of the phase before may be late.
        """
        message: Report | None = Pong(0, 0)
        try:
            while isinstance(message, Pong):
                _, message = await asyncio.wait_for(self._inbox.get(), timeout_s)
                if kind is Pong:
                    break
        except asyncio.TimeoutError:
            self.give_up(f"no answer within {timeout_s:g} s")
            message = None
        if not isinstance(message, kind):
            raise LostError(f"{self.name}: {self.lost or 'it says what it was not asked'}")
        return message

    async def do(self, command: Command, timeout_s: float) -> str:
        """Have the worker do something; return why it cannot. Raises LostError."""
        # In a thread: it waits for as long as the worker does not read.
        sending = asyncio.get_running_loop().run_in_executor(None, self.send, command)
        try:
            await asyncio.wait_for(asyncio.shield(sending), timeout_s)
        except asyncio.TimeoutError:
            self.give_up(f"it has taken nothing for {timeout_s:g} s")
            await sending
        return (await self.expect(Done, timeout_s)).problem

    def give_up(self, why: str) -> None:
        """Have nothing more to do with it."""
        self.lost = self.lost or why
        self.gateway.kill()

    def _take(self, raw: bytes) -> None:
        """Take a message, in execnet's thread."""
        received_ns = perf_counter_ns()
        self.is_heard = True
        if raw == _ENDED:
            self.lost = self.lost or self._why_ended()
            self._tell(None)
            return
        message = report(raw)
        if isinstance(message, Records):
            self._write(message.lines)
        elif isinstance(message, Pong):
            self.trips.append(Trip(message.sent, message.clock, received_ns))
            self.progress = message
            if self.lines_to < 0:
                self._tell(message)
        else:
            self._tell(message)

    def _why_ended(self) -> str:
        """Return what the worker failed with, as execnet has it, or that its connection has ended."""
        # Taken from there, or execnet prints it when the channel goes.
        errors = getattr(self.gateway.channel, "_remoteerrors", [])
        error = errors.pop() if errors else EOFError()
        if not isinstance(error, EOFError) and (lines := str(error).strip().splitlines()):
            return f"it failed with {printable(lines[-1])}"
        return "the connection to it ended, as when its process is killed; see the system's log there"

    def _tell(self, message: Report | None) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it is closed: nobody waits any more
                loop.call_soon_threadsafe(self._deliver, message)

    def _deliver(self, message: Report | None) -> None:
        self._inbox.put_nowait((self, message))

    def _write(self, lines: bytes) -> None:
        left = memoryview(lines)
        try:
            while left and self.failure is None and self.lines_to >= 0:
                left = left[os.write(self.lines_to, left) :]
        except OSError as error:
            self.failure = error
            self._tell(None)
            return
        self.n_lines += lines.count(b"\n")
        if (on_lines := self.on_lines) is not None:
            on_lines(lines)
