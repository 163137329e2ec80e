"""One query: reply events in, a QueryRecord."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns

import numpy as np

from ..endpoints.base import BadReplyError, EndpointAdapter, Reply, ReplyDecoder, tell_head, tell_request
from ..endpoints.source import ReplyIds
from ..runs.body import Body
from ..runs.cache_headers import cache_header
from ..runs.message import AssistantMessage, ToolCall
from ..runs.query import COMPLETED, QueryRecord
from ..runs.spec import Keep
from ..text import printable
from .target import Target
from .transport import TransportError

_OK = 200
#: Of an error's body: far more than is shown, so that a secret in it is found whole and taken out.
_MOST_ERROR_BYTES = 8192
_MOST_WORDS = 256


class Exchange:
    """One query on its way: takes its reply's events and completes its `record`, whose issue time the caller has set.

    A reply with another status than 200 is never decoded, only quoted. `latest_ns` is when the latest piece of the
    body came, 0 before the first. `over` is called once, with the exchange and with the defect of the adapter's, or of
    ours, that ended it, None where there is none.
    """

    __slots__ = (
        *("cache_header", "latest_ns", "n_bytes", "record", "resent", "status"),
        *("_body", "_coding", "_decoder", "_keep", "_over", "_recorder"),
    )

    def __init__(
        self,
        recorder: Recorder,
        record: QueryRecord,
        keep: Keep | None,
        over: Callable[[Exchange, BaseException | None], None],
    ) -> None:
        self.record = record
        self._recorder = recorder
        self._keep = keep
        self._over = over
        self._decoder = recorder.decoder(keep)
        self._body = b""
        self._coding = ""
        self.latest_ns = 0
        self.status = 0
        self.n_bytes = 0
        self.resent = False
        self.cache_header: str | None = None

    def on_request(self, body: Body) -> None:
        """Tell the decoder what is asked for, if it wants to know."""
        tell_request(self._decoder, body)

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the status, and what the headers say of a cache."""
        self.status = status
        self.cache_header = cache_header(headers)
        if status == _OK:
            tell_head(self._decoder, headers)
        if "Content-Encoding" in headers:
            coding = headers["Content-Encoding"].strip()
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

    def on_end(self, error: BaseException | None) -> None:
        """Complete the record. Its completion time is that of the last byte, whatever the decoding takes."""
        if error is None:
            error = self._read()
        defect = None if error is None else self._note_failure(error)
        self._note_wire()
        self._over(self, defect)

    def cancel(self) -> None:
        """Complete the record as that of a query that was given up; `over` is not called."""
        self._fail("cancelled", "")
        self._note_wire()

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

    def _read(self) -> BaseException | None:
        """Note the reply, or return why it cannot be read."""
        try:
            self._recorder.note(self.record, self.reply(), self._keep, self.latest_ns or perf_counter_ns())
        except BaseException as error:  # noqa: BLE001 - what is not a bad reply is a defect, and told as such
            return error
        return None

    def _note_failure(self, error: BaseException) -> BaseException | None:
        """Note why the query failed; return the error where it is a defect."""
        if not isinstance(error, TransportError | BadReplyError):
            self._fail("crashed", type(error).__name__)
            return error
        self._fail(error.reason, error.detail)
        if error.reason == "reset" and self.status:
            self.record.outcome = "truncated"
        return None

    def _fail(self, reason: str, detail: str) -> None:
        record, recorder = self.record, self._recorder
        record.outcome = reason
        record.detail = printable(recorder.redact(detail)) or None
        record.completed_ns = record.completed_ns or perf_counter_ns() - recorder.zero_ns

    def _note_wire(self) -> None:
        record = self.record
        record.status = self.status
        record.reply_bytes = self.n_bytes
        record.resent = self.resent
        if self.cache_header is not None:
            record.cache_header = self._recorder.redact(self.cache_header)


class Recorder:
    """What the exchanges of one phase have in common: the adapter, our secrets, and what of a reply is kept.

    `ids_of` gives the tokens of a reply, for a phase that keeps them. `zero_ns` is when the phase's first query was
    issued, on time.perf_counter_ns.
    """

    def __init__(self, adapter: EndpointAdapter, target: Target, ids_of: Callable[[Reply], ReplyIds]) -> None:
        self.zero_ns = 0
        self.redact = target.redact
        self._adapter = adapter
        self._ids_of = ids_of
        self._redact_output = target.redact_output
        self._words: dict[str, str] = {}

    def decoder(self, keep: Keep | None) -> ReplyDecoder:
        """Return what reads one reply."""
        return self._adapter.decoder(keep_output=keep is not None and (keep.outputs or keep.tokenizer is not None))

    def note(self, record: QueryRecord, reply: Reply, keep: Keep | None, at_ns: int) -> None:
        """Note in a query's record what its reply, whole at `at_ns`, says, without our secrets, which it may echo."""
        record.completed_ns = at_ns - self.zero_ns
        record.outcome = COMPLETED
        record.reply = reply.digest or None
        record.reply_id = self.redact(reply.id) if reply.id else reply.id
        record.model = self._word(reply.model)
        record.tokens = reply.tokens
        record.prompt_tokens = reply.prompt_tokens
        record.cached_tokens = reply.cached_tokens
        record.finish_reason = self._word(reply.finish_reason)
        if reply.first_token_ns is not None:
            record.first_token_ns = reply.first_token_ns - self.zero_ns
        if keep is not None:
            self._note_kept(record, reply, keep)

    def _note_kept(self, record: QueryRecord, reply: Reply, keep: Keep) -> None:
        """Note the output, and its tokens as the source gives them."""
        if keep.outputs:
            record.output = self._redact_output(reply.output) if reply.output else reply.output
        if keep.message:
            record.message = self._message(reply)
        if keep.token_ids:
            ids = self._ids_of(reply)
            record.output_ids = _hex(ids.output)
            record.first_ids = _hex(ids.first)
            record.ids_from = ids.made_by

    def _message(self, reply: Reply) -> AssistantMessage | None:
        """Return a reply as one message, without our secrets; None where its adapter keeps no text."""
        if reply.message is None and reply.output is None:
            return None
        said, redact = reply.message or AssistantMessage(content=reply.output or ""), self._redact_output
        return AssistantMessage(
            content=redact(said.content),
            reasoning=redact(said.reasoning),
            tool_calls=tuple(
                ToolCall(redact(call.name), redact(call.arguments), call.id and redact(call.id), call.type)
                for call in said.tool_calls
            ),
            first_in=said.first_in,
            n_first=said.n_first or len(reply.first_text or ""),
        )

    def _word(self, text: str | None) -> str | None:
        """Return a word that many replies share without our secrets; each is looked at once."""
        if not text:
            return text
        if (known := self._words.get(text)) is None:
            known = self.redact(text)
            if len(self._words) < _MOST_WORDS:
                self._words[text] = known
        return known


def _hex(ids: Sequence[int] | None) -> str | None:
    return None if ids is None else np.asarray(ids, dtype="<i4").tobytes().hex()
