"""Taking our secrets out of what a server or a program says, in whatever form it gives them back. Pure.

A text is searched as it reads once its escapes are undone (percent, JSON, HTML, one within another) and its case is
folded, so that a secret is found in any mixture of them, and is taken out where it stands in the text as it came.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from ..text import REDACTED

#: Shorter values ("1", "on") are not secrets, and taking them out would make messages unreadable.
_LEAST_SECRET: Final = 4
#: A piece of a longer secret is one, too, if it has so many characters; a word needs more, since it may be any text's.
_LEAST_PIECE: Final = 8
_LEAST_WORD: Final = 12
#: As the end of a text, the start of a secret counts from LEAST_SECRET on, a word from here.
_LEAST_END: Final = 6
#: A text is looked at in steps of so many characters, for the grams of the secrets; both make up the least piece.
_GRAM: Final = 4
_STEP: Final = _LEAST_PIECE - _GRAM + 1

_ESCAPE = re.compile(
    r"%[0-9A-Fa-f]{2}|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"
    r"|\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[^ux])"
)
#: How often escapes are undone: a URL in JSON in a page.
_LAYERS: Final = 4
#: Base64 for URLs is read as base64, and a query's plus as a blank.
_FOLDED = str.maketrans("+-_", "  /")


class Redactor:
    """Takes secrets out of texts: `whole` as they are, `secrets` also in pieces and coded."""

    def __init__(self, secrets: Sequence[str], whole: Sequence[str] = ()) -> None:
        pieces = {_plain(form) for secret in secrets for form in _forms(secret)}
        every = {*pieces, *(_plain(form) for text in whole for form in _in_bytes(text))}
        self._starts = {_plain(form) for secret in secrets for form in _in_bytes(secret)}
        self._whole = sorted((text for text in every if len(text.strip()) >= _LEAST_SECRET), key=len, reverse=True)
        self._pieces = [text for text in self._whole if text in pieces and len(text) >= _LEAST_PIECE]
        # The others would be found as pieces of themselves.
        self._short = [text for text in self._whole if text not in self._pieces or _is_word(text)]
        self._spelt = {_Reading(text).cased for text in (*secrets, *whole)}
        self._grams = {text[at : at + _GRAM] for text in self._pieces for at in range(len(text) - _GRAM + 1)}

    def __bool__(self) -> bool:
        return bool(self._whole)

    def redact(self, text: str, *, prose: bool = False) -> str:
        """Return `text` without any secret, be it escaped, in another case, or cut off at an end.

        In `prose`, which a model wrote and which is judged, a secret that is but a word ("EMPTY") counts as spelt.
        """
        if not self._whole or len(text) < _LEAST_SECRET:
            return text
        reading = _Reading(text)
        spans = [*self._found(reading, prose), *self._pieces_found(reading.plain), *self._cut(reading.plain)]
        return reading.without(spans) if spans else text

    def _found(self, reading: _Reading, prose: bool) -> Iterator[tuple[int, int]]:
        for secret in self._short:
            as_spelt = prose and _is_word(secret)
            at = reading.plain.find(secret)
            while at >= 0:
                end = at + len(secret)
                if not as_spelt or reading.cased[at:end] in self._spelt:
                    yield at, end
                at = reading.plain.find(secret, end)

    def _pieces_found(self, plain: str) -> Iterator[tuple[int, int]]:
        grams, places = self._grams, range(0, len(plain) - _GRAM + 1, _STEP)
        if grams.isdisjoint([plain[at : at + _GRAM] for at in places]):
            return
        done = 0  # a piece that goes on behind what was found has a gram there, or is too short
        for at in places:
            if at + _GRAM > done and plain[at : at + _GRAM] in grams:
                for secret in self._pieces:
                    for start, end in _around(plain, at, secret):
                        done = max(done, end)
                        yield start, end

    def _cut(self, plain: str) -> Iterator[tuple[int, int]]:
        """Yield the start of a secret that a length limit ended."""
        stem = plain.removesuffix("...")
        for secret in self._starts:
            at = stem.rfind(secret[:_LEAST_SECRET])
            if at >= 0 and secret.startswith(stem[at:]) and not (stem[at:].isalpha() and len(stem) - at < _LEAST_END):
                yield at, len(plain)


def _around(plain: str, at: int, secret: str) -> Iterator[tuple[int, int]]:
    """Yield the pieces of `secret` that hold the gram at `at` and are long enough."""
    gram = plain[at : at + _GRAM]
    place = secret.find(gram)
    while place >= 0:
        start, end = at, at + _GRAM
        while start > 0 and place > at - start and plain[start - 1] == secret[place - (at - start) - 1]:
            start -= 1
        shift = place - at
        while end < len(plain) and end + shift < len(secret) and plain[end] == secret[end + shift]:
            end += 1
        piece = plain[start:end]
        if len(piece) >= _LEAST_PIECE and not _is_word(piece):
            yield start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())
        place = secret.find(gram, place + 1)


def _is_word(piece: str) -> bool:
    return len(piece) < _LEAST_WORD and piece.isalpha()


class _Reading:
    """A text with its escapes undone and its case folded, and where each character of that came from."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._layers: list[tuple[list[int], list[int], list[int]]] = []
        plain = text
        for _ in range(_LAYERS):
            if not ("%" in plain or "&" in plain or "\\" in plain):
                break
            undone, layer = _undone(plain)
            if undone == plain:
                break
            self._layers.append(layer)
            plain = undone
        self.cased = plain
        self.plain = _folded(plain)

    def without(self, spans: list[tuple[int, int]]) -> str:
        """Return the text without these spans of `plain`; those that touch become one."""
        kept, at = [], 0
        for start, end in _merged(spans):
            kept += [self._text[at : self._origin(start)[0]], REDACTED]
            at = self._origin(end - 1)[1]
        return "".join([*kept, self._text[at:]])

    def _origin(self, at: int) -> tuple[int, int]:
        """Return where in the text the character at `at` of `plain` begins and ends."""
        start, end = at, at + 1
        for begins, froms, ends in reversed(self._layers):
            start, _ = _traced(begins, froms, ends, start)
            _, end = _traced(begins, froms, ends, end - 1)
        return start, end


