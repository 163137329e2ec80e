"""`mlperf_log_accuracy.json`: what a SUT answered, an entry a sample, with the output as hexadecimal digits.

LoadGen writes a JSON array with an entry a line; pretty-printed arrays, JSON lines and objects one after the other
are read too. A log of several gigabytes is read in the memory of one entry. For publication MLPerf's
`tools/submission/truncate_accuracy_log.py` keeps 4096 bytes of either end and notes the whole file's sha256 in
accuracy.txt.

A phase's kept outputs are written in LoadGen's own layout, with its white space (mlcommons/inference
`loadgen/logging.cc`, AsyncLog::LogAccuracy, of the commit that `audits.models` names): an entry a line, in the order of
completion, the bytes of the output as hexadecimal digits in upper case; with token latencies the first token beside it
as `token_data`, and the number of tokens. Token ids are little-endian int32. A query that failed has no entry, since
LoadGen logs none for a sample that its SUT did not answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from ..errors import RecordError
from ..records.files import write_pieces
from ..runs.query import QueryRecord
from .json_stream import JsonStream
from .text import open_plain

_MARK = re.compile(rb"\r?\n\r?\n\.\.\.\r?\n\r?\n")
_MOST_BEFORE_DOTS: Final = len(b"\r\n\r\n")
#: What the tool leaves is 8199 bytes; more where the text is not ASCII or its line ends were changed.
_TRUNCATED_BYTES: Final = 32 << 10
_HASH = re.compile(r"^hash=(\w+)\s*$", re.MULTILINE)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_MAX_NOTES_BYTES: Final = 4 << 20


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One logged sample; what the log does not say is None. `data` and `token_data` are the bytes that the SUT gave.

    For a language model they hold little-endian token ids of 4 or 8 bytes; `token_data` is the first token alone.
    """

    qsl_idx: int | None = None
    seq_id: int | None = None
    data: bytes | None = None
    token_data: bytes | None = None
    token_count: int | None = None


class Truncated(msgspec.Struct, frozen=True):
    """A log as cut for publication: the entries that are still whole at its beginning and its end."""

    head: tuple[Entry, ...]
    tail: tuple[Entry, ...]

    @property
    def visible(self) -> tuple[Entry, ...]:
        """All that is left, once each: the two ends of a short log overlap."""
        return tuple(dict.fromkeys((*self.head, *self.tail)))


class AccuracyLog:
    """A log's entries, in order; iterate once. `sha256` and `array` are those of JsonStream, once all were read."""

    def __init__(self, path: Path) -> None:
        self._values = JsonStream(path)

    @property
    def sha256(self) -> str:
        """The hex digest of the whole file."""
        return self._values.sha256

    @property
    def array(self) -> bool:
        """Whether the file is one JSON array, as LoadGen writes it."""
        return self._values.array

    def __iter__(self) -> Iterator[Entry]:
        """Return the entries. Raises RecordError, naming the file and where, for what is no whole accuracy log."""
        return map(self._entry, self._values)

    def with_raw(self) -> Iterator[tuple[Entry, Any]]:
        """Return the entries, each with the JSON value that it was read from. Raises as iterating does."""
        return ((self._entry(value), value) for value in self._values)

    def _entry(self, value: Any) -> Entry:
        try:
            return _entry_of(value)
        except ValueError as error:
            where = f"{self._values.path}: entry {self._values.n_values}"
            raise RecordError(f"{where}: {error}; publish the log as LoadGen wrote it") from error


def _entry_of(value: Any) -> Entry:
    """Return a JSON value as an Entry; ValueError says what is wrong with it."""
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 (what a file holds is no argument's type)
    return Entry(
        qsl_idx=_integer(value, "qsl_idx"),
        seq_id=_integer(value, "seq_id"),
        data=_hexadecimal(value, "data"),
        token_data=_hexadecimal(value, "token_data"),
        token_count=_integer(value, "token_count"),
    )


def read_truncated(path: Path) -> Truncated | None:
    """Return what is left of a log that MLPerf's tool cut, None where it was not.

    Raises RecordError when the file cannot be read.
    """
    match = _mark_of(path)
    if match is None:
        return None
    text = match.string
    return Truncated(_whole_entries(text[: match.start()]), _whole_entries(text[match.end() :]))


def is_truncated(path: Path) -> bool:
    """Return whether MLPerf's tool cut a log. Raises RecordError when the file cannot be read."""
    return _mark_of(path) is not None


def _mark_of(path: Path) -> re.Match[bytes] | None:
    """Return where a log was cut, in what is left of it; None where it was not."""
    try:
        with open_plain(path) as file:
            text = file.read(_TRUNCATED_BYTES + 1)
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error.strerror}); check that it is there") from error
    dots = text.find(b"...")
    if dots < 0 or len(text) > _TRUNCATED_BYTES:
        return None
    return _MARK.search(text, max(0, dots - _MOST_BEFORE_DOTS))


