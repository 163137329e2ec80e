"""Ask, Answer and Ticket: what goes in, what comes out, and what one holds in between."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any, Final

import msgspec

from ...config.endpoint import Dishonesty

#: What another model reads behind each prompt.
OTHER_MODEL: Final = b" to another model"


class Ask(msgspec.Struct, frozen=True, gc=False):
    """One request, as the service and its caches see it.

    `kind` is the name of its wire format, `wants` what only that format looks at. `key` is a digest of URL and body,
    `url` its path with its query string. `prompt` is all that the model reads, as a text; `question` is what the user
    says last: the text of the last user message, or the prompt where there are no messages. `work` is what the
    request costs beside the usual one.
    """

    kind: str
    key: bytes
    prompt: str
    url: str = ""
    question: str = ""
    model: str = ""
    stream: bool = False
    wants: Any = None
    work: float = 1.0


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One reply before it is put into words: equal prompts give equal `source`, each computation a new `id`.

    `cached_words` is how much of the prompt came from the prefix cache, and what usage reports as cached tokens.
    `says` is the answer to a question that the model knows; `dishonest` is what its words are dishonest in.
    `form` is the request whose bytes are replayed, where a cache replays them to requests that may ask for another
    form; None: the reply takes the form that is asked for.
    """

    id: str
    created_s: int
    source: bytes
    n_prompt_words: int
    cached_words: int = 0
    says: str = ""
    dishonest: Dishonesty = "none"
    form: Ask | None = None

    @classmethod
    def to(cls, ask: Ask, reused_words: int = 0, *, says: str = "", dishonest: Dishonesty = "none") -> Answer:
        """Return what the model says to a request, under a new id."""
        return cls(
            id=uuid.uuid4().hex,
            created_s=int(time.time()),  # noqa: TID251 - servers tell the machine's time
            source=ask.prompt.encode() + (OTHER_MODEL if dishonest == "other_model" else b""),
            says=says,
            dishonest=dishonest,
            n_prompt_words=max(1, len(ask.prompt.split())),
            cached_words=reused_words,
        )

    def renewed(self) -> Answer:
        """Return the answer under a new id: what caches in front of a model do, and so equal ids prove a replay."""
        return msgspec.structs.replace(self, id=uuid.uuid4().hex)


class Slot(msgspec.Struct, frozen=True, gc=False):
    """When a lane has the first token and the end of a request, in seconds of the service's clock.

    `answer` is what it will come to, None for an injected error; `computes` is false for a cache hit.
    """

    first_token_s: float
    end_s: float
    answer: Answer | None
    computes: bool = True


class Ticket:
    """A request on its way through the service. `done` gives None where an error was injected.

    `replica` is the number of the cache that it was given to.
    """

    def __init__(self, ask: Ask, loop: asyncio.AbstractEventLoop, replica: int = 0) -> None:
        self.ask = ask
        self.replica = replica
        self.taken: asyncio.Future[Slot] = loop.create_future()
        self.done: asyncio.Future[Answer | None] = loop.create_future()
        self.computed = False
