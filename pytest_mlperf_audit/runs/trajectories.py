"""Trajectories: recorded conversations that are played turn by turn, and what sets one apart from another.

A turn is what the client sends: a user's message or the results of tools, with the recorded history before it. A
trajectory is one conversation played from its first turn to its last; the next turn is sent when the reply to the one
before it is whole, and the history is the recorded one, whatever was replied.
Source: mlcommons/endpoints `load_generator/agentic_inference_strategy.py`, `examples/10_Agentic_Inference/README.md`.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

#: 64 bits, as MLPerf Endpoints asks for (`endpoints_rules.md`, § 2.9.5.1); the endpoints tool has 16.
_SALT_BYTES = 8
_REPEAT = re.compile(r"__repeat_[0-9]+$")


class Trajectories(msgspec.Struct, frozen=True, tag_field="kind", tag="trajectories"):
    """The conversations of a data set in the order of the file, `count` of them; from the first again after the last.

    `turns` says how many turns each conversation has; the rows of the data set are these turns, numbered through.
    `headers` are the HTTP headers that carry a trajectory's id. `tool_delays`: a turn waits for as long as its row
    says. `salt_seed`: every trajectory is salted by it, None for none. `stop_at_end`: nothing is sent any more once
    the first slot has no next trajectory.
    """

    turns: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)]
    count: int
    headers: tuple[str, ...] = ()
    tool_delays: bool = False
    salt_seed: int | None = None
    stop_at_end: bool = False

    @property
    def n_turns(self) -> int:
        """The turns of all trajectories together."""
        passes, rest = divmod(self.count, len(self.turns))
        return passes * sum(self.turns) + sum(self.turns[:rest])

    def all(self) -> Iterator[Trajectory]:
        """Yield the trajectories in the order in which they begin."""
        firsts = [0, *itertools.accumulate(self.turns)]
        for number in range(self.count):
            repeat, at = divmod(number, len(self.turns))
            yield Trajectory(firsts[at], self.turns[at], repeat + 1)


class Trajectory(NamedTuple):
    """One conversation to be played: its first row, how many rows (turns) it has, and which repeat it is, from 1."""

    first: int
    n_turns: int
    repeat: int

    def name(self, conversation: str) -> str:
        """Return the id of this trajectory of a conversation: `c1`, and from the second pass on `c1__repeat_2`."""
        return conversation if self.repeat == 1 else f"{conversation}__repeat_{self.repeat}"


def is_repeat(name: str) -> bool:
    """Whether a trajectory of a second pass, or a later one, may have this id."""
    return _REPEAT.search(name) is not None


class Salt(NamedTuple):
    """What is put before and behind a trajectory's system prompt, 64 bits each.

    `before` is that of the pass over the data set, so that nothing can be used again in the next one; `behind` is the
    conversation's, so that two of them share the system prompt at most.
    """

    before: str
    behind: str

    @classmethod
    def of(cls, seed: int, repeat: int, conversation: str) -> Salt:
        """Return the salt of a trajectory; equal arguments give the same."""
        return cls(_marker(f"{seed}/repeat/{repeat}"), _marker(f"{seed}/conversation/{conversation}"))

    def applied(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return messages with the first system prompt salted; see `has_system_prompt`."""
        at = _system_prompt(messages)
        assert at is not None, "looked for before anything is sent"
        content = f"{self.before}\n\n{messages[at]['content']}\n\n{self.behind}"
        return [*messages[:at], {**messages[at], "content": content}, *messages[at + 1 :]]


def has_system_prompt(messages: list[dict[str, Any]]) -> bool:
    """Whether there is a system prompt, as a text, to be salted."""
    return _system_prompt(messages) is not None


def _system_prompt(messages: list[dict[str, Any]]) -> int | None:
    return next((at for at, one in enumerate(messages) if _is_system_prompt(one)), None)


def _is_system_prompt(message: Mapping[str, Any]) -> bool:
    return message.get("role") == "system" and isinstance(message.get("content"), str)


def _marker(what: str) -> str:
    return f"[salt: {hashlib.blake2b(what.encode(), digest_size=_SALT_BYTES).hexdigest()}]"
