"""What every decoder needs: JSON that cannot hurt, and its values as what they were meant to be, or as nothing. Pure.

No `as_` function raises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec

from ..text import printable
from .base import BadReplyError

_MAX_ID = 200
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CODED = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
#: Bytes at the start of a body that tell a coding.
LONGEST_MARK = max(len(start) for start, _ in _CODED)
_LIMIT = 2**31
_DEPTH = 8
_THOUGHTS = ("thinking", "reasoning")

#: A count of tokens, or a token id, as a strict decoder takes it.
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]

_T = TypeVar("_T")


def bad(reason: str, detail: str) -> BadReplyError:
    """Return a BadReplyError whose detail is 1 to 200 printable characters."""
    return BadReplyError(reason, printable(detail) or "the reply says nothing that can be shown")


def short_id(text: str | None) -> str | None:
    """Return an id or a finish reason as a record may hold it: bounded, whatever a hostile endpoint sends."""
    return text[:_MAX_ID] if text else None


def parse(decoder: msgspec.json.Decoder[_T], data: bytes | bytearray, what: str) -> _T:
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


def parse_strictly(decoder: msgspec.json.Decoder[_T], data: bytes | bytearray) -> _T | None:
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


def refuse_coded(data: bytes | bytearray, what: str) -> None:
    """Raise BadReplyError("malformed") for bytes that begin as a compressed file does."""
    if coding := next((name for start, name in _CODED if data.startswith(start)), None):
        raise bad("malformed", f"{what} is coded in {coding}, although Accept-Encoding: identity was sent")


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return an object; an empty one for anything else, such as the [] of languages that have one empty value."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> Sequence[Any]:
    """Return a list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def as_count(value: Any) -> int | None:
    """Return a number from 0 to 2**31 - 1 that is whole, as a number or as a text; else None."""
    if isinstance(value, str):
        value = int(value) if value.isdecimal() and len(value) < len(str(_LIMIT)) + 1 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LIMIT or value != int(value):
        return None
    return int(value)


def as_counts(value: Any) -> list[int] | None:
    """Return a list of such numbers; None unless every one of them is, since a list with gaps tells nothing."""
    counts = [as_count(number) for number in as_list(value)]
    whole = [count for count in counts if count is not None]
    return whole if whole and len(whole) == len(counts) else None


def as_word(value: Any) -> str | None:
    """Return an id, a name or a reason as text: of an object what it says of its type, of anything else its text."""
    if isinstance(value, Mapping):
        named = (value.get(key) for key in ("type", "reason", "finish_reason", "name", "value", "id"))
        value = next((name for name in named if isinstance(name, str) and name), value)
    if value is None or value is False or value in ({}, []):
        return None
    return as_unicode(value if isinstance(value, str) else compact(value))


def as_text(value: Any, *, thinking: bool = False, depth: int = 0) -> str | None:
    """Return a text, or that of the parts it comes in: those that are thoughts, or those that are not."""
    if isinstance(value, list) and depth < _DEPTH:
        return "".join(as_text(part, thinking=thinking, depth=depth + 1) or "" for part in value) or None
    if isinstance(value, Mapping) and depth < _DEPTH:
        thought = "thinking" in value or any(value.get("type") == kind for kind in _THOUGHTS)
        if thought is not thinking:
            return None
        inner = next(
            (value[key] for key in ("text", "thinking", "reasoning", "content", "refusal") if value.get(key)), None
        )
        return _all_text(inner, depth + 1)
    return None if thinking else _all_text(value, depth)


def _all_text(value: Any, depth: int) -> str | None:
    """Return every text in a part."""
    if isinstance(value, str):
        return as_unicode(value)
    if isinstance(value, list) and depth < _DEPTH:
        return "".join(_all_text(part, depth + 1) or "" for part in value) or None
    if isinstance(value, Mapping) and depth < _DEPTH:
        return _all_text(next((value[key] for key in ("text", "content", "value") if value.get(key)), None), depth + 1)
    return None


def compact(value: Any) -> str:
    """Return a JSON value as the one text that stands for it, whatever the order of its keys."""
    return as_unicode(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def as_unicode(text: str) -> str:
    """Return a text with U+FFFD for each half of a surrogate pair, which UTF-8 cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
