"""JSON values out of a file of any size, one at a time: an array, JSON lines, or objects one after the other.

Only one value is in memory at a time, besides a chunk of the file.
"""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from ..errors import RecordError
from .text import open_plain

_CHUNK_BYTES: Final = 1 << 20
_MAX_VALUE_CHARS: Final = 256 << 20

_SPACE = " \t\n\r"
#: No token of JSON but a string is longer, so a fault further than this from the end is none of a value cut short.
_LONGEST_TOKEN = 16


class JsonStream:
    """The values of a JSON file, in order. Iterate once.

    Once all values were read, `sha256` is the hex digest of the whole file and `array` whether it is one JSON array,
    as LoadGen writes it.
    """

    def __init__(self, path: Path, *, chunk_bytes: int = _CHUNK_BYTES, max_value_chars: int = _MAX_VALUE_CHARS) -> None:
        self.path = path
        self.sha256 = ""
        self.array = False
        self.n_values = 0
        self._chunk_bytes = chunk_bytes
        self._max_value_chars = max_value_chars
        self._digest = hashlib.sha256()
        self._utf8 = codecs.getincrementaldecoder("utf-8")("strict")
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._dropped = 0
        self._ended = False

    def __iter__(self) -> Iterator[Any]:
        """Yield the values. Raises RecordError, naming the file and where, when it is not whole and well formed."""
        try:
            with open_plain(self.path) as file:
                self.array = self._peek(file) == "["
                yield from self._array(file) if self.array else self._sequence(file)
        except OSError as error:
            raise RecordError(f"{self.path} cannot be read ({error.strerror}); check that it is there") from error
        self.sha256 = self._digest.hexdigest()

    def _array(self, file: BinaryIO) -> Iterator[Any]:
        self._at += 1
        if self._peek(file) == "]":
            self._at += 1
        else:
            while True:
                yield self._value(file)
                mark = self._peek(file)
                if mark not in (",", "]"):
                    raise self._bad("a comma or the closing bracket is missing" if mark else "the file ends here")
                self._at += 1
                if mark == "]":
                    break
        if self._peek(file):
            raise self._bad("something follows the closing bracket")

    def _sequence(self, file: BinaryIO) -> Iterator[Any]:
        while self._peek(file):
            yield self._value(file)
        if not self.n_values:
            raise RecordError(f"{self.path} is empty; LoadGen writes at least an empty JSON array")

    def _peek(self, file: BinaryIO) -> str:
        """Return the next character that is no white space, "" at the end of the file."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_more(file):
                return ""

    def _value(self, file: BinaryIO) -> Any:
        """Return the next value, reading on while it may be cut by the end of what was read."""
        self._peek(file)
        while True:
            value, end, fault = self._parse()
            # A number goes on in the next chunk where this one ends in "1", "1." or "1e-".
            if not fault and end + _LONGEST_TOKEN < len(self._text):
                break
            if not self._read_more(file):
                if fault:
                    raise self._bad(f"the file ends in it ({fault})")
                value, end, _ = self._parse()
                break
        self._at = end
        self.n_values += 1
        return value

    def _parse(self) -> tuple[Any, int, str]:
        """Return the value that begins here, where it ends, and what it lacks if the text ends too soon.

        Raises RecordError for what no more text would mend.
        """
        try:
            value, end = self._decoder.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            if error.msg.startswith("Unterminated string") or error.pos > len(self._text) - _LONGEST_TOKEN:
                return None, self._at, error.msg
            raise self._bad(f"no JSON: {error.msg}") from error
        except (RecursionError, ValueError) as error:
            raise self._bad("no JSON that LoadGen writes: nested too deep, or too long a number") from error
        return value, end, ""

    def _read_more(self, file: BinaryIO) -> bool:
        """Append to the text, dropping what was used; return False at the end of the file.

        As much is read as is kept, so that a long value is not parsed again for every chunk of it.
        """
        if self._ended:
            return False
        kept = len(self._text) - self._at
        if kept > self._max_value_chars:
            raise self._bad(f"it is longer than {self._max_value_chars >> 20} MiB")
        data = file.read(max(self._chunk_bytes, kept))
        self._digest.update(data)
        self._ended = not data
        try:
            more = self._utf8.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise self._bad("from here on a byte is no UTF-8") from error
        self._dropped += self._at
        self._text = self._text[self._at :] + more
        self._at = 0
        return not self._ended

    def _bad(self, what: str) -> RecordError:
        where = f"entry {self.n_values + 1}, character {self._dropped + self._at + 1}"
        return RecordError(f"{self.path}: {where}: {what}; publish the log as LoadGen wrote it")
