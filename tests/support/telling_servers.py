"""Servers that tell of caches in their headers, or seem to: caches as real ones are, and gateways that keep nothing.

Each is named for what it is like; what real ones send was seen on LiteLLM 1.80, nginx 1.22, Varnish 7.1 and
MLServer 1.7.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Hashable
from typing import ClassVar

from .lane_server import Answer, Ask, Behaviour, Exchange, LaneServer, words_from
from .plain_caches import Exact, UrlKeyed

_KEY = hashlib.sha256(b"audio.wav").hexdigest()


class LiteLLMTranscriptions(Exact):
    """Keyed on a file name, which all requests have; replies have no id, and a random model says one thing."""

    def key(self, ask: Ask) -> Hashable:  # noqa: ARG002
        return "audio.wav"

    def reply(self, ask: Ask) -> Answer:  # noqa: ARG002
        return Answer("", words_from(b"constant"))

    async def hit(self, ask: Ask, key: Hashable) -> Answer:
        return (await super().hit(ask, key))._replace(headers=(f"x-litellm-cache-key: {_KEY}",))


class NginxEmptyBody(UrlKeyed):
    """The body is too large for the key, so that only the URL is left in it."""

    async def answer(self, ask: Ask, exchange: Exchange) -> Answer:
        hit = self.key(ask) in self.store
        answer = await super().answer(ask, exchange)
        return answer._replace(id="", headers=(f"X-Cache-Status: {'HIT' if hit else 'MISS'}",))


class VarnishWithoutBody(Exact):
    """Host and URL are the key; Age and the fetching transaction tell of the object."""

    def __init__(self, server: LaneServer) -> None:
        super().__init__(server)
        self.fetched_s = time.monotonic()

    def key(self, ask: Ask) -> Hashable:
        return ask.url.partition("?")[0]

    def reply(self, ask: Ask) -> Answer:
        self.fetched_s = time.monotonic()
        return super().reply(ask)._replace(headers=(f"X-Varnish: {self.server.received}", "Age: 0"))

    async def hit(self, ask: Ask, key: Hashable) -> Answer:
        age = int(time.monotonic() - self.fetched_s)
        headers = (f"X-Varnish: {self.server.received + 10} 3", f"Age: {age}")
        return (await super().hit(ask, key))._replace(headers=headers)


class MLServer(Exact):
    """The input is the key, and not the model; every reply has an id of its own."""

    def key(self, ask: Ask) -> Hashable:
        return ask.prompt

    def reply(self, ask: Ask) -> Answer:
        return super().reply(ask)._replace(model=ask.model)

    async def hit(self, ask: Ask, key: Hashable) -> Answer:
        return (await super().hit(ask, key))._replace(id=self.server.new_id())


class Gateway(Behaviour):
    """It keeps nothing, and adds headers to every reply."""

    headers: ClassVar[tuple[str, ...]] = (
        "x-cache: Miss from cloudfront",
        "cf-cache-status: DYNAMIC",
        "x-served-by: cache-fra-1",
        "x-cache-key: /v1/chat/completions",
        "cache-control: max-age=3600",
        "age: 0",
    )

    def reply(self, ask: Ask) -> Answer:
        own = self.server.new_id()
        headers = (*self.headers, f"x-request-id: {own}", f"x-litellm-call-id: {own}")
        return super().reply(ask)._replace(headers=headers)


class ConstantKey(Gateway):
    """One of them is a header that LiteLLM sends with hits alone."""

    headers = (f"x-litellm-cache-key: {_KEY}", "x-cache: HIT")


class ConstantHit(Gateway):
    """One says HIT, in front of a model that says one thing."""

    headers = ("x-cache: HIT",)

    def reply(self, ask: Ask) -> Answer:
        return super().reply(ask)._replace(text=words_from(b"constant"))


TELLING: dict[str, type[Behaviour]] = {
    "litellm_transcriptions": LiteLLMTranscriptions,
    "nginx_empty_body": NginxEmptyBody,
    "varnish_without_body": VarnishWithoutBody,
    "mlserver": MLServer,
    "gateway": Gateway,
    "constant_key": ConstantKey,
    "constant_hit": ConstantHit,
}
