"""Prompts of several texts, each of which has a result of its own that depends on no other. Pure.

Results are made from the answer, not from the request, so that a cache which answers one request with what another was
told replays that one's results.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..exchange import OTHER_MODEL, Answer

#: ASCII's record separator, which is white space to whoever counts words.
_SEPARATOR: Final = "\x1e"
_BETWEEN: Final = f" {_SEPARATOR} "


def joined(texts: Iterable[str]) -> str:
    """Return one prompt of several texts, separators in them read as spaces."""
    return _BETWEEN.join(text.replace(_SEPARATOR, " ") for text in texts)


def texts(answer: Answer) -> list[str]:
    """Return the texts of the prompt that was answered; none where the model skipped it."""
    if answer.dishonest == "skipped_empty":
        return []
    source = answer.source.removesuffix(OTHER_MODEL) if answer.dishonest == "other_model" else answer.source
    return source.decode().split(_BETWEEN)


def source(answer: Answer, text: str) -> bytes:
    """Return what the result of one text is made of, as Answer.source is of a whole prompt."""
    return text.encode() + (OTHER_MODEL if answer.dishonest == "other_model" else b"")
