"""One query: bytes out, reply events in, a QueryRecord."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns

import numpy as np

from ..endpoints.base import BadReplyError, EndpointAdapter, Reply, ReplyDecoder
from ..endpoints.source import ReplyIds
from ..runs.query import COMPLETED, QueryRecord, cache_header
from ..runs.spec import Keep
from ..text import printable
from .target import Target
from .transport import Message, Transport, TransportError

_OK = 200
#: Of an error's body: far more than is shown, so that a secret in it is found whole and taken out.
_MOST_ERROR_BYTES = 8192


class Exchange:
    """Takes one reply's events. A reply with another status than 200 is never decoded, only quoted.

    `latest_ns` is when the latest piece of the body came, 0 before the first.
    """

    __slots__ = ("_body", "_coding", "_decoder", "cache_header", "latest_ns", "n_bytes", "resent", "status")

    def __init__(self, decoder: ReplyDecoder) -> None:
        self._decoder = decoder
        self._body = b""
        self.latest_ns = 0
        self.status = 0
        self.n_bytes = 0
        self.resent = False
        self._coding = ""
        self.cache_header: str | None = None

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the status, and what the headers say of a cache."""
        self.status = status
        self.cache_header = cache_header(headers)
        coding = headers.get("Content-Encoding", "").strip()
        self._coding = "" if coding.lower() == "identity" else coding

    def on_data(self, data: bytes, at_ns: int) -> None:
        """Pass the piece on to the decoder, or keep the start of an error's text."""
        self.n_bytes += len(data)
        self.latest_ns = at_ns
        if self.status == _OK:
            self._decoder.feed(data, at_ns)
        elif len(self._body) < _MOST_ERROR_BYTES:
            self._body += data[:_MOST_ERROR_BYTES]

    def on_resent(self) -> None:
        """Note that the query was sent twice."""
        self.resent = True

    def reply(self) -> Reply:
        """Return the reply, once whole. Raises BadReplyError."""
        if self.status != _OK:
            raise BadReplyError(f"http_{self.status}", self._coded() or self._body.decode("utf-8", "replace"))
        try:
            return self._decoder.finish()
        except BadReplyError as error:
            if coded := self._coded():  # some servers name a coding and send none
                raise BadReplyError(error.reason, coded) from error
            raise

    def _coded(self) -> str:
        """Return what to say of a reply that the server has compressed, "" of any other."""
        if not self._coding:
            return ""
        return (
            f"the reply is coded (Content-Encoding: {self._coding}), although identity was asked for; "
            "switch compression off in the server or in the proxy before it"
        )


async def send(
    transport: Transport,
    adapter: EndpointAdapter,
    target: Target,
    record: QueryRecord,
    message: Message,
    *,
    zero_ns: int,
    timeout_s: float | None,
    keep: Keep | None = None,
    ids_of: Callable[[Reply], ReplyIds] | None = None,
) -> None:
    """Send one query and complete its `record`, whose issue time the caller has set.

    `keep` says what of the reply goes into the record; its tokens, where they do, are those that `ids_of` gives.

    The completion time is that of the last byte, whatever its decoding takes. A query that is cancelled, or that a
    defect of the adapter ends, is recorded as such before the exception goes on.
    """
    exchange = Exchange(adapter.decoder(keep_output=keep is not None and (keep.outputs or keep.tokenizer is not None)))
    try:
        await transport.post(message, exchange, timeout_s)
        record.completed_ns = (exchange.latest_ns or perf_counter_ns()) - zero_ns
        reply = exchange.reply()
        _note_reply(record, reply, target, zero_ns)
        if keep is not None and keep.outputs:
            record.output = target.redact_output(reply.output) if reply.output else reply.output
        if keep is not None and keep.token_ids and ids_of is not None:
            _note_ids(record, ids_of(reply))
    except (TransportError, BadReplyError) as error:
        _fail(record, error.reason, target.redact(error.detail), zero_ns)
        if error.reason == "reset" and exchange.status:
            record.outcome = "truncated"
    except asyncio.CancelledError:
        _fail(record, "cancelled", "", zero_ns)
        raise
    except Exception as error:
        _fail(record, "crashed", type(error).__name__, zero_ns)
        raise
    finally:
        record.status = exchange.status
        record.reply_bytes = exchange.n_bytes
        record.resent = exchange.resent
        record.cache_header = _redacted(exchange.cache_header, target)


def _note_reply(record: QueryRecord, reply: Reply, target: Target, zero_ns: int) -> None:
    record.outcome = COMPLETED
    record.reply = reply.digest
    record.reply_id = _redacted(reply.id, target)
    record.model = _redacted(reply.model, target)
    record.tokens = reply.tokens
    record.cached_tokens = reply.cached_tokens
    record.finish_reason = _redacted(reply.finish_reason, target)
    if reply.first_token_ns is not None:
        record.first_token_ns = reply.first_token_ns - zero_ns


def _note_ids(record: QueryRecord, ids: ReplyIds) -> None:
    record.output_ids = _hex(ids.output)
    record.first_ids = _hex(ids.first)
    record.ids_from = ids.made_by


def _hex(ids: Sequence[int] | None) -> str | None:
    return None if ids is None else np.asarray(ids, dtype="<i4").tobytes().hex()


def _redacted(text: str | None, target: Target) -> str | None:
    """Return text of the server's without our secrets, which it may echo anywhere."""
    return target.redact(text) if text else text


def _fail(record: QueryRecord, reason: str, detail: str, zero_ns: int) -> None:
    record.outcome = reason
    record.detail = printable(detail) or None
    if not record.completed_ns:
        record.completed_ns = perf_counter_ns() - zero_ns
