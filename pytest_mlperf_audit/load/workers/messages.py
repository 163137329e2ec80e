"""What the controller and a worker tell each other: msgpack bytes in the gateway's channel, so that secrets stay in it.

execnet itself carries no integers of 64 bits, paths or structs; bytes it carries as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ...runs.phase import ClientState, Status, StoppedBy
from ...runs.spec import Keep, RunSpec
from .dealer import Chunk


class _Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One message. Times are nanoseconds on the worker's own clock, or since the start of the phase."""


# From the controller.


class Piece(_Message, frozen=True, tag="piece"):
    """Some JSON rows of a data set, one behind the other, and the length of each."""

    rows: bytes
    lengths: tuple[int, ...]


class Equip(_Message, frozen=True, tag="equip"):
    """The rows of the pieces before are a data set, numbered `source`, sent by an adapter; see `equipment`.

    `fingerprints` are digests of some of its requests, `keeps` what phases keep of the replies.
    """

    source: int
    name: str
    adapter: tuple[str, str, str]
    params: dict[str, Any]
    streaming: bool
    search: tuple[str, ...]
    fingerprints: dict[int, str]
    keeps: tuple[Keep, ...]


class Aim(_Message, frozen=True, tag="aim"):
    """The target, as its fields, which hold secrets; a transport to it is made for the phases that follow.

    With `probe` it is only seen whether a connection can be opened.
    """

    target: dict[str, Any]
    source: int
    probe: bool = False


class Prepare(_Message, frozen=True, tag="prepare"):
    """A phase: its spec with this worker's share of the load; of a schedule, which positions are the worker's."""

    spec: RunSpec
    source: int
    place: tuple[int, int]
    until: int | None


class Start(_Message, frozen=True, tag="start"):
    """The phase begins at a time on the worker's clock."""

    at_ns: int


class Deal(_Message, frozen=True, tag="deal"):
    """Positions to send; no more than `most` are to be held."""

    chunk: Chunk
    most: int


class Hold(_Message, frozen=True, tag="hold"):
    """Give back what has not been sent."""


class End(_Message, frozen=True, tag="end"):
    """No more positions come; of a schedule, those below `until` are still sent."""

    stopped_by: StoppedBy
    until: int


class Stop(_Message, frozen=True, tag="stop"):
    """End the phase now; what is in flight is given up."""


class Owed(_Message, frozen=True, tag="owed"):
    """Ask each connection a last question, waiting so long for replies that are due."""

    patience_s: float


class Leave(_Message, frozen=True, tag="leave"):
    """Close the transport; the phases of the group are over."""


class Ping(_Message, frozen=True, tag="ping"):
    """A question for the clock; also says that the controller is there."""

    sent: int


# From a worker.


class Pong(_Message, frozen=True, tag="pong"):
    """The answer: the worker's clock, and how far the phase is."""

    sent: int
    clock: int
    issued: int = 0
    completed: int = 0
    failed: int = 0
    latest_ns: int = 0


class Done(_Message, frozen=True, tag="done"):
    """What was asked is done; `problem` is why it could not be."""

    problem: str = ""


class Want(_Message, frozen=True, tag="want"):
    """The worker wants so many more positions."""

    wanted: int


class Reached(_Message, frozen=True, tag="reached"):
    """A query has ended behind the floor of duration; positions below `position` are taken."""

    at_ns: int
    position: int


class Held(_Message, frozen=True, tag="held"):
    """What the worker gives back, and the highest position that it has sent."""

    chunks: tuple[Chunk, ...]
    highest: int


class Records(_Message, frozen=True, tag="records"):
    """Lines of queries.jsonl."""

    lines: bytes


class Over(_Message, frozen=True, tag="over"):
    """The worker's part of a phase is over; every record of it was sent before."""

    status: Status
    reason: str | None
    stopped_by: StoppedBy
    highest: int = -1
    n_records: int = 0
    taken: int | None = None
    starved: int = 0
    dry: int = 0
    cpu_s: float = 0.0
    unmatched: bool = False
    failures: dict[str, int] = {}
    longest_s: float = 0.0
    client: ClientState | None = None


class Answer(_Message, frozen=True, tag="answer"):
    """What shows that replies were those of other queries, None where nothing does."""

    owed: str | None


Command = Piece | Equip | Aim | Prepare | Start | Deal | Hold | End | Stop | Owed | Leave | Ping
Report = Pong | Done | Want | Reached | Held | Records | Over | Answer


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return tuple(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be sent to a worker")


_encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode
_command = msgspec.msgpack.Decoder(Command).decode
_report = msgspec.msgpack.Decoder(Report).decode


def packed(message: Command | Report) -> bytes:
    """Return a message as bytes."""
    return _encode(message)


def command(raw: bytes) -> Command:
    """Return what the controller says."""
    return _command(raw)


def report(raw: bytes) -> Report:
    """Return what a worker says."""
    return _report(raw)
