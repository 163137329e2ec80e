"""What a wire format of the simulated endpoint is. Pure.

An Answer always gives the same bytes for the same Ask, so a cache that replays an Answer replays the reply's bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from ....config.endpoint import SimulatedConfig
from ..exchange import Answer, Ask

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class BadRequestError(ValueError):
    """A request that is answered with `status` and an error document; the message says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Request(NamedTuple):
    """One request to a path of the format named `format_name`.

    `url` is the path as sent, with its query string; `parameters` are the decoded parts of the path that the format's
    pattern names; names of `headers` are looked up in any case.
    """

    format_name: str
    path: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = _NO_HEADERS
    parameters: Mapping[str, str] = _NO_HEADERS

    def ask(
        self,
        prompt: str,
        *,
        question: str | None = None,
        model: str = "",
        stream: bool = False,
        wants: Any = None,
        work: float = 1.0,
    ) -> Ask:
        """Return what is asked; the question is the prompt where none is given. Raises BadRequestError: no prompt."""
        if not prompt.strip():
            raise BadRequestError("the prompt is empty")
        return Ask(
            kind=self.format_name,
            key=hashlib.sha256(self.url.encode(errors="surrogateescape") + b"\n" + self.body).digest(),
            prompt=prompt,
            url=self.url,
            question=prompt if question is None else question,
            model=model,
            stream=stream,
            wants=wants,
            work=work,
        )


class Body(NamedTuple):
    """A reply: its bytes, their media type without parameters, and headers beside those that every reply has."""

    content: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = _NO_HEADERS


class Page(NamedTuple):
    """A page that is read with GET: no query, and so in no count. `read` may raise BadRequestError (404, say)."""

    path: str
    read: Callable[[SimulatedConfig, Request], Body]


def openai_error(message: str, kind: str) -> bytes:
    """Return an error document as OpenAI's APIs have it; `kind` is invalid_request_error or server_error."""
    return msgspec.json.encode({"error": {"message": message, "type": kind}})


class Format(NamedTuple):
    """One wire format.

    * `paths`: what is posted to, each fixed or with parts in braces: "/v2/models/{model}/infer"
    * `read`: what a request asks for, by `request.ask`. `prompt` is the whole input as the simulated model and caches
      that understand it read it; `binary.text_of` makes one of bytes. What only this format needs goes into `wants`,
      such as settings that change a reply. Raises BadRequestError, or any other ValueError
    * `reply`: a whole reply, by the words of `model.output` or by the bytes of `answer.source`, which are equal for
      equal prompts and another model's where that is dishonest; ids come from `answer.id`
    * `events`: those of a streamed reply: what comes at once (may be nothing), then one piece for each token, then what
      ends it; the pieces are sent as the lane makes the tokens. None where the format does not stream
    * `error`: an error document
    """

    name: str
    paths: tuple[str, ...]
    read: Callable[[Request], Ask]
    reply: Callable[[SimulatedConfig, Ask, Answer], Body]
    events: Callable[[SimulatedConfig, Ask, Answer], list[bytes]] | None = None
    pages: tuple[Page, ...] = ()
    error: Callable[[str, str], bytes] = openai_error


def json_body(document: Any, headers: Mapping[str, str] = _NO_HEADERS) -> Body:
    """Return a reply of JSON."""
    return Body(msgspec.json.encode(document), headers=headers)
