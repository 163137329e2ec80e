"""Server-sent events. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

MEDIA_TYPE: Final = "text/event-stream"
DONE: Final = b"data: [DONE]\n\n"


def event(document: Any, name: str = "") -> bytes:
    """Return an event whose data is a document, with a line that names it where it has a name."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + msgspec.json.encode(document) + b"\n\n"
