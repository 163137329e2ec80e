"""The workers of one phase as their controller has them while it lasts: told, listened to, watched, stopped."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from time import perf_counter_ns

from .joint_log import JointLog
from .member import Inbox, LostError, Member
from .messages import Command, Done, Over, Ping, Records, Report, Stop

#: Opening connections and their greetings have time limits of their own, below this.
_PREPARE_S = 120.0
_BEAT_S = 0.25
#: A link on which nothing has come for so many beats is cut: two seconds.
_SILENT_BEATS = 8
#: What workers get to end a phase that is to end at once.
_STOP_S = 2.0


class Team:
    """Some workers of a crew, for one phase: `waiting` are those whose part is not over, `overs` how the others ended.

    Records go to `log`, and are shown to whoever listens until `look_no_more`.
    """

    def __init__(self, members: Sequence[Member], log: JointLog) -> None:
        self.members = members
        self.waiting = {member.number: member for member in members}
        self.overs: dict[int, Over] = {}
        self._log = log
        self._inbox: Inbox = asyncio.Queue()

    def bind(self) -> None:
        """Take what they say from now on, and have their records written. Raises OSError."""
        loop = asyncio.get_running_loop()
        for member in self.members:
            member.begin_phase()
            member.bind(self._inbox)
        self._log.open(self.members)
        for member in self.members:
            member.on_lines = partial(self._pass_on, loop, member)

    def _pass_on(self, loop: asyncio.AbstractEventLoop, member: Member, lines: bytes) -> None:
        """Have records looked at; called from execnet's thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody looks any more
            loop.call_soon_threadsafe(self._inbox.put_nowait, (member, Records(lines)))

    def look_no_more(self) -> None:
        """Have no more records shown."""
        for member in self.members:
            member.on_lines = None

    async def hear(self) -> tuple[Member, Report]:
        """Return what one of them says next. Raises LostError."""
        member, message = await self._inbox.get()
        if message is None:
            why = member.lost
            if member.failure is not None:
                why = f"its records could not be written ({member.failure.strerror or member.failure})"
            raise LostError(f"{member.name}: {why}")
        if isinstance(message, Over):
            self.waiting.pop(member.number, None)
            self.overs[member.number] = message
        return member, message

    async def prepared(self) -> list[tuple[Member, Report]]:
        """Wait until all have done what they were told; return what else they said. Raises LostError."""
        heard: list[tuple[Member, Report]] = []
        try:
            await asyncio.wait_for(self._all_prepared(heard), _PREPARE_S)
        except asyncio.TimeoutError:
            raise LostError(f"the workers did not open their connections within {_PREPARE_S:g} s") from None
        return heard

    async def _all_prepared(self, heard: list[tuple[Member, Report]]) -> None:
        n_prepared = 0
        while n_prepared < len(self.members):
            member, message = await self.hear()
            if not isinstance(message, Done):
                heard.append((member, message))
            elif message.problem:
                raise LostError(f"{member.name}: {message.problem}")
            else:
                n_prepared += 1

    def tell(self, message: Command) -> None:
        """Say something to those whose part is not over. Raises LostError."""
        for member in tuple(self.waiting.values()):
            member.send(message)

    async def beat(self) -> None:
        """Ask each whether it is there, for ever. Raises LostError when one is silent for too long.

        Beats are counted, not time: what has come while this process was held up is still to be heard.
        """
        silent: Counter[int] = Counter()
        while True:
            for number, member in tuple(self.waiting.items()):
                silent[number] = 0 if member.is_heard else silent[number] + 1
                member.is_heard = False
                if silent[number] > _SILENT_BEATS:
                    silent_s = _SILENT_BEATS * _BEAT_S
                    member.give_up(
                        f"nothing came from it for {silent_s:g} s; see whether its machine and the link to it hold up"
                    )
                    raise LostError(f"{member.name}: {member.lost}")
                member.send(Ping(perf_counter_ns()))
            await asyncio.sleep(_BEAT_S)

    async def stop(self) -> None:
        """Have all end at once, and wait a while for their records."""
        left = {number: member for number, member in self.waiting.items() if not member.lost}
        for member in left.values():
            member.bind(self._inbox)  # it may not have been yet
            with suppress(LostError):
                member.send(Stop())
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopped(left), _STOP_S)
        for member in left.values():
            member.give_up("it did not stop when it was told")

    async def _stopped(self, left: dict[int, Member]) -> None:
        while left:
            member, message = await self._inbox.get()
            if isinstance(message, Over):
                self.overs[member.number] = message
            if message is None or isinstance(message, Over):
                left.pop(member.number, None)

    @property
    def n_lines(self) -> int:
        """Records that have come."""
        return sum(member.n_lines for member in self.members)

    def missing(self) -> str | None:
        """Return which records have not come of parts that are over, or None."""
        for member in self.members:
            n_sent = self.overs[member.number].n_records
            if member.n_lines != n_sent:
                return f"{member.name}: {member.n_lines} of its {n_sent} records came"
        return None

    def close(self) -> None:
        """Take no more records, and have the log know what was counted."""
        self.look_no_more()
        for member in self.members:
            member.lines_to = -1
        failed: Counter[str] = Counter()
        for over in self.overs.values():
            failed.update(over.failures)
        self._log.failed = dict(failed)
        self._log.longest_s = max((over.longest_s for over in self.overs.values()), default=0.0)
