"""Replies of SGLang's POST /generate: one JSON document, or a stream of server-sent events. Pure.

An event of a stream repeats the whole output so far or, as SGLang can be told to, brings the new part alone; there are
versions that repeat the text and bring new token ids alone. Nothing says which it is, so that it is worked out: of ids
from the number of tokens beside them, of the text from its own pieces.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping
from typing import Any

import msgspec

from ..base import Reply
from ..failures import GAVE_UP, failure, may_fail, remark
from ..replies import (
    Count,
    as_count,
    as_counts,
    as_mapping,
    as_text,
    as_word,
    bad,
    parse_leniently,
    parse_strictly,
    short_id,
)
from ..stream import DocumentDecoder, Endings, EventStream


class _FinishReason(msgspec.Struct, gc=False):
    """Why an output ended; a `message` is there when it was aborted."""

    type: str | None = None
    message: str | None = None


class _Meta(msgspec.Struct, gc=False):
    """`meta_info`. A `finish_reason` that is null says that the output is not complete; one may be left out."""

    id: str | None = None
    completion_tokens: Count | None = None
    prompt_tokens: Count | None = None
    cached_tokens: Count | None = None
    finish_reason: _FinishReason | str | msgspec.UnsetType | None = msgspec.UNSET

    def reason(self) -> _FinishReason:
        """Return the finish reason as an object; its type is None where there is none."""
        given = self.finish_reason
        return given if isinstance(given, _FinishReason) else _FinishReason(type=given or None)


class _Generated(msgspec.Struct, gc=False):
    """A reply, or one event of a streamed one. `remark` is a message where an answer should be.

    `ids_unknown` is whether it had token ids that cannot be read.
    """

    text: str | None = None
    output_ids: list[Count] | None = None
    meta_info: _Meta | None = None
    remark: str | None = None
    ids_unknown: bool = False


_DECODER = msgspec.json.Decoder(_Generated)
_ANSWER = ("meta_info", "text", "output_ids")


def _read_part(data: bytes | bytearray, what: str) -> _Generated:
    """Return a document or event. Raises BadReplyError: `server_error` where it says that the server failed."""
    part = parse_strictly(_DECODER, data)
    if part is not None and part.meta_info is not None and not may_fail(data):
        return part
    document = parse_leniently(data, what)
    answers = any(document.get(name) for name in _ANSWER)
    if wrong := failure(document, answers=answers) or failure(as_mapping(document.get("meta_info")), answers=True):
        raise bad("server_error", wrong)
    part = part or _generated(document)
    part.remark = None if answers else remark(document)
    return part


def _generated(document: Mapping[str, Any]) -> _Generated:
    meta = as_mapping(document.get("meta_info"))
    ids = as_counts(document.get("output_ids"))
    return _Generated(
        text=as_text(document.get("text")),
        output_ids=ids,
        ids_unknown=ids is None and bool(document.get("output_ids")),
        meta_info=_Meta(
            id=as_word(meta.get("id")),
            completion_tokens=as_count(meta.get("completion_tokens")),
            prompt_tokens=as_count(meta.get("prompt_tokens")),
            cached_tokens=as_count(meta.get("cached_tokens")),
            finish_reason=_finish_reason(meta),
        )
        if meta
        else None,
    )


def _finish_reason(meta: Mapping[str, Any]) -> _FinishReason | str | msgspec.UnsetType | None:
    if "finish_reason" not in meta:
        return msgspec.UNSET
    given = meta["finish_reason"]
    return (
        _FinishReason(type=as_word(given), message=as_word(as_mapping(given).get("message")))
        if given or given == 0
        else None
    )


class _Ids:
    """The tokens of a reply. `repeated` is whether its events repeat what came before, None while that is not known."""

    def __init__(self) -> None:
        self.so_far: array[int] | None = None
        self.repeated: bool | None = None

    def add(self, ids: list[int], n_reported: int | None) -> None:
        before = self.so_far
        if not before:
            self.so_far = array("i", ids)
            return
        if len(ids) == n_reported:
            self.repeated = True
        elif len(before) + len(ids) == n_reported:
            self.repeated = False
        else:  # the number of tokens fits neither, so that the tokens themselves have to tell
            self.repeated = len(ids) >= len(before) and array("i", ids[: len(before)]) == before
        self.so_far = array("i", ids) if self.repeated else before + array("i", ids)


class _Text:
    """The text of a reply, whose pieces are kept until it is known how they go together."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def whole(self, *, ids_repeated: bool | None) -> str:
        """Return the text. The last piece may be shorter than one before it: a stop string is cut off at the end."""
        if not self.pieces:
            return ""
        pairs = list(zip(self.pieces, self.pieces[1:], strict=False))
        each_has_the_other = all(new.startswith(old) or old.startswith(new) for old, new in pairs)
        all_alike = bool(pairs) and all(new == old for old, new in pairs)
        repeated = ids_repeated or (each_has_the_other and not (all_alike and ids_repeated is False))
        return self.pieces[-1] if repeated else "".join(self.pieces)


