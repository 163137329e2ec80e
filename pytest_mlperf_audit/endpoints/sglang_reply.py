"""Replies of SGLang's POST /generate: one JSON document, or a stream of server-sent events. Pure.

An event of a stream repeats the whole output so far or, as SGLang can be told to, brings the new part alone; there are
versions that repeat the text and bring new token ids alone. Nothing says which it is, so that it is worked out: of ids
from the number of tokens beside them, of the text from its own pieces.
"""

from __future__ import annotations

import hashlib
from array import array

from .base import Reply
from .endings import Endings
from .failures import GAVE_UP
from .replies import bad, short_id
from .sglang_parts import Generated, Meta, read_part
from .stream import EventStream


class _Ids:
    """The tokens of a reply. `repeated` is whether its events repeat what came before, None while that is not known."""

    def __init__(self) -> None:
        self.so_far: array[int] | None = None
        self.repeated: bool | None = None

    def take(self, ids: list[int], n_reported: int | None) -> None:
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
        self.meta = Meta()
        self._remark: str | None = None
        self._ids_unknown = False
        self._text = _Text()
        self._ids = _Ids()
        self.first_ids: list[int] | None = None
        self.begun = False

    def take(self, part: Generated) -> None:
        """Add a document or event."""
        self._remark = self._remark or part.remark
        self._ids_unknown = self._ids_unknown or part.ids_unknown
        self.meta = part.meta_info or self.meta
        if part.text:
            self._text.pieces.append(part.text)
        if part.output_ids:
            self._ids.take(part.output_ids, self.meta.completion_tokens)
        if not self.begun and (part.text or part.output_ids):
            self.begun = True
            self.first_ids = part.output_ids or []

    def reply(
        self, endings: Endings, *, keep_output: bool, streamed: bool = False, first_token_ns: int | None = None
    ) -> Reply:
        """Return the reply. Raises BadReplyError: `empty`, `server_error` when the server gave up, `truncated`."""
        reason = self.meta.reason()
        if reason.type and GAVE_UP.search(reason.type):
            said = f" ({reason.message})" if reason.message else ""
            raise bad("server_error", f"finish_reason: {reason.type}{said}")
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
            cached_tokens=self.meta.cached_tokens,
            finish_reason=short_id(reason.type),
            first_token_ns=first_token_ns,
            output_ids=None if self._ids_unknown else ids,
            first_ids=self.first_ids if streamed and ids and not self._ids_unknown else None,
            first_text=self._text.pieces[0] if keep_output and streamed and text else None,
        )


class DocumentDecoder:
    """Reads a reply that is one JSON document."""

    def __init__(self, endings: Endings, *, keep_output: bool = False) -> None:
        self._endings = endings
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
        gathered.take(read_part(body, "the reply"))
        return gathered.reply(self._endings, keep_output=self._keep_output)


class StreamDecoder(EventStream):
    """Reads a streamed reply."""

    def __init__(self, endings: Endings, *, keep_output: bool = False) -> None:
        super().__init__(DocumentDecoder(endings, keep_output=keep_output))
        self._endings = endings
        self._keep_output = keep_output
        self._gathered = _Gathered()

    def _take(self, event: bytes) -> bool:
        self._gathered.take(read_part(event, "an event of the stream"))
        return self._gathered.begun

    def _finished(self) -> bool:
        return bool(self._gathered.meta.reason().type)

    def _reply(self, first_token_ns: int | None) -> Reply:
        return self._gathered.reply(
            self._endings, keep_output=self._keep_output, streamed=True, first_token_ns=first_token_ns
        )
