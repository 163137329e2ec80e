"""A server that answers well until a given POST, and from then on in one of many wrong ways.

    python faulty_sut.py '{"fault": "extra_reply", "after": 9, "api": "openai", "cache": true}'

Prints its port. GET /counts tells how many POSTs came and how many were answered well. No code of the package is used.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"content-type: application/json\r\n"
Faulty = Callable[[asyncio.StreamReader, asyncio.StreamWriter, "Answer"], Awaitable[bool]]
FAULTS: dict[str, Faulty] = {}


class Answer:
    """A good answer: its body, its head, and the whole of it on the wire."""

    def __init__(self, api: str, number: int, prompt: bytes) -> None:
        self.streamed = api == "openai_stream"
        name = f"{abs(hash(prompt)):x}"
        usage = {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}
        if api == "videogen":
            self.body = json.dumps({"video_id": f"v{number}", "video_path": f"/videos/{name}.mp4"}).encode()
        elif not self.streamed:
            message = {"role": "assistant", "content": f"answer {name}"}
            choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": "stop"}
            self.body = json.dumps({"id": f"c-{number}", "choices": [choice], "usage": usage}).encode()
        else:
            deltas: list[tuple[dict[str, str], str | None]] = [
                ({"role": "assistant", "content": ""}, None),
                ({"content": f"answer {name}"}, None),
                ({}, "stop"),
            ]
            events: list[dict[str, Any]] = [
                {"id": f"c-{number}", "choices": [{"index": 0, "delta": d, "finish_reason": f}]} for d, f in deltas
            ]
            events.append({"id": f"c-{number}", "choices": [], "usage": usage})
            self.body = (
                b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
            )

    @property
    def kind(self) -> bytes:
        return b"content-type: text/event-stream\r\n" if self.streamed else JSON

    @property
    def wire(self) -> bytes:
        return whole(self.body, kind=self.kind)

    def begun(self, event: bytes) -> bytes:
        """The body with `event` in place of what follows its first output: an object where it is not streamed."""
        if not self.streamed:
            return event.removeprefix(b"data: ").partition(b"\n\n")[0]
        return b"\n\n".join(self.body.split(b"\n\n")[:2]) + b"\n\n" + event


def whole(body: bytes, status: bytes = b"200 OK", kind: bytes = JSON, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\n%b%bcontent-length: %d\r\n\r\n%b" % (status, kind, more, len(body), body)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def sends(name: str, reply: bytes | Callable[[Answer], bytes], *, keep: bool = True) -> None:
    """A fault that is bytes, perhaps made of the good answer."""

    async def fault(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> bool:
        writer.write(reply if isinstance(reply, bytes) else reply(answer))
        await writer.drain()
        return keep

    FAULTS[name] = fault


def acts(fault: Faulty) -> Faulty:
    FAULTS[fault.__name__] = fault
    return fault


for code in (b"401 No", b"404 Not Found", b"422 What", b"429 Busy", b"500 Oops", b"503 Loading"):
    sends(f"status_{code[:3].decode()}", whole(b'{"detail": "not now"}', code))
sends("status_204", b"HTTP/1.1 204 No Content\r\n\r\n")
sends("redirect", whole(b"", b"307 Elsewhere", more=b"location: /elsewhere\r\n"))
sends("switching", b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", keep=False)
sends("not_http", b"\x00\x01SSH-2.0-OpenSSH\r\n\r\n", keep=False)
sends("bad_status_line", b"HTTP/1.1 abc\r\n\r\n", keep=False)
sends("header_without_colon", OK + b"nothing here\r\ncontent-length: 0\r\n\r\n", keep=False)
sends("header_1mb", OK + b"x: " + b"y" * 2**20 + b"\r\ncontent-length: 0\r\n\r\n", keep=False)
sends("headers_60000", OK + b"x: y\r\n" * 60_000 + b"content-length: 0\r\n\r\n", keep=False)
sends("short_of_length", lambda a: OK + a.kind + b"content-length: %d\r\n\r\n" % (len(a.body) + 9) + a.body, keep=False)
sends("negative_length", lambda a: OK + a.kind + b"content-length: -5\r\n\r\n" + a.body, keep=False)
sends("two_lengths", lambda a: OK + a.kind + b"content-length: 5\r\ncontent-length: 7\r\n\r\n" + a.body, keep=False)
sends("length_and_chunks", OK + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\nzz", keep=False)
sends("beyond_length", lambda a: OK + a.kind + b"content-length: 5\r\n\r\n" + a.body)
sends("bad_chunk", OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n", keep=False)
sends("no_last_chunk", lambda a: OK + a.kind + b"transfer-encoding: chunked\r\n\r\n" + chunk(a.body[:9]), keep=False)
sends("empty", lambda a: whole(b"", kind=a.kind))
sends("html", whole(b"<html><h1>Welcome to nginx!</h1></html>", kind=b"content-type: text/html\r\n"))
sends("malformed", whole(b'{"id": <script>', kind=JSON))
sends("bad_utf8", whole(b'{"id": "\xff\xfe", "choices": [{"message": {"content": "\xff"}}]}', kind=JSON))
sends("deep_json", whole(b'{"choices":' + b"[" * 200_000, kind=JSON))
sends("json_list", whole(b"[]", kind=JSON))
sends("json_number", whole(b"7", kind=JSON))
sends("json_null", whole(b"null", kind=JSON))
sends("error_object", lambda a: whole(a.begun(b'data: {"error": {"message": "died"}}\n\n'), kind=a.kind))
sends("error_text", lambda a: whole(a.begun(b'data: {"error": "died"}\n\ndata: [DONE]\n\n'), kind=a.kind))
sends(
    "error_code",
    lambda a: whole(a.begun(b'data: {"text": "no", "error_code": 50001}\n\ndata: [DONE]\n\n'), kind=a.kind),
)
sends("detail", lambda a: whole(a.begun(b'data: {"detail": "died"}\n\ndata: [DONE]\n\n'), kind=a.kind))
sends(
    "message_code", lambda a: whole(a.begun(b'data: {"message": "no", "code": 500}\n\ndata: [DONE]\n\n'), kind=a.kind)
)
sends("error_event", lambda a: whole(a.begun(b'event: error\ndata: {"x": "died"}\n\ndata: [DONE]\n\n'), kind=a.kind))
sends("no_finish", lambda a: whole(a.begun(b"data: [DONE]\n\n"), kind=a.kind))
sends("cut_after_output", lambda a: whole(a.begun(b""), kind=a.kind))
sends("gzip", lambda a: whole(gzip.compress(a.body), kind=a.kind, more=b"content-encoding: gzip\r\n"))
sends("gzip_bomb", lambda a: whole(gzip.compress(b" " * 50_000_000), kind=a.kind, more=b"content-encoding: gzip\r\n"))
sends("extra_reply", lambda a: a.wire * 2)
sends("two_extra_replies", lambda a: a.wire * 3)


@acts
async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> bool:
    writer.transport.abort()
    return False


@acts
async def closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> bool:
    return False


@acts
async def reset_in_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> bool:
    writer.write(answer.wire[:-9])
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.transport.abort()
    return False


@acts
async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> bool:
    await reader.read(1)
    return False


@acts
async def hang_in_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> bool:
    writer.write(answer.wire[:-9])
    return await hang(reader, writer, answer)


@acts
async def drip_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> bool:
    for byte in OK + b"x: " + b"y" * 10_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)
    return False


@acts
async def drip_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> bool:
    writer.write(OK + answer.kind + b"content-length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


@acts
async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> bool:
    writer.write(OK + answer.kind + b"transfer-encoding: chunked\r\n\r\n")
    piece = chunk((answer.begun(b"") if answer.streamed else b" ") + b" " * 2**16)
    while True:
        writer.write(piece)
        await writer.drain()


@acts
async def continues(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> bool:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.001)


@acts
async def late_extra_reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> bool:
    writer.write(answer.wire)
    await writer.drain()
    await asyncio.sleep(0.005)  # the next query is on its way
    writer.write(answer.wire)
    return True


@acts
async def killed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> bool:
    os._exit(1)


#: Answers that come whole and right, whatever else the server says on the connection.
GOOD = frozenset({"extra_reply", "two_extra_replies", "late_extra_reply"})


class Server:
    def __init__(self, fault: str, after: int, api: str, cache: bool, service_s: float = 0.02) -> None:
        self.fault, self.after, self.api, self.cache, self.service_s = fault, after, api, cache, service_s
        self.posts = self.good = 0
        self.lanes = asyncio.Semaphore(8)
        self.store: dict[bytes, Answer] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self.one(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            if head.startswith(b"GET /counts "):
                writer.write(whole(json.dumps({"posts": self.posts, "good": self.good}).encode()))
            else:
                writer.write(whole(b"", b"405 Method Not Allowed"))
            return True
        body = await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
        self.posts += 1
        faulty = self.posts > self.after and self.fault in FAULTS
        answer = await self.answer(body, self.posts)
        if not faulty or self.fault in GOOD:
            self.good += 1
        if faulty:
            return await FAULTS[self.fault](reader, writer, answer)
        writer.write(answer.wire)
        return True

    async def answer(self, body: bytes, number: int) -> Answer:
        if self.cache and body in self.store:
            return self.store[body]
        async with self.lanes:
            await asyncio.sleep(self.service_s)
        answer = self.store[body] = Answer(self.api, number, body)
        return answer


async def main(options: dict[str, Any]) -> None:
    sut = Server(**options)
    server = await asyncio.start_server(sut.serve, "127.0.0.1", 0, limit=2**24, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
