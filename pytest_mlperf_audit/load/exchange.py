"""One query: bytes out, reply events in, a QueryRecord."""

from __future__ import annotations

import asyncio
import re
from time import perf_counter_ns

from ..endpoints.base import BadReplyError, EndpointAdapter, Reply, ReplyDecoder
from ..runs.query import COMPLETED, QueryRecord
from .target import Target
from .transport import Transport, TransportError

_OK = 200
_DETAIL_CHARS = 200
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\U0010ffff]+")


class Exchange:
    """Takes one reply's events. A reply with another status than 200 is never decoded, only quoted."""

    __slots__ = ("_body", "_decoder", "n_bytes", "status")

    def __init__(self, decoder: ReplyDecoder) -> None:
        self._decoder = decoder
        self._body = b""
        self.status = 0
        self.n_bytes = 0

    def on_status(self, status: int) -> None:
        """Note the status."""
        self.status = status

    def on_data(self, data: bytes, at_ns: int) -> None:
        """Pass the piece on to the decoder, or keep the start of an error's text."""
        self.n_bytes += len(data)
        if self.status == _OK:
            self._decoder.feed(data, at_ns)
        elif len(self._body) < _DETAIL_CHARS:
            self._body += data[:_DETAIL_CHARS]

    def reply(self) -> Reply:
        """Return the reply, once whole. Raises BadReplyError."""
        if self.status != _OK:
            raise BadReplyError(f"http_{self.status}", self._body.decode("utf-8", "replace"))
        return self._decoder.finish()


async def send(
    transport: Transport,
    adapter: EndpointAdapter,
    target: Target,
    record: QueryRecord,
    body: bytes,
    *,
    zero_ns: int,
    timeout_s: float | None,
    keep_output: bool,
) -> None:
    """Send one query and complete its `record`, whose issue time the caller has set.

    The completion time is taken when the last byte is here, before the reply is decoded. A cancelled query is recorded
    as such before the cancellation goes on.
    """
    exchange = Exchange(adapter.decoder(keep_output=keep_output))
    try:
        await transport.post(body, exchange, timeout_s)
        record.completed_ns = perf_counter_ns() - zero_ns
        _take(record, exchange.reply(), zero_ns)
    except (TransportError, BadReplyError) as error:
        _fail(record, error.reason, target.redact(error.detail), zero_ns)
        if error.reason == "reset" and exchange.status:
            record.outcome = "truncated"
    except asyncio.CancelledError:
        _fail(record, "cancelled", "", zero_ns)
        raise
    finally:
        record.status = exchange.status
        record.reply_bytes = exchange.n_bytes


def _take(record: QueryRecord, reply: Reply, zero_ns: int) -> None:
    record.outcome = COMPLETED
    record.reply = reply.digest
    record.reply_id = reply.id
    record.tokens = reply.tokens
    record.cached_tokens = reply.cached_tokens
    record.finish_reason = reply.finish_reason
    record.output = reply.output
    if reply.first_token_ns is not None:
        record.first_token_ns = reply.first_token_ns - zero_ns


def _fail(record: QueryRecord, reason: str, detail: str, zero_ns: int) -> None:
    record.outcome = reason
    record.detail = _UNPRINTABLE.sub(" ", detail)[:_DETAIL_CHARS] or None
    if not record.completed_ns:
        record.completed_ns = perf_counter_ns() - zero_ns
