"""A worker process: does what the controller says, and sends what becomes of it.

Three threads: execnet's takes messages, the main one runs the event loop, one of our own sends, so that a controller
that reads slowly never stops the loop. When the controller is gone, or is not heard of in mid-phase, the process ends;
by itself execnet would let it go on for fifteen seconds.
"""

from __future__ import annotations

import asyncio
import gc
import os
import queue
import signal
import threading
import time
from contextlib import suppress
from time import perf_counter_ns
from typing import Any

from ...endpoints.source import RequestSource
from ...errors import HostError
from ..http import HttpTransport
from ..loop import run_until_done
from ..pattern import in_flight
from ..target import Target
from .equipment import equipped, reason, target_of
from .messages import (
    Aim,
    Answer,
    Command,
    Deal,
    Done,
    End,
    Equip,
    Hold,
    Leave,
    Over,
    Owed,
    Piece,
    Ping,
    Pong,
    Prepare,
    Records,
    Report,
    Start,
    Stop,
    command,
    packed,
)
from .part import Part, ShippedLog

#: The controller sends four pings a second in mid-phase; one that is not heard of for so long is cut off.
_DEAF_NS = 5 * 10**9
#: What is not over so long after the end was asked for never will be.
_LAST_RESORT_S = 3.0
#: Lines that wait to be sent; a link that is so far behind will not catch up.
_MOST_WAITING = 512 * 2**20
_TICK_S = 0.25


class Shipper:
    """Sends messages from a thread of its own, lines that have gathered meanwhile as one."""

    def __init__(self, channel: Any) -> None:
        self.waiting = 0
        self._channel = channel
        self._queue: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="mlperf-shipper", daemon=True)
        self._thread.start()

    def put(self, message: Report) -> None:
        """Have a message sent, behind those before it."""
        if isinstance(message, Records):
            self.waiting += len(message.lines)
            if self.waiting > _MOST_WAITING:
                raise OSError(f"the link to this host is {_MOST_WAITING >> 20} MiB of records behind")
        self._queue.put(message)

    def close(self) -> None:
        """Send what waits, for a while."""
        self._queue.put(None)
        self._thread.join(_LAST_RESORT_S)

    def _run(self) -> None:
        with suppress(OSError):  # the channel is closed: the receiver is told the same
            while (message := self._queue.get()) is not None:
                following: Report | None = None
                if isinstance(message, Records):
                    lines = [message.lines]
                    while not self._queue.empty():
                        following = self._queue.get()
                        if not isinstance(following, Records):
                            break
                        lines.append(following.lines)
                        following = None
                    message = Records(b"".join(lines))
                    self.waiting -= len(message.lines)
                self._channel.send(packed(message))
                if following is not None:
                    self._channel.send(packed(following))