class _Gathered:
    """What a reply came to, from one document or from many events."""

    def __init__(self) -> None:
        self.meta = _Meta()
        self._remark: str | None = None
        self._ids_unknown = False
        self._text = _Text()
        self._ids = _Ids()
        self.first_ids: list[int] | None = None
        self.begun = False

    def add(self, part: _Generated) -> None:
        """Add a document or event."""
        self._remark = self._remark or part.remark
        self._ids_unknown = self._ids_unknown or part.ids_unknown
        self.meta = part.meta_info or self.meta
        if part.text:
            self._text.pieces.append(part.text)
        if part.output_ids:
            self._ids.add(part.output_ids, self.meta.completion_tokens)
        if not self.begun and (part.text or part.output_ids):
            self.begun = True
            self.first_ids = part.output_ids or []

    def reply(
        self, endings: Endings, *, keep_output: bool, streamed: bool = False, first_token_ns: int | None = None
    ) -> Reply:
        """Return the reply. Raises BadReplyError: `empty`, `server_error` when the server gave up, `truncated`."""
        reason = self.meta.reason()
        if reason.type and GAVE_UP.search(reason.type):
            words = f" ({reason.message})" if reason.message else ""
            raise bad("server_error", f"finish_reason: {reason.type}{words}")
        if self._remark and not reason.type:
            raise bad("server_error", self._remark)
        text, ids = self._text.whole(ids_repeated=self._ids.repeated), self._ids.so_far
        if not text and not ids and not (reason.type and self.meta.completion_tokens):
            raise bad("empty", f"the reply has no output (finish_reason: {reason.type or 'none'})")
        if self.meta.finish_reason is None:
            raise bad("truncated", "the reply stopped without finishing (finish_reason: null)")
        endings.check(finish_reason=reason.type, counted=False)
        return Reply(
            digest=hashlib.sha256(text.encode() or (ids or array("i")).tobytes()).hexdigest()[:32],
            id=short_id(self.meta.id),
            output=text if keep_output else None,
            tokens=self.meta.completion_tokens or None,
            prompt_tokens=self.meta.prompt_tokens,
            cached_tokens=self.meta.cached_tokens,
            finish_reason=short_id(reason.type),
            first_token_ns=first_token_ns,
            output_ids=None if self._ids_unknown else ids,
            first_ids=self.first_ids if streamed and ids and not self._ids_unknown else None,
            first_text=self._text.pieces[0] if keep_output and streamed and text else None,
        )


class GeneratedDecoder(DocumentDecoder):
    """Reads a reply that is one JSON document."""

    def _read(self, body: bytes) -> Reply:
        gathered = _Gathered()
        gathered.add(_read_part(body, "the reply"))
        return gathered.reply(self._endings, keep_output=self._keep_output)


class StreamDecoder(EventStream):
    """Reads a streamed reply."""

    def __init__(self, endings: Endings, *, keep_output: bool = False) -> None:
        super().__init__(GeneratedDecoder(endings, keep_output=keep_output))
        self._endings = endings
        self._keep_output = keep_output
        self._gathered = _Gathered()

    def _add_event(self, event: bytes) -> bool:
        self._gathered.add(_read_part(event, "an event of the stream"))
        return self._gathered.begun

    def _finished(self) -> bool:
        return bool(self._gathered.meta.reason().type)

    def _reply(self, first_token_ns: int | None) -> Reply:
        return self._gathered.reply(
            self._endings, keep_output=self._keep_output, streamed=True, first_token_ns=first_token_ns
        )
