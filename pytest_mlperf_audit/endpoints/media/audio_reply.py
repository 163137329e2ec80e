"""Replies of /v1/audio/transcriptions, in whatever form they come. Pure.

What is asked for is not always what comes: vLLM and `transformers serve` answer `text` with JSON, others ignore
`stream`. Forms known:

* JSON: `text`; with verbose_json `segments`, each with its tokens. `usage` is of seconds, or of tokens
* plain text
* events of OpenAI (`transcript.text.delta`, `transcript.text.done`), of vLLM (`choices[0].delta.content`, `[DONE]`),
  and of `transformers serve`: bare text behind `data:`, with no end but the body's

Nobody may have spoken in a sound, so a transcript without a word is a reply; one without a transcript is not. No header
is taken for an id: `x-request-id` is new with every reply, a cached one too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final

from ..base import BadReplyError, Reply, ReplyDecoder, digest
from ..failures import GAVE_UP, error_sentence, failure
from ..replies import (
    BYTE_ORDER_MARK,
    as_count,
    as_list,
    as_mapping,
    as_text,
    as_unicode,
    as_word,
    bad,
    parse_leniently,
    refuse_coded,
    short_id,
)
from ..stream import DocumentDecoder, Endings, EventStream

_WORDLESS: Final = (
    "the transcript has no word, which counts as an answer, as nobody may speak in a sound; make sure that the model "
    "has more to say of others"
)
_PLAIN: Final = "text/plain"
_JSON: Final = "application/json"
_PAGE: Final = re.compile(rb"<(?:!doctype|html|head|body|\?xml)", re.IGNORECASE)
_FAILED: Final = re.compile(rb'\{\s*"error"\s*:\s*(?!null|""|\{\s*\})')


class TranscriptDecoder:
    """Reads one reply, as what its Content-Type says it is, or where it has none, what was asked for.

    `digest` is of the text alone.
    """

    def __init__(self, *, streaming: bool = False, keep_output: bool = False) -> None:
        self._streaming = streaming
        self._keep_output = keep_output
        self._media_type = ""
        self._form: ReplyDecoder | None = None

    def on_head(self, headers: Mapping[str, str]) -> None:
        """Note what the reply says it is."""
        self._media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def feed(self, data: bytes, at_ns: int) -> None:
        """Take the next piece of the body, received at `at_ns`."""
        if self._form is None:
            is_stream = self._media_type.endswith("/event-stream") or (self._streaming and not self._media_type)
            self._form = (
                _Events(keep_output=self._keep_output)
                if is_stream
                else _Document(keep_output=self._keep_output, media_type=self._media_type)
            )
        self._form.feed(data, at_ns)

    def finish(self) -> Reply:
        """Return the reply. Raises BadReplyError."""
        if self._form is not None:
            return self._form.finish()
        if self._media_type == _PLAIN:
            return _Said(keep_output=self._keep_output).reply("")
        raise bad("empty", "the reply has no body")


class _Document(DocumentDecoder):
    """Reads a reply that is not streamed: JSON, or a text where its media type is that of one, or "" (not told)."""

    def __init__(self, *, keep_output: bool, media_type: str) -> None:
        super().__init__(Endings(), keep_output=keep_output)
        self._media_type = media_type

    def finish(self) -> Reply:
        """Return the reply; of a plain text white space is one, too. Raises BadReplyError."""
        return self._read(b"".join(self._pieces))

    def _read(self, body: bytes) -> Reply:
        refuse_coded(body, "the reply")
        bare = body.removeprefix(BYTE_ORDER_MARK).strip()
        said = _Said(keep_output=self._keep_output)
        if (text := self._text_alone(bare)) is not None:
            return said.reply(text)
        if not bare:
            raise bad("empty", "the reply has no body")
        document = parse_leniently(bare, "the reply")
        said.look(document, answers="text" in document)
        if not isinstance(text := document.get("text"), str):
            raise bad("malformed", "the reply has no text")
        return said.reply(as_unicode(text))

    def _text_alone(self, bare: bytes) -> str | None:
        """Return a reply that is nothing but a text, in JSON's quotes or plain; None for any other."""
        if bare.startswith(b'"'):
            with suppress(ValueError):
                return as_unicode(text) if isinstance(text := json.loads(bare), str) else None
        if self._media_type not in ("", _PLAIN) or _PAGE.match(bare):
            return None
        if not self._media_type and (not bare or bare.startswith(b"{")):  # JSON that may have been cut
            return None
        if bare.startswith(b"{"):
            with suppress(BadReplyError):
                parse_leniently(bare, "the reply")
                return None
        try:
            return bare.decode()
        except UnicodeDecodeError:
            raise bad("malformed", "the reply is not valid UTF-8") from None


