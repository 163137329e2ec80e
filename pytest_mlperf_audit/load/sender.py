"""What one connection sends: a request at once, and a large body behind it, as fast as the connection takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from ..runs.body import Pieces


class Sender:
    """Writes requests. Of a body in pieces, none is copied before the transport has room for it."""

    __slots__ = ("_paused", "_transport", "_unsent")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._unsent: Iterator[memoryview] | None = None
        self._paused = False

    def send(self, transport: asyncio.Transport, request: bytes, pieces: Pieces | None = None) -> None:
        """Write a request to a connection's transport, and the pieces of its body behind it."""
        self._transport = transport
        transport.write(request)
        if pieces is not None:
            self._unsent = iter(pieces)
            self._go_on()

    def pause(self) -> None:
        """Write no more until there is room; see asyncio.Protocol.pause_writing."""
        self._paused = True

    def resume(self) -> None:
        """Go on, since there is room; see asyncio.Protocol.resume_writing."""
        self._paused = False
        self._go_on()

    def stop(self) -> None:
        """Leave out what is not sent yet: the exchange is over."""
        self._unsent = None

    def is_sending(self) -> bool:
        """Whether a part of the request is still to be sent."""
        unsent = self._unsent is not None
        return unsent or (self._transport is not None and self._transport.get_write_buffer_size() > 0)

    def _go_on(self) -> None:
        while self._unsent is not None and self._transport is not None and not self._paused:
            if (piece := next(self._unsent, None)) is None:
                self._unsent = None
            else:
                self._transport.write(piece)
