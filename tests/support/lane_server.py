"""A small SUT whose behaviour is a class: the servers of cheats.py, oddities.py and plain_caches.py are made of it.

HTTP/1.1 by hand on asyncio streams, in the formats videogen and chat, plain and streamed. A request is computed on one
of so many lanes, first come first served, and takes what a seeded law draws. GET /stats says what was received, what
was really computed, and what was served from somewhere else. It shares no code with the product. lane_process.py starts
it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
import re
from typing import Any, ClassVar, NamedTuple

OPTIONS = {
    "lanes": 4,
    "service_ms": 8.0,
    "cv": 0.05,
    "law": "lognormal",  # lognormal | bimodal | pareto
    "prefill_share": 0.3,  # of the service time, before the first token of a stream
    "hit_ms": 0.3,
    "stalls": 0.0,  # this share of replies, hits as well, come nine service times later
    "speeds": None,  # of replicas, where a behaviour has them
    "fresh_ids": False,  # a reply that was not computed bears an id of its own all the same
    "seed": 1,
}
_TOKENS = 8
_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jade", "knoll", "larch")
#: The first query of a session has 128 random bits before its prompt; it is no part of any count.
_FIRST = re.compile(r"\b[0-9a-f]{32} ", re.IGNORECASE)


class Ask(NamedTuple):
    """A request. `url` is its path with the query string, `model` the one it asks for."""

    url: str
    body: bytes
    prompt: str
    video: bool
    stream: bool
    model: str = "m"

    @property
    def words(self) -> list[str]:
        return self.prompt.split()

    @property
    def exact(self) -> tuple[str, bytes]:
        """All that tells it from others."""
        return self.url, self.body


class Answer(NamedTuple):
    """A reply before it is put into words. `headers` are those of this reply, `model` where it is not the one asked."""

    id: str
    text: str
    cached_tokens: int = 0
    headers: tuple[str, ...] = ()
    model: str = ""


class Behaviour:
    """How requests are answered; this one is honest. A subclass says what it needs of OPTIONS otherwise."""

    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, server: LaneServer) -> None:
        self.server = server

    async def answer(self, ask: Ask, exchange: Exchange) -> Answer:
        return await self.server.compute(ask, exchange)

    def seconds(self, ask: Ask) -> float:  # noqa: ARG002
        """Return what a request costs, if every draw were 1."""
        return float(self.server.o["service_ms"]) / 1000

    def reply(self, ask: Ask) -> Answer:
        """Return what the model says: always the same to a prompt, under an id of its own."""
        return Answer(self.server.new_id(), words_from(ask.prompt.encode()))


def words_from(source: bytes, n_words: int = _TOKENS) -> str:
    return " ".join(_WORDS[byte % len(_WORDS)] for byte in hashlib.shake_128(source).digest(n_words))


class LaneServer:
    """Lanes, a law, counters, and one behaviour."""

    def __init__(self, behaviour: type[Behaviour], options: dict[str, Any]) -> None:
        self.o = {**OPTIONS, **behaviour.options, **options}
        self.rng = random.Random(self.o["seed"])
        self.lanes = asyncio.Semaphore(self.o["lanes"])
        self.received = self.computed = self.served = self.in_flight = 0
        self.behaviour = behaviour(self)

    def new_id(self) -> str:
        return f"{self.rng.getrandbits(96):024x}"

    def draw(self) -> float:
        """Return a service time's factor, of mean 1."""
        cv, rng = self.o["cv"], self.rng
        if self.o["law"] == "bimodal":
            gap = cv / 0.3
            return float(max(1 - 0.1 * gap, 0.02) + (gap if rng.random() < 0.1 else 0.0))
        variance = math.log1p(cv * cv)
        factor = rng.lognormvariate(-variance / 2, math.sqrt(variance))
        if self.o["law"] == "pareto" and rng.random() < 0.05:
            factor *= 1 + rng.paretovariate(1.5)
        return factor

    async def compute(self, ask: Ask, exchange: Exchange) -> Answer:
        """Compute a request on a lane, and begin its stream when the first token is there."""
        async with self.lanes:
            return await self.work(ask, exchange, self.behaviour.seconds(ask) * self.draw())

    async def work(self, ask: Ask, exchange: Exchange, seconds: float, spared: float = 0.0) -> Answer:
        """Do the work of a request; `spared` is how much of the time before the first token is not needed."""
        before_s = seconds * self.o["prefill_share"]
        answer = self.behaviour.reply(ask)
        if ask.stream:
            await asyncio.sleep(before_s * (1 - spared))
            exchange.begin(answer)
            await asyncio.sleep(seconds - before_s)
        else:
            await asyncio.sleep(seconds - before_s * spared)
        self.computed += not exchange.first
        return answer

    async def serve_kept(self, answer: Answer) -> Answer:
        """Give a reply that was not computed for this request."""
        self.served += 1
        await asyncio.sleep(self.o["hit_ms"] / 1000)
        return answer._replace(id=self.new_id()) if self.o["fresh_ids"] else answer

    # -- HTTP

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)
        method, url = head.decode("latin-1").split(" ", 2)[:2]
        if method != "POST":
            stats = {"received": self.received, "computed": self.computed, "served": self.served}
            page = {"/stats": stats, "/v1/models": {"data": [{"id": "m"}]}}.get(url)
            return await _plain(writer, 404 if page is None else 200, json.dumps(page).encode())
        ask = read(url, body)
        exchange = Exchange(ask, writer, first=_FIRST.search(ask.prompt) is not None)
        self.received += not exchange.first
        self.in_flight += 1
        try:
            answer = await self.behaviour.answer(ask, exchange)
            if self.o["stalls"] and self.rng.random() < self.o["stalls"]:
                await asyncio.sleep(9 * self.o["service_ms"] / 1000)
        finally:
            self.in_flight -= 1
        return await exchange.end(answer)


