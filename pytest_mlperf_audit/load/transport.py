"""The seam between the load engine and a client: request bytes out, reply events in.

A transport knows connections and HTTP and nothing else. It neither decodes replies nor keeps records, so that another
can take its place by implementing these methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from ..runs.body import Body


class TransportError(Exception):
    """The exchange failed below the reply's content; `reason` is one of `runs.query.REASONS`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Message(NamedTuple):
    """A query as a transport sends it. `query` goes into the URL; `route` picks an address, None takes turns.

    `headers` are lines of its own head, each with its end.
    """

    body: Body
    query: str = ""
    route: int | None = None
    headers: bytes = b""


class Connections(NamedTuple):
    """Connections so far: opened, used again for a request, and queries sent once more for want of one."""

    opened: int
    reused: int
    resent: int


class ReplyParts(Protocol):
    """The parts of one reply as they arrive: one head, then any number of pieces of body."""

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        """The reply's head arrived."""

    def on_data(self, data: bytes, at_ns: int) -> None:
        """A piece of the body arrived at `at_ns` (time.perf_counter_ns)."""


class ReplyEvents(ReplyParts, Protocol):
    """What a transport reports of a query: the parts of its reply, and the end.

    Before them, at most once, that the query was sent again.
    """

    def on_resent(self) -> None:
        """A kept connection was closed before any byte of a reply; the query goes out once more on a fresh one."""

    def on_end(self, error: BaseException | None) -> None:
        """The reply is whole, or `error` says why it is not: a TransportError, or what one of these methods raised."""


class Posted(Protocol):
    """A query that a transport carries."""

    def cancel(self) -> None:
        """Give it up: its connection is closed, and no more is reported of it."""


class Transport(Protocol):
    """A pooled HTTP client bound to one target."""

    async def connect(self, connections: int) -> list[TransportError]:
        """Open and keep that many connections without sending a query; return what went wrong with any of them."""

    def taken(self) -> int | None:
        """Return how many connections the endpoint takes, where those are fewer than were offered, else None."""

    def relieve(self) -> None:
        """See whether queries starve on connections that the endpoint does not take, and make room for them."""

    def starved(self) -> int:
        """Return how many queries have starved so far."""

    def connections(self) -> Connections:
        """Return how many connections were opened, and used again, so far."""

    async def refusal(self) -> TransportError | None:
        """Return why the endpoint takes no connection now, None when it does."""

    def unasked(self) -> str | None:
        """Return what shows that replies came which no query had asked for, None where nothing does."""

    async def owed(self, patience_s: float) -> str | None:
        """Return what shows, after the last query, that replies were those of other queries; None where nothing does.

        A reply that should have come by now is waited for `patience_s` seconds.
        """

    def post(self, message: Message, reply: ReplyEvents, timeout_s: float | None) -> Posted:
        """Send one query and report its reply, the end exactly once; nothing is reported before this has returned."""

    async def close(self) -> None:
        """Close every connection."""