def _traced(begins: list[int], froms: list[int], ends: list[int], at: int) -> tuple[int, int]:
    piece = bisect_right(begins, at) - 1
    if ends[piece]:  # an escape: one character from several
        return froms[piece], ends[piece]
    start = froms[piece] + at - begins[piece]
    return start, start + 1


def _undone(text: str) -> tuple[str, tuple[list[int], list[int], list[int]]]:
    """Return `text` with one layer of escapes undone, and its pieces: begin in the new text, in the old, end in it."""
    out: list[str] = []
    begins, froms, ends = [0], [0], [0]
    length = at = 0
    for match in _ESCAPE.finditer(text):
        character = _character(match[0])
        out += [text[at : match.start()], character]
        length += match.start() - at
        for offset in range(len(character)):
            begins.append(length + offset)
            froms.append(match.start())
            ends.append(match.end())
        length += len(character)
        at = match.end()
        begins.append(length)
        froms.append(at)
        ends.append(0)
    out.append(text[at:])
    return "".join(out), (begins, froms, ends)


def _character(escape: str) -> str:
    if escape[0] == "%":
        return chr(int(escape[1:], 16))
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[1] in "ux" and len(escape) > len("\\u"):
        return chr(int(escape.lstrip("\\ux"), 16))
    return {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}.get(escape[1], escape[1])


def _folded(text: str) -> str:
    """Return `text` in one case, character by character."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join(low if len(low := character.lower()) == 1 else character for character in text)
    return lower.translate(_FOLDED)


def _plain(text: str) -> str:
    return _Reading(text).plain


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _in_bytes(text: str) -> Iterator[str]:
    """Yield a text, and as it reads where its UTF-8 is taken for Latin-1, as percent escapes are here."""
    yield text
    yield text.encode("utf-8", "replace").decode("latin-1")


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret, what is in it where it is base64, and how it looks in base64 and in hexadecimal."""
    yield from _in_bytes(secret)
    raw = secret.encode("utf-8", "replace")
    if len(raw) < _LEAST_SECRET:
        return
    yield raw.hex()
    for shift, unsure in ((0, 0), (1, 2), (2, 3)):  # by where it begins among three bytes
        coded = base64.b64encode(bytes(shift) + raw).decode().rstrip("=")
        yield coded[unsure : len(coded) - (1 if (shift + len(raw)) % 3 else 0)]
    yield from _decoded(secret)


def _decoded(secret: str) -> Iterator[str]:
    """Yield the text in a secret that is base64, and the password of 'user:password' (RFC 7617)."""
    try:
        text = base64.b64decode(secret, validate=True).decode()
    except (binascii.Error, ValueError):
        return
    if text.isprintable():
        yield text
        yield text.partition(":")[2]
