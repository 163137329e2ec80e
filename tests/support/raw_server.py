"""A server in a thread of this process whose every byte a test decides, a CONNECT proxy, and certificates."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

BODY = b'{"video_path": "/1.mp4"}'
NOT_ALLOWED = b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def reply(body: bytes = BODY, version: str = "1.1", status: str = "200 OK", fields: str = "") -> bytes:
    """Return a whole reply."""
    return f"HTTP/{version} {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    head: bytes
    body: bytes


async def requests(reader: asyncio.StreamReader) -> AsyncIterator[Asked]:
    """Yield a connection's requests until it ends."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, path, _ = head.decode("latin-1").split(" ", 2)
            length = head.lower().partition(b"content-length:")[2].split()
            body = await reader.readexactly(int(length[0])) if method == "POST" else b""
            yield Asked(method, path, head, body)


class RawServer:
    """Serves each connection by a function; `accepted` counts them, and `answered` what the function counts."""

    def __init__(self, serve: Serve, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.accepted = self.answered = 0
        self._serve, self._host, self._tls = serve, host, tls
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if tls else 'http'}://{shown}:{self.port}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda *_: None)  # handshakes that fail are what is tested
        server = await asyncio.start_server(self._one, self._host, 0, ssl=self._tls, limit=2**24)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


class ConnectProxy(RawServer):
    """A proxy that knows CONNECT alone; `asked` are the heads that it got, `tunnels` how many it has opened.

    `credentials` ("user:password") are asked for where they are set. `refuses` may return a whole reply in place of a
    tunnel, by the number of the request; `early` is sent behind the head of a good reply. A tunnel lasts `lasts_s`.
    """

    def __init__(self, credentials: str = "", early: bytes = b"") -> None:
        self.asked: list[bytes] = []
        self.tunnels = 0
        self.credentials, self.early = credentials, early
        self.refuses: Callable[[int], bytes | None] = lambda _number: None
        self.lasts_s: float | None = None
        super().__init__(self._connect)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head)
        method, to, _ = head.decode().split(" ", 2)
        refusal = self.refuses(len(self.asked) - 1)
        if method != "CONNECT":
            refusal = reply(b"", status="405 CONNECT Alone")
        key = base64.b64encode(self.credentials.encode())
        if self.credentials and b"Proxy-Authorization: Basic " + key not in head:
            refusal = reply(b"who are you?", status="407 Proxy Authentication Required")
        host, _, port = to.rpartition(":")
        if refusal is None:
            try:
                there = await asyncio.open_connection(host.strip("[]"), int(port))
            except OSError:
                refusal = reply(b"", status="502 Bad Gateway")
        if refusal is not None:
            writer.write(refusal)
            return
        self.tunnels += 1
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n" + self.early)
        try:
            both = asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
            await asyncio.wait_for(both, self.lasts_s)
        except asyncio.TimeoutError:
            pass
        finally:
            there[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


def make_certificate(directory: Path, name: str, password: str = "", host: str = "IP:127.0.0.1") -> tuple[Path, Path]:
    """Make a self-signed certificate for a host, and its key; return their files."""
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    hidden = ["-passout", f"pass:{password}"] if password else ["-nodes"]
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={host}"]
    command = [
        "openssl",
        "req",
        "-x509",
        *curve,
        *hidden,
        "-days",
        "2",
        *subject,
        "-keyout",
        str(key),
        "-out",
        str(cert),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def server_tls(
    certificate: tuple[Path, Path], clients: Path | None = None, version: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """Return a server's context; `clients` is the certificate that a client must have, `version` the one of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context
