"""What every decoder needs: JSON that cannot hurt, and texts from outside made fit to show. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from .base import BadReplyError

MAX_DETAIL = 200
_MAX_ID = 200

T = TypeVar("T")


def bad(reason: str, detail: str) -> BadReplyError:
    """Return a BadReplyError whose detail is at most 200 printable characters."""
    return BadReplyError(reason, printable(detail))


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
    try:
        return decoder.decode(data)
    except UnicodeDecodeError:
        raise bad("malformed", f"{what} is not valid UTF-8") from None
    except RecursionError:
        raise bad("malformed", f"{what} is nested too deeply") from None
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise bad("malformed", f"{what}: {error}") from None


def error_text(error: Any) -> str:
    """Return what an error object says, from the shapes that servers use."""
    if isinstance(error, Mapping):
        for key in ("message", "detail", "msg", "type", "code"):
            if error.get(key):
                return str(error[key])
        return "an error object without a message"
    return str(error)
