"""The simulated endpoint over HTTP, on 127.0.0.1.

POST to a path of one of `formats`    the SUT
GET  from one of their pages          what such servers say of themselves
GET  /health                          200 while it serves
GET  /simulated/stats                 counters: what was really computed
GET  /simulated/log                   [received_ns, sent_ns, computed] of each reply
POST /simulated/reset                 counters to zero, caches empty
"""

from __future__ import annotations

import asyncio
import time
from array import array
from functools import partial

import msgspec
from aiohttp import web

from ...config.endpoint import SimulatedConfig
from . import wire
from .exchange import Answer, Slot, Ticket
from .formats import sse
from .formats.contract import BadRequestError, Body, Format, Page, Request
from .service import Service

HOST = "127.0.0.1"
_MAX_REQUEST_BYTES = 256 * 2**20
_BACKLOG = 4096
_KEEP_ALIVE_S = 3600.0  # a phase, or the pause between two, must never meet a connection that is being closed


class _Ledger:
    """Counts requests received, those in flight, and keeps [received_ns, sent_ns, computed] of each reply.

    Times are of the monotonic clock: `received` when a request's head was read, `sent` when its reply was written.
    """

    def __init__(self) -> None:
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but what is in flight."""
        self._received_ns = array("q")
        self._sent_ns = array("q")
        self._computed = bytearray()
        self.received = 0
        self.first_received_ns: int | None = None
        self.max_in_flight = self._in_flight

    def receive(self) -> int:
        """Note a request; return the time."""
        now_ns = time.monotonic_ns()
        self.received += 1
        self._in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self._in_flight)
        if self.first_received_ns is None:
            self.first_received_ns = now_ns
        return now_ns

    def send(self, received_ns: int, *, computed: bool) -> None:
        """Note that the reply to a request was written."""
        self._received_ns.append(received_ns)
        self._sent_ns.append(time.monotonic_ns())
        self._computed.append(computed)

    def release(self) -> None:
        """Note that a request is no longer in flight, whether or not its reply could be written."""
        self._in_flight -= 1

    @property
    def last_sent_ns(self) -> int | None:
        """When the last reply was written."""
        return self._sent_ns[-1] if self._sent_ns else None

    def rows(self) -> list[tuple[int, int, bool]]:
        """Return (received_ns, sent_ns, computed) of each reply, in the order they were sent."""
        return list(zip(self._received_ns, self._sent_ns, map(bool, self._computed), strict=True))


class Server:
    """Serves one Service; construct it inside a running event loop. Raises DatasetError, as Service does."""

    def __init__(self, config: SimulatedConfig) -> None:
        self._config = config
        self._service = Service(config)
        self._ledger = _Ledger()
        app = web.Application(client_max_size=_MAX_REQUEST_BYTES)
        for one in wire.FORMATS.values():
            app.add_routes([web.post(path, partial(self._serve, one)) for path in one.paths])
            app.add_routes([web.get(page.path, partial(self._page, one, page)) for page in one.pages])
        app.add_routes([web.get("/health", self._health), web.get("/simulated/stats", self._stats)])
        app.add_routes([web.get("/simulated/log", self._log), web.post("/simulated/reset", self._reset)])
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=0.1, keepalive_timeout=_KEEP_ALIVE_S
        )

    async def listen(self, port: int) -> str:
        """Bind `port` (0: any free one) on the loopback interface; return the URL. Raises OSError."""
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, port, backlog=_BACKLOG).start()
        return f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        await self._runner.cleanup()

    async def _serve(self, of: Format, request: web.Request) -> web.StreamResponse:
        received_ns = self._ledger.receive()
        try:
            ask = wire.read(await _request(of, request))
            ticket = self._service.submit(ask)
            response = await self._reply(of, request, ticket)
            self._ledger.send(received_ns, computed=ticket.computed)
        except BadRequestError as error:
            self._service.errors += 1
            return _refusal(of, error)
        finally:
            self._ledger.release()
        return response

    async def _reply(self, of: Format, request: web.Request, ticket: Ticket) -> web.StreamResponse:
        if wire.streams(ticket.ask) and (response := await self._stream(request, ticket)) is not None:
            return response
        answer = await ticket.done
        if answer is None:
            response = _json(of.error("simulated failure", "server_error"), status=500)
        else:
            response = _response(wire.reply(self._config, ticket.ask, answer))
        # Written here rather than by aiohttp, so that the time of sending is known.
        await response.prepare(request)
        await response.write_eof()
        return response

    async def _page(self, of: Format, page: Page, request: web.Request) -> web.Response:
        try:
            return _response(page.read(self._config, await _request(of, request)))
        except BadRequestError as error:
            return _refusal(of, error)

    async def _stream(self, request: web.Request, ticket: Ticket) -> web.StreamResponse | None:
        """Send tokens one by one as a lane makes them; None for what is not made by a lane, or will fail."""
        await asyncio.wait((ticket.taken, ticket.done), return_when=asyncio.FIRST_COMPLETED)
        if not ticket.taken.done():
            return None
        slot = ticket.taken.result()
        if slot.answer is None or not slot.computes:
            return None
        response = web.StreamResponse(headers={"Content-Type": sse.MEDIA_TYPE, "Cache-Control": "no-cache"})
        await response.prepare(request)
        await self._send_events(response, ticket, slot, slot.answer)
        return response

    async def _send_events(self, response: web.StreamResponse, ticket: Ticket, slot: Slot, answer: Answer) -> None:
        at_once, *tokens, end = wire.events(self._config, ticket.ask, answer)
        if at_once:
            await response.write(at_once)
        gap_s = (slot.end_s - slot.first_token_s) / max(1, len(tokens) - 1)
        for at, token in enumerate(tokens[:-1]):
            await asyncio.sleep(max(0.0, slot.first_token_s + at * gap_s - time.monotonic()))
            await response.write(token)
        await ticket.done
        await response.write_eof(b"".join([*tokens[-1:], end]))

    async def _health(self, _request: web.Request) -> web.Response:
        return _json(b'{"status":"ok"}')

    async def _stats(self, _request: web.Request) -> web.Response:
        stats = {
            "received": self._ledger.received,
            "computed": self._service.computed,
            "errors": self._service.errors,
            "cache_hits": self._service.cache_hits,
            "first_received_ns": self._ledger.first_received_ns,
            "last_sent_ns": self._ledger.last_sent_ns,
            "max_in_flight": self._ledger.max_in_flight,
            "max_busy_lanes": self._service.max_busy,
        }
        return _json(msgspec.json.encode(stats))

    async def _log(self, _request: web.Request) -> web.Response:
        return _json(msgspec.json.encode(self._ledger.rows()))

    async def _reset(self, _request: web.Request) -> web.Response:
        self._service.reset()
        self._ledger.reset()
        return _json(b'{"status":"reset"}')


def _json(content: bytes, status: int = 200) -> web.Response:
    return web.Response(body=content, content_type="application/json", status=status)


def _response(body: Body) -> web.Response:
    return web.Response(body=body.content, content_type=body.media_type, headers=body.headers)


def _refusal(of: Format, error: BadRequestError) -> web.Response:
    return _json(of.error(str(error), "invalid_request_error"), status=error.status)


async def _request(of: Format, request: web.Request) -> Request:
    return Request(
        of.name, request.path, request.raw_path, await request.read(), request.headers, dict(request.match_info)
    )
