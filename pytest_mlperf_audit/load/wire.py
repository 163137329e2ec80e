"""One connection: a request's bytes out, its reply's events in, and nothing that was not asked for.

Replies are parsed where their bytes arrive, by httptools (llhttp), with the leniencies that aiohttp's client has.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from functools import partial
from time import perf_counter_ns
from typing import cast

import httptools

from ..runs.body import Pieces
from .broken import NoReplyError, broken_off
from .head import Head
from .loop import settle
from .sender import Sender
from .target import Address
from .transport import ReplyParts, TransportError

#: Beside its body a reply has its head, trailers and the sizes of its chunks: so much, and so many bytes for one of it.
_MOST_BESIDE_BODY = 2**18
_MOST_BESIDE_A_BYTE = 16
_MOST_QUOTED_BYTES = 100

_FINAL = 200
_SWITCHING = 101
_FIRST_REFUSAL = 300


class Connection(asyncio.Protocol):
    """Carries one request at a time.

    `usable`: another request may go out, since it is open, owes nothing, and has nothing on it that nobody asked for.
    `answered`: it has carried one whole reply, so that it is a kept connection. `greeted`: to a greeting. `held`:
    somebody has it, so that it is not idle. `idle_since_s` is on the loop's clock. `unasked` is called once, when
    something comes that no request has asked for, a part of a reply or no HTTP at all; `lost` when the connection has
    ended. `through` is the proxy that it goes through, "" for none.
    """

    __slots__ = (
        *("address", "answered", "greeted", "held", "idle_since_s", "on_body", "on_header", "through"),
        *("_arrived", "_at_ns", "_body_bytes", "_closed", "_ended", "_fields", "_head", "_informal", "_loop"),
        *("_lost", "_most", "_n_own", "_parser", "_pieces", "_poll", "_received", "_reply", "_second"),
        *("_sender", "_switched", "_touched", "_transport", "_unasked", "_whole", "usable"),
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: Address,
        unasked: Callable[[], None],
        lost: Callable[[Connection], None],
        through: str = "",
    ) -> None:
        self.address, self.through = address, through
        self.answered = self.greeted = self.held = False
        self.idle_since_s = 0.0
        self._loop, self._unasked, self._lost = loop, unasked, lost
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._ended: Callable[[BaseException | None], None] | None = None
        self._reply: ReplyParts | None = None
        self._head: Head | None = None
        self._fields: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._sender = Sender()
        #: What the parser calls for each field, trailers included, and each piece of body: own methods, to be quick.
        self.on_header, self.on_body = self._fields.setdefault, self._pieces.append
        self._closed = self._touched = self._informal = self._second = self._switched = False
        self.usable = self._whole = True
        self._arrived = self._at_ns = self._received = self._body_bytes = self._most = self._n_own = 0
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    def is_on(self, file: int) -> None:
        """Note the connection's socket by its file descriptor."""
        self._poll = select.poll()
        self._poll.register(file, select.POLLIN)

    def has_unread(self) -> bool:
        """Whether something has arrived that the loop has not read yet, be it the connection's end."""
        return self._poll is not None and bool(self._poll.poll(0))

    def ask(
        self,
        request: bytes,
        reply: ReplyParts,
        most_bytes: int,
        ended: Callable[[BaseException | None], None],
        pieces: Pieces | None = None,
    ) -> None:
        """Send a request, have its reply told to `reply`, and call `ended` once that is whole, or with what is wrong.

        `pieces` are sent behind it as fast as the connection takes them. What is wrong is a TransportError,
        NoReplyError where not one byte came, or what `reply` raised.
        """
        if self._transport is None or not self.usable:
            closed = NoReplyError("reset", "the connection was closed before the query was sent")
            self._loop.call_soon(ended, closed)
            return
        self._ended, self._reply, self._most = ended, reply, most_bytes
        self._touched = self._whole = False
        self._head = None
        self._received = self._body_bytes = 0
        self._sender.send(self._transport, request, pieces)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._sender.pause()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._sender.resume()

    async def wait_for(self, request: bytes, reply: ReplyParts, most_bytes: int) -> None:
        """Send a request and wait for the end of its reply; raises what `ask` calls `ended` with."""
        over: asyncio.Future[None] = self._loop.create_future()
        self.ask(request, reply, most_bytes, partial(settle, over))
        await over

    def cut(self) -> None:
        """End the exchange in progress, whose time is over."""
        self._fail(TransportError("timeout", "no whole reply within the time limit"))

    def give_up(self) -> None:
        """End the exchange in progress, which nobody waits for any more."""
        self._fail(TransportError("cancelled", ""))

    def close(self) -> None:
        """Close the connection once what was written is sent."""
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._closed = True
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's have the methods, not the class

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; see asyncio.Protocol."""
        if self._closed:
            return
        self._at_ns = perf_counter_ns()
        self._arrived = len(data)
        self._received += self._arrived
        error = self._parse(data)
        if self._pieces:
            error = self._pass_on() or error
        if error is not None:
            self._fail(error)
            return
        if self._second:
            self._note_unasked()
        if self._whole:
            self._finish()
        elif self._received > _MOST_BESIDE_BODY + _MOST_BESIDE_A_BYTE * self._body_bytes:
            self._fail(TransportError("protocol", f"Got more than {_MOST_BESIDE_BODY} bytes beside the reply's body"))

    def _parse(self, data: bytes) -> BaseException | None:
        """Parse what arrived; return what is wrong with it, or what somebody who was told of it raised."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if upgrade.args[0] < len(data) and not self._second:
                self._unasked()
        except httptools.HttpParserCallbackError as error:
            return error.__context__ or error
        except httptools.HttpParserError as error:
            if not self._whole:  # what is no HTTP while nothing is owed, on_message_begin has noted as begun unasked
                return TransportError("protocol", self._quoted(str(error), data))
        return None

    def _pass_on(self) -> BaseException | None:
        """Tell of the pieces of body that arrived together, as one; return what is wrong with them."""
        pieces = self._pieces[: self._n_own] if self._second else self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces.clear()
        if self._reply is None or not data:
            return None
        if self._informal:
            return _informal_body()
        self._body_bytes += len(data)
        try:
            self._reply.on_data(data, self._at_ns)
        except BaseException as error:  # noqa: BLE001 - it is raised where the reply is waited for
            return error
        if self._body_bytes > self._most:
            return TransportError("too_large", f"the reply exceeds {self._most} bytes")
        return None

    def eof_received(self) -> None:
        """See asyncio.Protocol: no more will come, and `connection_lost` follows."""
        self.usable = False

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange in progress; see asyncio.Protocol."""
        self._closed = True
        self.usable = False
        self._lost(self)
        if self._ended is None:
            return
        if self._head is not None and exc is None and self._head.ends_by_closing:
            self._finish()
        else:
            self._fail(broken_off(exc, self._head, self._body_bytes, begun=self._touched, through=self.through))

    def on_message_begin(self) -> None:
        """Note that a message begins, be it HTTP or not: any byte but an empty line's, which a reply may end in."""
        if self._whole:
            if not self._second:
                self._n_own = len(self._pieces)
            self._second = True
            return
        self._touched = True
        self._fields.clear()
        self._informal = False

    def on_headers_complete(self) -> None:
        """See httptools."""
        if self._second or self._reply is None:
            return
        status = self._parser.get_status_code()
        if status < _FINAL and status != _SWITCHING:
            self._informal = True
            return
        self._head = Head(self._fields, self._received)
        self._switched = self._whole = status == _SWITCHING  # the parser stops here, and what follows is no HTTP
        self.usable = not self._switched and self._parser.should_keep_alive()
        if self._sender.is_sending():
            self._note_early(status)
        self._reply.on_head(status, self._head)

    def on_message_complete(self) -> None:
        """See httptools."""
        if self._second:
            return
        if not self._informal:
            self._whole = True
        elif self._pieces:
            raise _informal_body()
        else:
            self._received = self._arrived

    def _finish(self) -> None:
        if (ended := self._take_ended()) is None:
            return
        self.answered = True
        ended(None)

    def _fail(self, error: BaseException) -> None:
        ended = self._take_ended()
        self.abort()
        if ended is not None:
            ended(error)

    def _take_ended(self) -> Callable[[BaseException | None], None] | None:
        ended, self._ended, self._reply = self._ended, None, None
        self._sender.stop()
        return ended

    def _note_early(self, status: int) -> None:
        """Have a reply that began before its request was wholly sent be the last one here.

        A request may be refused unread (RFC 9112, 9.3); an answer to what the server has not seen was not asked for.
        """
        self.usable = False
        if status < _FIRST_REFUSAL:
            self._unasked()

    def _note_unasked(self) -> None:
        if self.usable:
            self._unasked()
        self.close()

    def _quoted(self, reason: str, data: bytes) -> str:
        """Return what the parser found wrong, with the line in which a reply's head breaks off."""
        if self._head is not None:
            return reason
        line = data.partition(b"\n")[0].rstrip(b"\r")[:_MOST_QUOTED_BYTES]
        return f"{reason}: {line!r}"


def _informal_body() -> TransportError:
    return TransportError("protocol", "an informational reply has a body")
