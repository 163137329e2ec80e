"""Base64 in a JSON text, decoded piece by piece as it arrives, so that no file in a reply is ever held. Pure."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable

import msgspec

from ..base import BadReplyError
from ..replies import bad

_ALPHABET = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


class Base64Text:
    """Decodes a JSON text of base64 up to its closing quote, and hands what it decodes to `take`.

    `name` is what the text is called in messages. `is_open` until the quote has come; `n_bytes` were decoded so far.
    """

    def __init__(self, take: Callable[[bytes], object], name: str) -> None:
        self.is_open = True
        self.n_bytes = 0
        self._take = take
        self._name = name
        self._held = b""
        self._padded = False

    def feed(self, data: bytes) -> bytes:
        """Take the next piece; return what follows the text, from its closing quote on. Raises BadReplyError."""
        piece, quote, rest = data.partition(b'"')
        self._held += piece
        self.is_open = not quote
        self._decode(self._ready())
        return quote + rest

    def _ready(self) -> bytes:
        """Take off what can be decoded by now: whole groups of four, and no half of a JSON escape."""
        text, self._held = self._held, b""
        escape = text.rfind(b"\\", max(0, len(text) - 5))
        if self.is_open and escape >= 0:
            text, self._held = text[:escape], text[escape:]
        if b"\\" in text:
            text = self._unescaped(text)
        whole = len(text) - len(text) % 4 if self.is_open else len(text)
        self._held = text[whole:] + self._held
        return text[:whole]

    def _decode(self, text: bytes) -> None:
        if not text:
            return
        if self._padded or len(text) % 4 or not _ALPHABET.fullmatch(text):
            raise self._malformed()
        self._padded = text.endswith(b"=")
        decoded = binascii.a2b_base64(text)
        self.n_bytes += len(decoded)
        self._take(decoded)

    def _unescaped(self, text: bytes) -> bytes:
        r"""Return a piece of a JSON text without its escapes: some encoders write \/ for / and \u003d for =."""
        try:
            return msgspec.json.decode(b'"' + text + b'"', type=str).encode()
        except ValueError:
            raise self._malformed() from None

    def _malformed(self) -> BadReplyError:
        return bad("malformed", f"{self._name} is not base64")
