"""What every decoder needs: JSON that cannot hurt, and texts from outside made fit to show. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from .base import BadReplyError

MAX_DETAIL = 200
_MAX_ID = 200
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CODED = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
#: Bytes at the start of a body that tell a coding.
LONGEST_MARK = max(len(start) for start, _ in _CODED)

T = TypeVar("T")


def bad(reason: str, detail: str) -> BadReplyError:
    """Return a BadReplyError whose detail is 1 to 200 printable characters."""
    return BadReplyError(reason, printable(detail) or "the reply says nothing that can be shown")


def printable(text: str, limit: int = MAX_DETAIL) -> str:
    """Return one line of at most `limit` characters, none of them a control or formatting character."""
    start = text[: 4 * limit]  # enough for a short answer, however long the text from outside is
    line = " ".join("".join(char if char.isprintable() else " " for char in start).split())
    return line if len(line) <= limit and len(text) <= 4 * limit else f"{line[: limit - 3]}..."


def short_id(text: str | None) -> str | None:
    """Return an id or a finish reason as a record may hold it: bounded, whatever a hostile endpoint sends."""
    return text[:_MAX_ID] if text else None


def parse(decoder: msgspec.json.Decoder[T], data: bytes | bytearray, what: str) -> T:
    """Decode JSON from outside; BadReplyError("malformed") for anything that is not what `decoder` expects."""
    refuse_coded(data, what)
    try:
        return decoder.decode(data.removeprefix(BYTE_ORDER_MARK))
    except UnicodeDecodeError:
        raise bad("malformed", f"{what} is not valid UTF-8") from None
    except RecursionError:
        raise bad("malformed", f"{what} is nested too deeply") from None
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise bad("malformed", f"{what}: {error}") from None


def parse_strictly(decoder: msgspec.json.Decoder[T], data: bytes | bytearray) -> T | None:
    """Decode JSON that has the types most servers give it; None for any other, which parse_leniently is for."""
    try:
        return decoder.decode(data)
    except (ValueError, RecursionError):
        return None


def parse_leniently(data: bytes | bytearray, what: str) -> Mapping[str, Any]:
    """Decode an object from outside, with what servers add to JSON: a BOM, NaN, half surrogates.

    The one object of a list is taken for the object. Raises BadReplyError("malformed").
    """
    refuse_coded(data, what)
    try:
        value = json.loads(data.removeprefix(BYTE_ORDER_MARK).decode())
    except UnicodeDecodeError:
        raise bad("malformed", f"{what} is not valid UTF-8") from None
    except RecursionError:
        raise bad("malformed", f"{what} is nested too deeply") from None
    except ValueError as error:
        raise bad("malformed", f"{what} is not JSON: {error}") from None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, Mapping):
        raise bad("malformed", f"{what} is JSON, but no object")
    return value


def read_object(data: bytes) -> Mapping[str, Any] | None:
    """Return the object that a text is, None where it is none."""
    try:
        return parse_leniently(data, "")
    except BadReplyError:
        return None


def refuse_coded(data: bytes | bytearray, what: str) -> None:
    """Raise BadReplyError("malformed") for bytes that begin as a compressed file does."""
    if coding := next((name for start, name in _CODED if data.startswith(start)), None):
        raise bad("malformed", f"{what} is coded in {coding}, although Accept-Encoding: identity was sent")
