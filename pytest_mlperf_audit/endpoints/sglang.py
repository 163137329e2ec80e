"""`sglang`: SGLang's own POST /generate, streamed or not. Pure.

Fields: GenerateReqInput in SGLang's `srt/managers/io_struct.py`, and its page on sampling parameters. The replies carry
the output's token ids without being asked.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import msgspec
from typing_extensions import Self

from ..config.model_params import ModelParams
from ..runs.script import NO_EDIT, Edit
from .base import BadReplyError, EndpointAdapter, Reply, ReplyDecoder, Row
from .replies import bad, error_text, parse, short_id
from .rows import nearest, unsendable
from .sse import EventParser
from .token_ids import edited

_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
_ENCODER = msgspec.json.Encoder()
_TOKEN_COLUMNS = ("input_ids", "input_tokens", "token_ids")
_ID_LIMIT = 2**31


class SamplingParams(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`sampling_params` of a request."""

    max_new_tokens: int | None = None
    min_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    sampling_seed: int | None = None
    skip_special_tokens: bool | None = None
    ignore_eos: bool | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None


class GenerateRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The request body."""

    text: str | None = None
    input_ids: list[int] | None = None
    sampling_params: SamplingParams
    image_data: Any = None
    stream: bool | None = None


class SGLangAdapter(EndpointAdapter):
    """SGLang's native generation.

    A row has `input_ids` (or `input_tokens`, `token_ids`), a list of token ids, or `prompt`, a text; the first of these
    that it has is sent. Columns named as sampling parameters override model_params, an absent value does not; other
    columns are not sent.
    """

    api_type: ClassVar[str] = "sglang"
    path: ClassVar[str] = "/generate"

    def __init__(self, params: ModelParams, *, streaming: bool = False) -> None:
        super().__init__(params, streaming=streaming)
        self._from_params = {
            "max_new_tokens": params.max_new_tokens,
            "min_new_tokens": params.min_new_tokens,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "top_k": params.top_k,
            "repetition_penalty": params.repetition_penalty,
            "presence_penalty": params.presence_penalty,
            "frequency_penalty": params.frequency_penalty,
            "sampling_seed": params.seed,
            "skip_special_tokens": params.skip_special_tokens,
        }

    def with_token_ids(self) -> Self:
        """Return this adapter: every reply has them."""
        return self

    def problem(self, row: Row) -> str | None:
        """Return what keeps a row from being sent, or None."""
        known = {*SamplingParams.__struct_fields__, *_TOKEN_COLUMNS, "prompt", "image_data"}
        for column in row:
            if column not in known and (guess := nearest(str(column), known, cutoff=0.85)):
                return (
                    f"unknown column {column!r}; did you mean {guess!r}? Rename it, or drop it if it is not to be sent"
                )
        return _prompt_problem(row) or unsendable(lambda: self._request(row, NO_EDIT))

    def encode(self, row: Row, edit: Edit = NO_EDIT) -> bytes:
        """Return the request body."""
        return _ENCODER.encode(self._request(row, edit))

    def decoder(self, *, keep_output: bool = False) -> ReplyDecoder:
        """Return a decoder for one reply."""
        kind: Callable[..., ReplyDecoder] = _StreamDecoder if self.streaming else _DocumentDecoder
        return kind(keep_output=keep_output)

    def _request(self, row: Row, edit: Edit) -> GenerateRequest:
        given = {name: row[name] for name in SamplingParams.__struct_fields__ if row.get(name) is not None}
        sampling = msgspec.convert({**self._from_params, **given}, SamplingParams, strict=False)
        if edit.max_tokens is not None:
            sampling.max_new_tokens = min(edit.max_tokens, sampling.max_new_tokens or edit.max_tokens)
            sampling.min_new_tokens = min(edit.max_tokens, sampling.min_new_tokens or 0)
        column = _prompt_column(row)
        prompt = row[column]
        return GenerateRequest(
            text=edit.apply(prompt) if isinstance(prompt, str) else None,
            input_ids=None if isinstance(prompt, str) else edited(prompt, edit),
            sampling_params=sampling,
            image_data=row.get("image_data"),
            stream=self.streaming or None,
        )


def _prompt_column(row: Row) -> str:
    return next((column for column in _TOKEN_COLUMNS if row.get(column) is not None), "prompt")


def _prompt_problem(row: Row) -> str | None:
    column = _prompt_column(row)
    prompt = row.get(column)
    if column == "prompt":
        if isinstance(prompt, str) and prompt.strip():
            return None
        return "no text in column 'prompt' and no token ids in 'input_ids'"
    if not isinstance(prompt, list) or not all(type(token) is int and 0 <= token < _ID_LIMIT for token in prompt):
        return f"column {column!r} is not a list of token ids; a token id is a whole number from 0"
    return None if prompt else f"no token ids in column {column!r}"


class _FinishReason(msgspec.Struct, gc=False):
    type: str | None = None
    message: str | None = None


class _Meta(msgspec.Struct, gc=False):
    id: str | None = None
    completion_tokens: _Count | None = None
    cached_tokens: _Count | None = None
    finish_reason: _FinishReason | str | None = None


class _Generated(msgspec.Struct, gc=False):
    """A reply, or one event of a streamed one."""

    text: str | None = None
    output_ids: list[_Count] | None = None
    meta_info: _Meta | None = None
    error: Any = None


_DECODER = msgspec.json.Decoder(_Generated)


class _Gathered:
    """What a reply came to. Events repeat what came before them, or, as SGLang may be told to, bring the rest alone."""

    def __init__(self) -> None:
        self.text = ""
        self.ids = array("i")
        self.has_ids = False
        self.meta = _Meta()

    def take(self, part: _Generated) -> bool:
        """Add a document or event; return whether it brought output. Raises BadReplyError for an error object."""
        if part.error:
            raise bad("server_error", error_text(part.error))
        before = len(self.text) + len(self.ids)
        if part.text:
            self.text = part.text if part.text.startswith(self.text) else self.text + part.text
        self.meta = part.meta_info or self.meta
        if part.output_ids is not None:
            self._take_ids(array("i", part.output_ids))
        return len(self.text) + len(self.ids) > before

    def _take_ids(self, ids: array[int]) -> None:
        """Add an event's tokens: all so far, or the new ones alone; the count beside them tells which."""
        self.has_ids = True
        n_before, n_reported = len(self.ids), self.meta.completion_tokens
        if len(ids) == n_reported:
            whole = True
        elif n_before + len(ids) == n_reported:
            whole = False
        else:
            whole = ids[:n_before] == self.ids
        self.ids = ids if whole else self.ids + ids

    def reply(self, *, keep_output: bool, first_token_ns: int | None, first_ids: array[int] | None) -> Reply:
        """Return the reply. Raises BadReplyError("empty"), or ("server_error") when the server gave up."""
        reason = self.meta.finish_reason
        named = reason.type if isinstance(reason, _FinishReason) else reason
        if named == "abort":
            detail = reason.message if isinstance(reason, _FinishReason) else None
            raise bad("server_error", f"finish_reason: abort{f' ({detail})' if detail else ''}")
        if not self.text and not self.ids and not (named and self.meta.completion_tokens):
            raise bad("empty", f"the reply has no output (finish_reason: {named or 'none'})")
        return Reply(
            digest=hashlib.sha256(self.text.encode() or self.ids.tobytes()).hexdigest()[:32],
            id=short_id(self.meta.id),
            output=self.text if keep_output else None,
            tokens=self.meta.completion_tokens,
            cached_tokens=self.meta.cached_tokens,
            finish_reason=short_id(named),
            first_token_ns=first_token_ns,
            output_ids=self.ids if self.has_ids else None,
            first_ids=first_ids,
        )