def read(url: str, body: bytes) -> Ask:
    """Read a request of either format."""
    asked = json.loads(body)
    if "messages" in asked:
        prompt = " ".join(str(message["content"]) for message in asked["messages"])
        return Ask(url, body, prompt, video=False, stream=bool(asked.get("stream")), model=str(asked.get("model")))
    return Ask(url, body, str(asked["prompt"]), video=True, stream=False)


async def _plain(writer: asyncio.StreamWriter, status: int, body: bytes, headers: tuple[str, ...] = ()) -> bool:
    head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n"
    writer.write(head % (status, len(body), _lines(headers)) + body)
    await writer.drain()
    return True


def _lines(headers: tuple[str, ...]) -> bytes:
    return "".join(f"{header}\r\n" for header in headers).encode()


class Exchange:
    """One reply on its way. `first`: to the query by which a session learns whether it asks the right thing."""

    def __init__(self, ask: Ask, writer: asyncio.StreamWriter, *, first: bool) -> None:
        self.ask, self.first = ask, first
        self._writer = writer
        self._begun = False

    def begin(self, answer: Answer) -> None:
        """Send the first word of a stream."""
        if self._begun or not self.ask.stream:
            return
        self._begun = True
        word = answer.text.split(" ")[0]
        head = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n%b\r\n"
        self._writer.write(
            head % _lines(answer.headers) + _chunk(_event(answer, {"role": "assistant", "content": word}))
        )

    async def end(self, answer: Answer) -> bool:
        if not self.ask.stream:
            return await _plain(self._writer, 200, json.dumps(self._whole(answer)).encode(), answer.headers)
        self.begin(answer)
        words = answer.text.split(" ")[1:]
        events = [_event(answer, {"content": f" {word}"}) for word in words]
        usage = {"id": answer.id, "object": "chat.completion.chunk", "choices": [], "usage": _usage(self.ask, answer)}
        events += [_event(answer, {}, "stop"), b"data: " + json.dumps(usage).encode() + b"\n\n", b"data: [DONE]\n\n"]
        self._writer.write(_chunk(b"".join(events)) + b"0\r\n\r\n")
        await self._writer.drain()
        return True

    def _whole(self, answer: Answer) -> dict[str, Any]:
        if self.ask.video:
            name = hashlib.sha256(answer.text.encode()).hexdigest()[:16]
            return {"video_id": answer.id, "video_path": f"/videos/{name}.mp4"}
        message = {"role": "assistant", "content": answer.text}
        return {
            **({"id": answer.id} if answer.id else {}),
            "object": "chat.completion",
            "model": answer.model or self.ask.model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": _usage(self.ask, answer),
        }


def _usage(ask: Ask, answer: Answer) -> dict[str, Any]:
    n_prompt, n_output = len(ask.words), len(answer.text.split())
    counts = {"prompt_tokens": n_prompt, "completion_tokens": n_output, "total_tokens": n_prompt + n_output}
    return {**counts, "prompt_tokens_details": {"cached_tokens": answer.cached_tokens}}


def _event(answer: Answer, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    document = {"id": answer.id, "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
