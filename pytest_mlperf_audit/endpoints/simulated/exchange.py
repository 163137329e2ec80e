"""Ask, Answer and Ticket: what goes in, what comes out, and what one holds in between."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

Kind = Literal["chat", "video"]


class Ask(msgspec.Struct, frozen=True, gc=False):
    """One request, as the service and its caches see it. `key` is a digest of path and body."""

    kind: Kind
    key: bytes
    prompt: str
    model: str = ""
    stream: bool = False
    include_usage: bool = False
    wants_video_bytes: bool = False


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One reply before it is put into words: equal prompts give equal `source`, each computation a new `id`.

    `cached_words` is how much of the prompt came from the prefix cache, and what usage reports as cached tokens.
    """

    id: str
    created_s: int
    source: bytes
    n_prompt_words: int
    cached_words: int = 0


class Slot(msgspec.Struct, frozen=True, gc=False):
    """When a lane has the first token and the end of a request, in seconds of the service's clock.

    `answer` is what it will come to, None for an injected error; `computes` is false for a cache hit.
    """

    first_token_s: float
    end_s: float
    answer: Answer | None
    computes: bool = True


class Ticket:
    """A request on its way through the service. `done` gives None where an error was injected."""

    def __init__(self, ask: Ask, loop: asyncio.AbstractEventLoop) -> None:
        self.ask = ask
        self.taken: asyncio.Future[Slot] = loop.create_future()
        self.done: asyncio.Future[Answer | None] = loop.create_future()
        self.computed = False