def read_hash(path: Path) -> str | None:
    """Return the sha256 of the whole log that an accuracy.txt notes, in lower case; None where there is none.

    A file may be noted more than once, by every truncation: the first counts, as in MLPerf's tool, since the later ones
    are of the log already cut.
    """
    try:
        with open_plain(path) as file:
            text = file.read(_MAX_NOTES_BYTES).decode("utf-8", "replace")
    except (OSError, RecordError):
        return None
    match = _HASH.search(text.replace("\r\n", "\n"))
    return match[1].lower() if match and _SHA256.fullmatch(match[1]) else None


_Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Written(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An entry with the fields that LoadGen writes, and no others."""

    qsl_idx: _Integer | None = None
    seq_id: _Integer | None = None
    data: str | None = None
    token_data: str | None = None
    token_count: _Integer | None = None


_written_decoder = msgspec.json.Decoder(list[_Written])


def _whole_entries(part: bytes) -> tuple[Entry, ...]:
    found = _entries_at_once(part)
    return _entries_one_by_one(part) if found is None else found


def _entries_at_once(part: bytes) -> tuple[Entry, ...] | None:
    """Return the entries of a list of LoadGen's, cut at either end; None where any of them is odd.

    Where all from the first brace to the last is entries and commas, looking for them one by one finds the same.
    """
    start, end = part.find(b"{"), part.rfind(b"}")
    if not part.isascii() or not 0 <= start < end:
        return None
    try:
        return tuple(
            Entry(
                qsl_idx=written.qsl_idx,
                seq_id=written.seq_id,
                data=None if written.data is None else bytes.fromhex(written.data),
                token_data=None if written.token_data is None else bytes.fromhex(written.token_data),
                token_count=written.token_count,
            )
            for written in _written_decoder.decode(b"[" + part[start : end + 1] + b"]")
        )
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def _entries_one_by_one(part: bytes) -> tuple[Entry, ...]:
    text = part.decode("utf-8", "replace")
    decoder = json.JSONDecoder()
    found, at = [], text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
            found.append(_entry_of(value))
        except (ValueError, RecursionError):
            end = at + 1
        at = text.find("{", end)
    return tuple(found)


def _integer(value: dict[str, Any], key: str) -> int | None:
    found = value.get(key)
    if found is not None and (not isinstance(found, int) or isinstance(found, bool)):
        raise ValueError(f"{key} is not an integer")
    return found


def _hexadecimal(value: dict[str, Any], key: str) -> bytes | None:
    found = value.get(key)
    if found is None:
        return None
    if not isinstance(found, str):
        raise ValueError(f"{key} is not a string")  # noqa: TRY004 (what a file holds is no argument's type)
    try:
        return bytes.fromhex(found)
    except ValueError:
        raise ValueError(f"{key} is not an even number of hexadecimal digits") from None


def write_accuracy_log(path: Path, records: Iterable[QueryRecord]) -> int:
    """Write the log of a phase's records, one at a time; return the number of its entries.

    Only completed queries whose output or token ids were kept are logged. Raises OSError, and RecordError where
    `records` are read from a log that is not whole; then no file is written.
    """
    n_entries = 0

    def pieces() -> Iterator[bytes]:
        nonlocal n_entries
        yield b"["
        for record in records:
            if (entry := _logged(record)) is not None:
                yield (",\n" if n_entries else "\n").encode() + entry.encode()
                n_entries += 1
        yield b"\n]\n"

    write_pieces(path, pieces())
    return n_entries


def _logged(record: QueryRecord) -> str | None:
    """Return a record as LoadGen logs a sample, None where nothing of its reply was kept.

    An output without token ids is logged as the bytes of its text, as LoadGen does without token latencies.
    """
    if not record.ok or (record.output_ids is None and record.output is None):
        return None
    text = (record.output or "").encode("utf-8", "replace").hex()
    fields = [f'"seq_id" : {record.query}', f'"qsl_idx" : {record.sample}']
    fields.append(f'"data" : "{(text if record.output_ids is None else record.output_ids).upper()}"')
    if record.output_ids is not None:
        if record.first_ids is not None:
            fields.append(f'"token_data" : "{record.first_ids.upper()}"')
        if record.tokens is not None:
            fields.append(f'"token_count" : {record.tokens}')
    return f"{{ {', '.join(fields)} }}"
