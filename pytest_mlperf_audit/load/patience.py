"""How long a run's phases may take, and how long an endpoint may say nothing: a phase that takes longer is ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Final, Protocol

from ..runs.phase import Status
from .progress import Progress

_LOOK_EVERY_S: Final = 0.05


class _Phase(Protocol):
    status: Status
    reason: str | None

    async def run(self) -> None: ...

    def progress(self) -> Progress: ...


@dataclass(frozen=True)
class Patience:
    """`until_ns` ends the run's phases, by the counter that all processes of a machine share; None: nothing does.

    `limit_s` is how long that was from the first phase on, to be told. `idle_s` is how long no reply may come while
    queries are in flight, None for ever.
    """

    until_ns: int | None = None
    limit_s: float = 0.0
    idle_s: float | None = None

    def over(self) -> str:
        """Return why nothing may be sent any more, "" while it may."""
        if self.until_ns is None or perf_counter_ns() < self.until_ns:
            return ""
        return (
            f"the run took longer than its limit of {self.limit_s:g} s (settings.timeouts.run_timeout_s); raise it, or "
            "send less"
        )

    async def run(self, phase: _Phase) -> None:
        """Run a phase; where it takes too long it ends as interrupted, with every query that it sent in its records."""
        if self.until_ns is None and self.idle_s is None:
            await phase.run()
            return
        running = asyncio.ensure_future(phase.run())
        try:
            why = await self._watch(running, phase)
        except asyncio.CancelledError:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            raise
        if not why:
            running.result()
            return
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        progress = phase.progress()
        phase.status, phase.reason = "interrupted", f"{why}; {progress.completed} of {progress.requested} had completed"

    async def _watch(self, running: asyncio.Future[None], phase: _Phase) -> str:
        """Wait for a phase's end or for that of the patience; return why it ran out, "" where the phase ended first."""
        ended, since_ns = 0, perf_counter_ns()
        while True:
            done, _ = await asyncio.wait([running], timeout=_LOOK_EVERY_S)
            if done:
                return ""
            now_ns, progress = perf_counter_ns(), phase.progress()
            had, ended = ended, progress.completed + progress.failed
            if ended != had or ended == progress.issued:  # a reply came, or none is due
                since_ns = now_ns
            if why := self.over() or self._silent(progress.issued - ended, (now_ns - since_ns) / 1e9):
                return why

    def _silent(self, in_flight: int, silent_s: float) -> str:
        if self.idle_s is None or silent_s < self.idle_s:
            return ""
        return (
            f"no reply came for {self.idle_s:g} s with {in_flight} queries in flight "
            "(settings.timeouts.endpoint_response_idle_timeout_s); see to the endpoint, or allow more than its longest "
            "query takes"
        )


ENDLESS: Final = Patience()