class Worker:
    """Does one command after the other; while a phase runs, the controller's words go to its Part at once."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._shipper = Shipper(channel)
        self._pieces: list[Piece] = []
        self._sources: dict[int, RequestSource] = {}
        self._target: Target | None = None
        self._transport: HttpTransport | None = None
        self._part: Part | None = None
        self._running: asyncio.Task[None] | None = None
        self._is_ending = False
        self._heard_ns = perf_counter_ns()

    async def run(self) -> None:
        """Take commands until the channel ends."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._inbox: asyncio.Queue[Command] = asyncio.Queue()
        self._channel.setcallback(self._take, endmarker=None)
        try:
            while True:
                await self._do(await self._inbox.get())
        finally:
            self._shipper.close()

    def _take(self, raw: bytes | None) -> None:
        """Take a message, in execnet's thread; None is the end."""
        if raw is None:
            self._end()
            return
        self._heard_ns = perf_counter_ns()
        message = command(raw)
        if isinstance(message, Ping):
            part = self._part
            if part is None:  # at once: a way through another thread would make the trip longer
                with suppress(OSError):
                    self._channel.send(packed(Pong(message.sent, perf_counter_ns())))
            else:  # never from this thread while records flow: two full pipes would wait for each other
                tally = part.tally
                counts = tally.n_issued, tally.n_completed, tally.n_failed, tally.latest_ns
                self._shipper.put(Pong(message.sent, perf_counter_ns(), *counts))
        else:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._on, message)

    def _end(self) -> None:
        """End this process in good order, or else without."""
        last_resort = threading.Timer(_LAST_RESORT_S, os._exit, (3,))
        last_resort.daemon = True
        last_resort.start()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        self._is_ending = True
        for task in (self._running, self._task):
            if task is not None:
                task.cancel()

    def _on(self, message: Command) -> None:
        part = self._part
        if isinstance(message, Stop):
            self._stop()
        elif part is None or not isinstance(message, (Deal, Hold, End)):
            self._inbox.put_nowait(message)
        elif isinstance(message, Deal):
            part.deal(message)
        elif isinstance(message, End):
            part.end(message)
        else:
            part.hold()

    def _stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
        else:  # it has not begun, and will not
            self._part = None
            self._shipper.put(Over("interrupted", None, "count"))

    async def _do(self, message: Command) -> None:
        if isinstance(message, Start):
            await self._run_part(message.at_ns)
        elif isinstance(message, Owed):
            self._shipper.put(Answer(await self._owed(message.patience_s)))
        elif not isinstance(message, (Deal, Hold, End)):  # those are of a phase that is over
            try:
                await self._prepare(message)
            except Exception as error:  # noqa: BLE001 - the controller says it to the user
                self._shipper.put(Done(reason(error)))
            else:
                self._shipper.put(Done())

    async def _prepare(self, message: Command) -> None:
        if isinstance(message, Piece):
            self._pieces.append(message)
        elif isinstance(message, Equip):
            self._sources[message.source] = equipped(message, self._pieces)
        elif isinstance(message, Aim):
            await self._aim(message)
        elif isinstance(message, Prepare):
            await self._prepare_part(message)
        elif isinstance(message, Leave):
            await self._leave()

    async def _aim(self, message: Aim) -> None:
        await self._leave()
        self._target, adapter = target_of(message.target), self._sources[message.source].adapter
        transport = HttpTransport(self._target, adapter.path, adapter.headers, adapter.max_reply_bytes)
        if not message.probe:
            self._transport = transport
            return
        try:
            if refusal := await transport.refusal():
                what = self._target.redact(refusal.detail)
                raise HostError(f"endpoint {self._target.label} cannot be reached from there ({what})")
        finally:
            await transport.close()

    async def _leave(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    async def _prepare_part(self, message: Prepare) -> None:
        assert self._transport is not None, "a worker is aimed before it is prepared"
        assert self._target is not None, "as above"
        log = ShippedLog(message.place[0], lambda lines: self._shipper.put(Records(lines)))
        source = self._sources[message.source]
        part = Part(message, source, self._target, self._transport, log, self._shipper.put)
        await self._transport.connect(in_flight(message.spec))
        gc.collect()
        gc.freeze()
        self._part = part
        part.prepare()

    async def _run_part(self, at_ns: int) -> None:
        part, transport = self._part, self._transport
        if part is None or transport is None:  # it was stopped before it began
            return
        starved, began_s = transport.starved(), time.process_time()
        self._running = asyncio.ensure_future(part.begin(at_ns))
        ticking = asyncio.ensure_future(self._tick(transport))
        try:
            await self._running
        except asyncio.CancelledError:
            if self._is_ending:
                raise
        finally:
            ticking.cancel()
            self._running = self._part = None
        self._shipper.put(
            Over(
                part.status,
                part.reason,
                part.stopped_by,
                part.highest,
                part.shipped.n_records,
                transport.taken(),
                transport.starved() - starved,
                part.dry,
                time.process_time() - began_s,
                part.unmatched,
                part.shipped.failures(),
                part.shipped.longest_s,
                part.client,
            )
        )

    async def _tick(self, transport: HttpTransport) -> None:
        """Make room for starving queries, and notice a controller that is cut off."""
        while True:
            await asyncio.sleep(_TICK_S)
            transport.relieve()
            if perf_counter_ns() - self._heard_ns > _DEAF_NS:
                self._end()

    async def _owed(self, patience_s: float) -> str | None:
        if self._transport is None:
            return None
        return await self._transport.owed(patience_s) or self._transport.unasked()


def serve(channel: Any) -> None:
    """Be a worker until the channel ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the controller's, who tells us
    worker = Worker(channel)
    with suppress(KeyboardInterrupt, asyncio.CancelledError):  # SIGTERM; the end
        run_until_done(worker.run)
