"""The wire formats from the server's side, one a file, each of which offers one `FORMAT`. Pure.

A new format is a file beside these and its name in `_NAMES`.

    contract      what a format is: requests to an Ask, an Answer to reply bytes
    choices       what chat and text completions share
    conversation  messages, as chat, responses and messages read them
    parts         prompts of several texts, each of which has a result of its own
    sse           the events of a streamed reply
    binary        a text for input that is none: a tensor, a sound, an image
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

from .contract import Format

_NAMES: Final = (
    "audio",
    "chat",
    "completions",
    "embeddings",
    "generate",
    "images",
    "kserve",
    "messages",
    "predict",
    "rerank",
    "responses",
    "video",
)


def load_formats() -> tuple[Format, ...]:
    """Return all formats."""
    return tuple(import_module(f".{name}", __package__).FORMAT for name in _NAMES)