class _Events(EventStream):
    """Reads a streamed reply, in whichever dialect: its first event with more than white space tells."""

    blanks_count: ClassVar[bool] = True

    def __init__(self, *, keep_output: bool) -> None:
        super().__init__(_Document(keep_output=keep_output, media_type=_JSON))
        self._said = _Said(keep_output=keep_output)
        self._pieces: list[str] = []
        self._whole: str | None = None
        self._in_json: bool | None = None
        self._ended = False

    def _add_event(self, event: bytes) -> bool:
        bare = event.strip()
        if _FAILED.match(bare):  # not always JSON: `transformers serve` puts any words into the quotes
            raise bad("server_error", error_sentence(bare))
        if self._in_json is None and bare:
            self._in_json = bare.startswith(b"{")
        if not self._in_json:
            piece: str | None = event.decode("utf-8", "replace")
        else:
            piece = self._piece(parse_leniently(bare, "an event of the stream")) if bare else None
        if piece:
            self._pieces.append(piece)
        return bool(piece and piece.strip())

    def _piece(self, document: Mapping[str, Any]) -> str | None:
        """Return what an event adds to the text. Raises BadReplyError."""
        choice = as_mapping(next(iter(as_list(document.get("choices"))), None))
        self._said.look(document, answers=bool(choice) or "delta" in document or "text" in document)
        self._said.look_at_reason(as_word(choice.get("finish_reason")))
        self._ended = self._ended or bool(choice.get("finish_reason"))
        kind = document.get("type")
        if isinstance(kind, str) and kind.endswith(".done"):
            self._ended = True
            text = document.get("text")
            self._whole = as_unicode(text) if isinstance(text, str) else None
            return None
        if choice:
            return as_text(as_mapping(choice.get("delta")).get("content"))
        return as_text(document.get("delta")) if isinstance(kind, str) and kind.endswith(".delta") else None

    def _finished(self) -> bool:
        """Whether the text is complete: bare text has no other end than its body's, which HTTP tells."""
        return self._ended or self._in_json is False

    def _reply(self, first_token_ns: int | None) -> Reply:
        return self._said.reply("".join(self._pieces) if self._whole is None else self._whole, first_token_ns)


class _Said:
    """What documents and events say beside the text."""

    def __init__(self, *, keep_output: bool) -> None:
        self._keep_output = keep_output
        self._id: str | None = None
        self._model: str | None = None
        self._tokens: int | None = None
        self._prompt_tokens: int | None = None
        self._reason: str | None = None

    def look(self, document: Mapping[str, Any], *, answers: bool) -> None:
        """Take in a document, or an event. Raises BadReplyError where it says that the server failed."""
        if wrong := failure(document, answers=answers):
            raise bad("server_error", wrong)
        self._id = self._id or as_word(document.get("id"))
        self._model = self._model or as_word(document.get("model"))
        usage = as_mapping(document.get("usage"))
        counts = {name: as_count(usage.get(name)) for name in _COUNTS}
        self._tokens = counts["output_tokens"] or counts["completion_tokens"] or _of_segments(document) or self._tokens
        self._prompt_tokens = counts["input_tokens"] or counts["prompt_tokens"] or self._prompt_tokens

    def look_at_reason(self, reason: str | None) -> None:
        """Take in a finish reason. Raises BadReplyError where it says that the server gave up."""
        if reason and GAVE_UP.search(reason):
            raise bad("server_error", f"finish_reason: {reason}")
        self._reason = self._reason or reason

    def reply(self, text: str, first_token_ns: int | None = None) -> Reply:
        """Return the reply."""
        return Reply(
            digest=digest(text.encode()),
            id=short_id(self._id),
            model=short_id(self._model),
            output=text if self._keep_output else None,
            tokens=self._tokens,
            prompt_tokens=self._prompt_tokens,
            finish_reason=short_id(self._reason),
            first_token_ns=first_token_ns,
            remarks=() if text.strip() else (_WORDLESS,),
        )


_COUNTS = ("output_tokens", "completion_tokens", "input_tokens", "prompt_tokens")


def _of_segments(document: Mapping[str, Any]) -> int | None:
    """Return how many tokens the segments of verbose_json have; None unless each says it."""
    segments = [as_mapping(one).get("tokens") for one in as_list(document.get("segments"))]
    return sum(map(len, map(as_list, segments))) if all(isinstance(one, list) for one in segments) else None
