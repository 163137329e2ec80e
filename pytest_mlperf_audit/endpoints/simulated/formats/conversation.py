"""What is said in a conversation, as several APIs send one: messages of texts, or of parts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from .contract import BadRequestError


class Said(NamedTuple):
    """All that is said, and what the user says last."""

    prompt: str
    question: str


def read(messages: Sequence[dict[str, Any]], instructions: Any = None) -> Said:
    """Read messages, and what stands before them elsewhere in the request. Raises BadRequestError: no text in any."""
    texts = [("system", _text(instructions)), *((one.get("role"), _text(one.get("content"))) for one in messages)]
    prompt = " ".join(text for _role, text in texts if text)
    if not prompt.strip():
        raise BadRequestError("no message has a text")
    return Said(prompt, next((text for role, text in reversed(texts) if role == "user"), ""))


def _text(content: Any) -> str:
    return " ".join(_texts(content))


def _texts(content: Any) -> Iterator[str]:
    """Yield the texts of a content, which is a text or a list of parts."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
