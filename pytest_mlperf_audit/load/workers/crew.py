"""All workers of a run: equipped before anything is sent, aimed at the endpoint for a group of phases."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter_ns
from typing import Any, TypeVar

from ...endpoints.source import RequestSource
from ...errors import HostError, NoVerdictError
from ...runs.spec import RunSpec
from ..loop import run_until_done
from ..target import Target
from .clocks import Reading, best
from .equipment import equipment, pieces, target_fields
from .gateways import Gateways
from .joint import JointPhase
from .joint_log import JointLog
from .member import LostError, Member
from .messages import Aim, Answer, Command, Leave, Owed, Ping, Pong

_Result = TypeVar("_Result")

#: A worker imports, encodes rows, or opens connections meanwhile.
_PATIENCE_S = 60.0
#: Round trips before a phase and after it: so many, or fewer when one says as much as a clock needs to be known.
_PINGS = 200
_FEWEST_PINGS = 20
_GOOD_NS = 30_000
_READ_AT_ONCE = 8


class Crew:
    """Workers that are ready to send. Raises HostError where one cannot be started, or is not like this process."""

    def __init__(self, specs: Sequence[str]) -> None:
        self._gateways = Gateways(specs)
        self.members = [Member(gateway) for gateway in self._gateways.opened]
        self.is_whole = True
        self._sources: list[RequestSource] = []

    @property
    def can_send(self) -> bool:
        """Whether every worker is still there, and none was stopped in mid-phase."""
        return self.is_whole and not any(member.lost for member in self.members)

    def close(self) -> None:
        """End all workers."""
        self._gateways.close()

    def equip(self, phases: Iterable[tuple[RequestSource, RunSpec]], target: Target | None) -> None:
        """Give all workers the rows, and see that they make the same requests of them and reach the target, if any.

        Raises HostError, and KeyboardInterrupt after a signal.
        """
        specs: dict[int, list[RunSpec]] = {}
        for source, spec in phases:
            specs.setdefault(self.number_of(source), []).append(spec)

        async def give() -> None:
            self._bind()
            for number, of_source in specs.items():
                source = self._sources[number]
                for piece in pieces(source):
                    await self._all_do(piece)
                await self._all_do(equipment(number, source, of_source))
            if target is not None:
                for number in list(specs)[:1]:
                    await self._all_do(Aim(target_fields(target), number, probe=True))

        try:
            run_until_done(give)
        except LostError as error:
            raise HostError(str(error)) from error

    def number_of(self, source: RequestSource) -> int:
        """Return by which number workers know a source."""
        for number, known in enumerate(self._sources):
            if known is source:
                return number
        self._sources.append(source)
        return len(self._sources) - 1

    async def aim(self, source: RequestSource, target: Target) -> None:
        """Have each worker make a transport to the target, for a group of phases. Raises NoVerdictError."""
        self._bind()
        try:
            await self._all_do(Aim(target_fields(target), self.number_of(source)))
        except LostError as error:
            raise NoVerdictError(f"the phases were not sent: {error}") from error

    def phase(self, spec: RunSpec, source: RequestSource, path: Path) -> JointPhase:
        """Return a phase that all workers send; its records go to `path`. Raises OSError."""
        return JointPhase(spec, source, self, JointLog(path))

    async def leave(self) -> None:
        """Have each worker close its connections."""
        if self.can_send:
            self._bind()
            with suppress(LostError):
                await self._all_do(Leave())

    async def owed(self, patience_s: float) -> str | None:
        """Return what shows that replies were those of other queries; see Transport. Raises NoVerdictError."""
        self._bind()
        try:
            for member in self.members:
                member.send(Owed(float(patience_s)))
            answers = [await member.expect(Answer, patience_s + _PATIENCE_S) for member in self.members]
        except LostError as error:
            raise NoVerdictError(f"whether replies are owed could not be asked: {error}") from error
        return next((answer.owed for answer in answers if answer.owed), None)

    async def read_clocks(self, members: Sequence[Member]) -> list[Reading]:
        """Return the clock of each worker, none of which has a phase going on. Raises LostError."""
        for member in members:
            member.bind()
        at_once = asyncio.Semaphore(1 if len(members) <= _READ_AT_ONCE else _READ_AT_ONCE)

        async def read(member: Member) -> Reading:
            async with at_once:
                return await _read_clock(member)

        return await _all(map(read, members))

    def _bind(self) -> None:
        for member in self.members:
            member.bind()

    async def _all_do(self, command: Command) -> None:
        problems = await _all(member.do(command, _PATIENCE_S) for member in self.members)
        for member, problem in zip(self.members, problems, strict=True):
            if problem:
                raise LostError(f"{member.gateway.spec}: {problem}")


async def _all(them: Iterable[Coroutine[Any, Any, _Result]]) -> list[_Result]:
    """Return what all come to; what one of them raises is raised when all are over."""
    found = await asyncio.gather(*them, return_exceptions=True)
    results = []
    for one in found:
        if isinstance(one, BaseException):
            raise one
        results.append(one)
    return results


async def _read_clock(member: Member) -> Reading:
    member.trips.clear()
    for n_done in range(1, _PINGS + 1):
        sent_ns = perf_counter_ns()
        member.send(Ping(sent_ns))
        while (await member.expect(Pong, _PATIENCE_S)).sent != sent_ns:
            pass  # a late one
        if n_done >= _FEWEST_PINGS and best(member.trips).error <= _GOOD_NS:
            break
    found = best(member.trips)
    member.trips.clear()
    return found