class _DocumentDecoder:
    """Reads a reply that is one JSON document."""

    def __init__(self, *, keep_output: bool = False) -> None:
        self._keep_output = keep_output
        self._pieces: list[bytes] = []

    def feed(self, data: bytes, at_ns: int) -> None:  # noqa: ARG002 - the load engine times a whole reply itself
        """Take the next piece of the body."""
        self._pieces.append(data)

    def finish(self) -> Reply:
        """Return the reply. Raises BadReplyError."""
        body = b"".join(self._pieces)
        if not body.strip():
            raise bad("empty", "the reply has no body")
        gathered = _Gathered()
        gathered.take(parse(_DECODER, body, "the reply"))
        return gathered.reply(keep_output=self._keep_output, first_token_ns=None, first_ids=None)


class _StreamDecoder:
    """Reads a streamed reply; a stream is whole with `[DONE]` or a finish reason, else it is `truncated`."""

    def __init__(self, *, keep_output: bool = False) -> None:
        self._keep_output = keep_output
        self._events = EventParser()
        self._gathered = _Gathered()
        self._document: _DocumentDecoder | None = None
        self._begun = self._done = False
        self._at_ns: int | None = None
        self._first_token_ns: int | None = None
        self._first_ids: array[int] | None = None
        self._bad: BadReplyError | None = None

    def feed(self, data: bytes, at_ns: int) -> None:
        """Take the next piece of the body, received at `at_ns`."""
        if not self._begun and (data := data.lstrip()):
            self._begun = True
            if data.startswith(b"{"):  # the server ignored `stream`
                self._document = _DocumentDecoder(keep_output=self._keep_output)
        if self._document is not None:
            self._document.feed(data, at_ns)
        elif self._bad is None and not self._done:
            self._at_ns = at_ns
            try:
                for event in self._events.feed(data):
                    self._take(event)
            except BadReplyError as error:
                self._bad = error

    def _take(self, event: bytes) -> None:
        event = event.strip()
        if self._done or not event:
            return
        if event == b"[DONE]":
            self._done = True
        elif self._gathered.take(parse(_DECODER, event, "an event of the stream")) and self._first_token_ns is None:
            self._first_token_ns = self._at_ns
            self._first_ids = self._gathered.ids[:] if self._gathered.ids else None

    def finish(self) -> Reply:
        """Return the reply. Raises BadReplyError."""
        if self._document is not None:
            return self._document.finish()
        if self._bad is not None:
            raise self._bad
        if not self._begun:
            raise bad("empty", "the reply has no body")
        if not self._done and self._gathered.meta.finish_reason is None:
            raise bad("truncated", "the stream ended without [DONE] and without a finish reason")
        return self._gathered.reply(
            keep_output=self._keep_output, first_token_ns=self._first_token_ns, first_ids=self._first_ids
        )
