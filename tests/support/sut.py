"""A small SUT that shares no code with the simulated endpoint: asyncio streams, HTTP/1.1 by hand.

    python sut.py '{"service_ms": 5, "lanes": 8, "cache": "exact", "fault": "none", ...}'
    python sut.py --fork

Prints its port as one line; or forks a server for each line of options that comes, prints "PID PORT" for it, and ends
them all when no more lines can come. POST bodies are answered in the format of their path, chat's by default. Every
request is kept byte for byte; GET /log returns times, GET /wire the raw requests (base64), GET /counts what was
computed, GET /connections when each connection was accepted and when each GET other than these came.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import html
import json
import os
import random
import re
import signal
import ssl
import sys
import time
import traceback
import urllib.parse
from collections.abc import Callable
from typing import Any

#: The first query of a session has 128 random bits before its prompt, all others have 64 at most.
FIRST = re.compile(rb"\b[0-9a-f]{32} ", re.IGNORECASE)

OPTIONS = {
    "service_ms": 5.0,
    "repeat_ms": 0.0,  # added to the service time of a body seen before: surely no cache, whatever the machine does
    "cv": 0.0,
    "slow": [0, 0, 1.0],  # from this query up to that one the service time is so many times as long
    "lanes": 8,
    "cache": "none",  # none | exact
    "hit_ms": 0.0,  # what an answer from the cache takes
    "headers": {},  # further headers of every good answer,
    "hit_headers": {},  # and of those from the cache
    "refuse_unknown": "",  # a regular expression; a prompt that it does not match whole is answered with 400
    "refuse_query": False,  # a URL with a query string is answered with 404
    "refuse_field": "",  # a body that names this field is answered with 400
    "refuse_repeats": False,  # a body seen before is answered with 409
    "fault": "none",  # see Sut.fault
    "fault_after": 0,  # requests answered well before the fault begins
    "fault_every": 1,  # of the requests after that, each so-manieth is faulty
    "echo_forms": False,  # an echo is escaped, coded or cut, in another way each time
    "location": "http://127.0.0.1:9/elsewhere",  # of the fault "redirect"
    "close": False,  # every reply closes its connection
    "metrics": "page",  # what GET /metrics gives, see Sut.metrics
    "metrics_after": 0,  # times that it gives the page first
    "token": "",  # demanded as bearer token
    "token_on_get": True,
    "tls": None,  # (certificate, key)
    "seed": 1,
}

#: How servers and proxies write what they quote.
FORMS: tuple[Callable[[bytes], bytes], ...] = (
    lambda text: urllib.parse.quote_from_bytes(text, safe="").encode(),
    lambda text: urllib.parse.quote_from_bytes(urllib.parse.quote_from_bytes(text, safe="").encode()).encode(),
    urllib.parse.unquote_to_bytes,
    lambda text: html.escape(text.decode()).encode(),
    lambda text: html.escape(html.escape(text.decode())).replace("=", "&#61;").encode(),
    lambda text: json.dumps(text.decode()).replace("/", "\\/").encode(),
    lambda text: json.dumps(json.dumps(text.decode()).replace("-", "\\u002d")).encode(),
    lambda text: text.upper(),
    lambda text: text.lower(),
    base64.b64encode,
    base64.urlsafe_b64encode,
    lambda text: base64.b64encode(b"." + text),
    lambda text: text.hex().encode(),
    lambda text: b" ".join(word[1:] for word in text.split()),
    lambda text: b" ".join(word[:-2] for word in text.split()),
    lambda text: json.dumps({"url": html.escape(text.decode().swapcase())}).encode(),
)


def _telling(request: bytes) -> bytes:
    """Return a request's first line, the headers that its sender chose, and the templates' arguments in its body."""
    head, _, body = request.partition(b"\r\n\r\n")
    usual = (b"host:", b"content-", b"accept", b"user-agent:", b"connection:")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(usual)]
    return b"\r\n".join([*lines, *re.findall(rb'"chat_template_kwargs".*', body)])


class Sut:
    def __init__(self, options: dict[str, Any]) -> None:
        self.o = {**OPTIONS, **options}
        self.rng = random.Random(self.o["seed"])
        self.lanes = asyncio.Semaphore(self.o["lanes"])
        self.store: dict[bytes, bytes] = {}
        self.computed = 0
        self.received = 0
        self.first = 0  # queries by which a session learns whether it asks the right thing; no part of any count
        self.in_flight = 0
        self.most_in_flight = 0
        self.times: list[tuple[int, int]] = []
        self.wire: list[bytes] = []
        self.accepted: list[int] = []
        self.gets: list[int] = []
        self.hits = 0
        self.scrapes: list[tuple[int, str]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted.append(time.perf_counter_ns())
        try:
            while await self.one(reader, writer) and not self.o["close"]:
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        token = ""
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            if name.lower() == b"authorization":
                token = value.strip().decode()
        body = await reader.readexactly(length)
        method, path = head.split(b" ", 2)[:2]
        refused = self.o["token"] and token != f"Bearer {self.o['token']}"
        if method == b"GET" and path.partition(b"?")[0] == b"/metrics":
            return await self.metrics(reader, writer, head)
        if method == b"GET":
            admin = path in (b"/log", b"/wire", b"/counts", b"/connections")
            if not admin:
                self.gets.append(time.perf_counter_ns())
            if refused and self.o["token_on_get"] and not admin:
                return await self.reply(writer, 401, b'{"error":"bad key"}')
            return await self.reply(writer, 200 if admin else 405, self.admin(path))
        first = FIRST.search(body) is not None
        if first:
            self.first += 1
        else:
            self.received += 1
            self.wire.append(head + body)
        if refused:
            return await self.reply(writer, 401, f'{{"error":"bad key {token}"}}'.encode())
        if status := self.refusal(path, body):
            return await self.reply(writer, status, f'{{"error":"not with us{self.o["refuse_field"]}"}}'.encode())
        received_ns = time.perf_counter_ns()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        number = self.received
        try:
            o = self.o
            turn = (1 if first else number) - o["fault_after"]
            if o["fault"] != "none" and turn > 0 and turn % o["fault_every"] == 0:
                return await self.fault(o["fault"], reader, writer, head + body)
            hit = self.o["cache"] == "exact" and body in self.store
            since, until, times = o["slow"]
            answer = await self.answer(path.partition(b"?")[0], body, times if since <= number < until else 1.0)
            done = await self.reply(writer, 200, answer, {**o["headers"], **(o["hit_headers"] if hit else {})})
            if first:
                self.computed -= 1
                return done
            self.times.append((received_ns, time.perf_counter_ns()))
            return done
        finally:
            self.in_flight -= 1

    def refusal(self, path: bytes, body: bytes) -> int:
        if self.o["refuse_query"] and b"?" in path:
            return 404
        if self.o["refuse_repeats"] and body in self.store:
            return 409
        if self.o["refuse_field"] and f'"{self.o["refuse_field"]}"'.encode() in body:
            return 400
        known = self.o["refuse_unknown"]
        return 400 if known and not re.fullmatch(known, self.prompt(body)) else 0

    @staticmethod
    def prompt(body: bytes) -> str:
        asked = json.loads(body)
        return str(asked["prompt"] if "prompt" in asked else asked["messages"][-1]["content"])

    def admin(self, path: bytes) -> bytes:
        return json.dumps(
            {
                b"/log": self.times,
                b"/connections": {"accepted": self.accepted, "gets": self.gets, "scrapes": self.scrapes},
                b"/wire": [base64.b64encode(raw).decode() for raw in self.wire],
                b"/counts": {
                    "received": self.received,
                    "computed": self.computed,
                    "first": self.first,
                    "most_in_flight": self.most_in_flight,
                },
            }.get(path, {})
        ).encode()

    async def metrics(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> bool:
        self.scrapes.append((time.perf_counter_ns(), head.decode()))
        kind = self.o["metrics"] if len(self.scrapes) > self.o["metrics_after"] else "page"
        if kind == "hang":
            await reader.read(1)
            return False
        page = '# TYPE sut:cache_hits counter\nsut:cache_hits_total{{a="b"}} {}\nsut:cache_queries_total {}\n'
        status, body = {
            "page": (200, page.format(self.hits, self.received).encode()),
            "404": (404, b"nothing here"),
            "401": (401, b"no"),
            "redirect": (302, b""),
            "huge": (200, b"# comment\n" * 10**6),
            "garbage": (200, b"sut:cache_hits_total{{{ 1\n"),
            "html": (200, b"<html><body>Welcome to nginx!</body></html>"),
            "reset": (200, page.format(0, 3).encode()),
            "odd": (200, b"sut:cache_hits_total NaN\nsut:cache_queries_total +Inf\n"),
            "echo": (200, b"sut_cache_hits_" + b"".join(re.findall(rb"SECRET[A-Z0-9]+", head)) + b" 1\n"),
        }[kind]
        return await self.reply(writer, status, body)

    async def answer(self, path: bytes, body: bytes, times: float) -> bytes:
        if self.o["cache"] == "exact" and body in self.store:
            self.hits += 1
            await asyncio.sleep(self.o["hit_ms"] / 1000)
            return self.store[body]
        async with self.lanes:
            if self.o["service_ms"]:
                spread = self.rng.gauss(1.0, self.o["cv"]) if self.o["cv"] else 1.0
                service_ms = self.o["service_ms"] + (self.o["repeat_ms"] if body in self.store else 0.0)
                await asyncio.sleep(service_ms / 1000 * max(0.05, spread) * times)
            self.computed += 1
        name = hashlib.sha256(body).hexdigest()[:12]
        if path.endswith(b"/v1/videos/generations"):
            answer: dict[str, Any] = {"video_id": f"v{self.computed}", "video_path": f"/videos/{name}.mp4"}
        elif path.endswith(b"/v1/messages"):
            said = {"content": [{"type": "text", "text": f"answer {name}"}], "stop_reason": "end_turn"}
            answer = {"id": f"msg_{self.computed}", **said, "usage": {"input_tokens": 5, "output_tokens": 4}}
        elif path.endswith(b"/v1/responses"):
            item = {"type": "message", "content": [{"type": "output_text", "text": f"answer {name}"}]}
            counted = {"usage": {"input_tokens": 5, "output_tokens": 4}, "status": "completed"}
            answer = {"id": f"resp_{self.computed}", "output": [item], **counted}
        else:
            answer = {
                "id": f"chatcmpl-{self.computed}",
                "choices": [{"index": 0, "message": {"content": f"answer {name}"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 4},
            }
        self.store[body] = json.dumps(answer).encode()
        return self.store[body]

    async def fault(
        self, kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> bool:
        if kind == "echo":
            return await self.reply(writer, 500, self.quoted(request))
        if kind == "echo_id":
            answer = {"video_id": self.quoted(request).decode(), "video_path": "/videos/1.mp4"}
            return await self.reply(writer, 200, json.dumps(answer).encode())
        if kind == "echo_200":
            message = {"message": self.quoted(request).decode()}
            return await self.reply(writer, 200, json.dumps({"error": message}).encode())
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        if kind == "500":
            return await self.reply(writer, 500, b'{"error":"boom"}')
        if kind == "401":
            return await self.reply(writer, 401, b'{"error":"token expired"}')
        if kind == "429":
            return await self.reply(writer, 429, b'{"error":"quota exceeded"}')
        if kind == "503":
            return await self.reply(writer, 503, b"busy")
        if kind == "redirect":
            writer.write(b"HTTP/1.1 307 X\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % self.o["location"].encode())
            await writer.drain()
            return True
        if kind == "reset":
            writer.transport.abort()
        elif kind == "hang":
            await reader.read(1)
        elif kind == "truncated":
            writer.write(head + b'content-length: 500\r\n\r\n{"video_id": "v1", ')
            await writer.drain()
        elif kind == "malformed":
            return await self.reply(writer, 200, b'{"video_id": <script>alert(1)</script>')
        elif kind == "html":
            return await self.reply(writer, 200, b"<html><body><h1>Welcome to nginx!</h1></body></html>")
        elif kind == "empty":
            return await self.reply(writer, 200, b"")
        elif kind == "not_http":
            writer.write(b"\x00\x01SSH-2.0-OpenSSH\r\n\r\n")
            await writer.drain()
        elif kind == "drip":
            writer.write(head + b"content-length: 1000000\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        elif kind == "endless":
            writer.write(head + b"transfer-encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
                await writer.drain()
        elif kind == "header_bomb":
            writer.write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"a" * 8000) for n in range(2000)))
            await writer.drain()
        elif kind == "cut":
            writer.write(head + b"content-length: 500\r\n\r\n{")
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.transport.abort()
        elif kind == "slow_head":
            for byte in b"HTTP/1.1 200 OK\r\nx: " + b"y" * 10_000:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.05)
        elif kind == "continues":
            while not writer.is_closing():
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(0.001)
        elif kind == "bad_chunk":
            writer.write(head + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n")
            await writer.drain()
        elif kind == "die":
            os._exit(1)
        else:
            raise ValueError(kind)
        return False

    def quoted(self, request: bytes) -> bytes:
        """Quote what may be secret in a request, shifted each time, so that what cuts the text cuts it everywhere."""
        form = FORMS[self.received % len(FORMS)] if self.o["echo_forms"] else bytes
        return b"x" * (self.received * 7 % 200) + form(_telling(request))

    async def reply(
        self, writer: asyncio.StreamWriter, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> bool:
        further = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items()).encode()
        last = b"connection: close\r\n" if self.o["close"] else b""
        head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n%b%bcontent-length: %d\r\n\r\n"
        writer.write(head % (status, further, last, len(body)) + body)
        await writer.drain()
        return True


async def main(options: dict[str, Any], parent: int | None = None) -> None:
    sut = Sut(options)
    context = None
    if sut.o["tls"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sut.o["tls"])
    server = await asyncio.start_server(
        sut.serve, "127.0.0.1", sut.o.get("port", 0), ssl=context, limit=2**24, backlog=4096
    )
    port = server.sockets[0].getsockname()[1]
    if parent is None:
        print(port, flush=True)
    else:
        asyncio.get_running_loop().add_reader(parent, os._exit, 0)  # it is at its end when the parent is gone
        print(os.getpid(), port, flush=True)
    await server.serve_forever()


def each_line() -> None:
    """Fork a server for each line of options. All of them end with this process, however it ends."""

    def reap(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    signal.signal(signal.SIGCHLD, reap)
    alive, held_open = os.pipe()
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(held_open)
            try:
                asyncio.run(main(json.loads(line), alive))
            except BaseException:  # noqa: BLE001 - who waits for its port is to hear of it
                traceback.print_exc()
                print("no server", flush=True)
            os._exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    if sys.argv[1:] == ["--fork"]:
        each_line()
    else:
        asyncio.run(main(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}))
