"""Connections: to which of a host's addresses, for how long they are kept, and what had come on them before a query."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from pytest_mlperf_audit.load.http import HttpTransport, _StatusOnly
from pytest_mlperf_audit.load.loop import run_until_done
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.load.transport import Message, TransportError
from pytest_mlperf_audit.load.wire import Connection
from tests.support.ipv6 import needs_ipv6
from tests.support.raw_server import make_certificate, server_tls

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Server:
    """Answers each request with `reply`; `writers` are its connections, in the order in which they came."""

    def __init__(self) -> None:
        self.reply = REPLY
        self.resets = False
        self.asked = 0
        self.closed = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                if self.resets:
                    self.resets = False
                    writer.transport.abort()
                    return
                writer.write(self.reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed += 1
        finally:
            writer.close()


class Resent(_StatusOnly):
    resent = False

    def on_resent(self) -> None:
        self.resent = True

    def on_end(self, error: BaseException | None) -> None:
        pass


async def post(transport: HttpTransport, timeout_s: float | None = 5.0) -> Resent:
    await transport.query(Message(b""), reply := Resent(), timeout_s)
    return reply


@pytest.fixture
def talk() -> Callable[..., Any]:
    """Run a scenario with a server and a transport to it, on the loop that the product uses."""

    def run(
        scenario: Callable[[Server, HttpTransport], Awaitable[Any]], host: str = "127.0.0.1", **options: Any
    ) -> Any:
        async def main() -> Any:
            server = Server()
            listening = await asyncio.start_server(server.serve, host, 0)
            port = listening.sockets[0].getsockname()[1]
            shown = f"[{host}]" if ":" in host else host
            transport = HttpTransport(Target(urls=(f"http://{shown}:{port}",), **options), "/", {}, 1024)
            try:
                return await scenario(server, transport)
            finally:
                await transport.close()
                listening.close()
                for writer in server.writers:
                    writer.close()
                await asyncio.sleep(0.01)

        return run_until_done(main)

    return run


@needs_ipv6
def test_an_address_of_ipv6(talk):
    async def scenario(server: Server, transport: HttpTransport) -> None:
        assert (await post(transport)).status == 200
        assert server.writers[0].get_extra_info("sockname")[0] == "::1"

    talk(scenario, "::1")


def test_the_address_of_a_host_that_answers_is_found_and_remembered(talk):
    async def scenario(server: Server, transport: HttpTransport) -> None:
        [address] = transport._addresses
        here = (socket.AF_INET, ("127.0.0.1", address.url.port))
        nobody = (socket.AF_INET, ("127.0.0.2", 1))
        transport._pool._places[address] = [nobody, here, nobody]
        assert (await post(transport)).status == 200
        assert transport._pool._places[address][0] == here
        transport._pool._places[address] = [nobody, nobody]
        server.writers[0].close()
        await asyncio.sleep(0.02)
        with pytest.raises(TransportError, match=r"^Cannot connect to host 127.0.0.1:\d+ \[.+\]$") as caught:
            await post(transport)
        assert caught.value.reason == "connect"

    talk(scenario)


def test_a_connection_that_idles_too_long_is_closed(talk):
    async def scenario(server: Server, transport: HttpTransport) -> None:
        await post(transport)
        await post(transport)
        assert len(server.writers) == 1
        await asyncio.sleep(0.4)
        assert server.closed == 1
        await post(transport)
        assert len(server.writers) == 2

    talk(scenario, max_idle_s=0.2)


def test_a_kept_connection_that_is_reset_as_a_query_goes_out_is_followed_by_another(talk):
    async def scenario(server: Server, transport: HttpTransport) -> None:
        await post(transport)
        [kept] = server.writers
        linger = struct.pack("ii", 1, 0)  # closing sends a reset
        kept.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        server.resets = True
        reply = await post(transport)
        assert (reply.status, reply.resent, len(server.writers), transport.unasked()) == (200, True, 2, None)
        assert transport.connections() == (2, 1, 1), "opened, used again, sent once more"

    talk(scenario)


def test_a_reply_that_had_come_before_its_query_was_written_is_not_its_reply(talk):
    """It lies in the socket, where the loop has not looked yet."""

    async def scenario(server: Server, transport: HttpTransport) -> None:
        await post(transport)
        before = server.asked
        file = socket.socket(fileno=socket.dup(server.writers[0].get_extra_info("socket").fileno()))
        with file:
            file.send(REPLY.replace(b"200 OK", b"500 No"))
        reply = await post(transport)
        assert (reply.status, reply.resent) == (200, False)
        assert server.asked == before + 1, "the query went out once, on another connection"
        assert (transport.unasked() or "").startswith("1 connections had data on them that no query had asked for, ")

    talk(scenario)


@pytest.mark.parametrize(("status", "unasked"), [(b"200 OK", True), (b"413 Too Large", False)])
def test_a_reply_begun_before_its_query_was_wholly_written_ends_the_connection(talk, status, unasked):
    """The server has read the head; of the body, more is left here than all the buffers on the way take."""

    async def scenario(server: Server, transport: HttpTransport) -> None:
        server.reply = REPLY.replace(b"200 OK", status)
        await transport.query(Message(b"x" * 2**26), reply := Resent(), 30.0)
        assert reply.status == int(status[:3])
        assert bool(transport.unasked()) == unasked
        assert not list(transport._pool.idle())

    talk(scenario)


def test_one_timer_serves_the_limits_of_all(talk):
    async def scenario(server: Server, transport: HttpTransport) -> None:
        server.reply = b""
        begun = transport._loop.time()

        async def limited(timeout_s: float) -> float:
            with pytest.raises(TransportError, match="no whole reply within the time limit"):
                await post(transport, timeout_s)
            return transport._loop.time() - begun - timeout_s

        late = await asyncio.gather(*map(limited, (0.3, 0.1, 0.2, 0.1)))
        assert min(late) > -0.01
        assert not transport._carrier.deadlines._due_s

    talk(scenario)


@pytest.mark.parametrize("turns", range(6))
def test_nothing_goes_on_behind_the_end_for_a_query_that_was_given_up(talk, turns):
    async def scenario(_: Server, transport: HttpTransport) -> None:
        before = asyncio.all_tasks()
        given_up = [transport.post(Message(b""), Resent(), 5.0) for _ in range(8)]
        for _turn in range(turns):
            await asyncio.sleep(0)
        for posted in given_up:
            posted.cancel()
        await transport.close()
        assert {
            task for task in asyncio.all_tasks() - before if "Post." in repr(task) or "Pool." in repr(task)
        } == set()

    talk(scenario)


def test_a_connection_that_is_given_up_behind_its_handshake_is_closed_at_once(tmp_path, monkeypatch):
    tls = server_tls(make_certificate(tmp_path, "server"))
    over = threading.Event()

    def serve() -> None:
        with listening.accept()[0] as accepted, suppress(OSError), tls.wrap_socket(accepted, server_side=True):
            over.wait(10)  # and says no goodbye

    async def main() -> None:
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        transport = HttpTransport(Target(urls=(url,), insecure=True), "/", {}, 1024)
        made, lost = asyncio.Event(), asyncio.Event()

        class GivenUp(Connection):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                made.set()
                posted.cancel()

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                lost.set()

        monkeypatch.setattr("pytest_mlperf_audit.load.connections.Connection", GivenUp)
        posted = transport.post(Message(b""), Resent(), 5.0)
        await made.wait()
        await transport.close()
        await asyncio.wait_for(lost.wait(), 5)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve)
        server.start()
        try:
            run_until_done(main)
        finally:
            over.set()
            server.join()
