"""Connections to the target's addresses: opened, kept while idle, closed; and time limits of what goes over them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Iterator

from .pattern import NoFilesError, out_of_files
from .proxy import open_tunnel
from .target import Address, Target
from .tls import tls
from .transport import TransportError
from .wire import Connection

#: Of several addresses that a host's name has, each but the last gets this time before the next is tried.
_NEXT_AFTER_S = 2.0
#: The loop's clock may be this far behind when a timer of it goes off.
_CLOCK_STEP_S = 0.002

_Place = tuple[socket.AddressFamily, tuple[object, ...]]


class Pool:
    """Every connection of one client, to be used on the loop it was made on.

    A connection that is taken or opened is the caller's until it is kept again or closed. `unasked` counts connections
    on which something came that no request had asked for, `opened` all that were opened, `reused` how often an idle one
    was taken. Raises EndpointError when a file of `tls` cannot be used.
    """

    def __init__(self, target: Target) -> None:
        self.unasked = self.opened = self.reused = 0
        self._loop = asyncio.get_running_loop()
        self._timeout_s = target.connect_timeout_s
        self._max_idle_s = target.max_idle_s
        self._tls = tls(target)
        self._proxy = target.proxy
        self._idle: dict[Address, deque[Connection]] = {}
        self._all: set[Connection] = set()
        self._places: dict[Address, list[_Place]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def take(self, address: Address) -> Connection | None:
        """Return the connection to an address that has been idle for longest, None where there is none."""
        idle = self._idle.get(address)
        while idle:
            connection = idle.popleft()
            if connection.usable and self._loop.time() - connection.idle_since_s <= self._max_idle_s:
                connection.held = True
                self.reused += 1
                return connection
            connection.close()
        return None

    def take_all(self, address: Address) -> list[Connection]:
        """Return every connection to an address that waits for a request."""
        taken = []
        while connection := self.take(address):
            taken.append(connection)
        return taken

    def idle(self) -> Iterator[Connection]:
        """Yield the connections that wait for a request."""
        return (connection for kept in self._idle.values() for connection in kept if connection.usable)

    def keep(self, connection: Connection, now_s: float) -> None:
        """Have a connection wait for its next request, or closed where it can carry none; once is enough."""
        if not connection.held:
            return
        connection.held = False
        if not connection.usable:
            connection.close()
            return
        connection.idle_since_s = now_s
        self._idle.setdefault(connection.address, deque()).append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(self._max_idle_s, self._close_old)

    async def open(self, address: Address, limit_s: float | None) -> Connection:
        """Return a new connection. Raises TransportError, and NoFilesError when this process may open no more files."""
        limit_s = self._timeout_s if limit_s is None else min(limit_s, self._timeout_s)
        try:
            connection = await asyncio.wait_for(self._connect(address), limit_s)
        except asyncio.TimeoutError as error:
            raise self._failed("no connection within the time limit") from error
        except OSError as error:
            if out_of_files(error):
                raise NoFilesError(error.errno or 0) from error
            text = f"Cannot connect to host {_shown(address)} [{_text(error)}]"
            if isinstance(error, ssl.SSLError):
                raise TransportError("tls", text) from error
            raise self._failed(text) from error
        connection.held = True
        return connection

    def _failed(self, text: str) -> TransportError:
        """Return the error of a connection that could not be had; it is the proxy's own where there is one."""
        return self._proxy.unreachable(text) if self._proxy else TransportError("connect", text)

    async def close(self) -> None:
        """Close every connection; TLS connections get a turn of the loop to say goodbye."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in tuple(self._all):
            connection.close()
        await asyncio.sleep(0)
        for connection in tuple(self._all):
            connection.abort()
        await asyncio.sleep(0)

    def _close_old(self) -> None:
        """Close what has been idle for too long: a server may hold a thread for it."""
        self._sweep = None
        now_s = self._loop.time()
        left = []
        for idle in self._idle.values():
            while idle and (now_s - idle[0].idle_since_s > self._max_idle_s or not idle[0].usable):
                idle.popleft().close()
            left += [idle[0].idle_since_s] if idle else []
        if left:
            self._sweep = self._loop.call_at(min(left) + self._max_idle_s + _CLOCK_STEP_S, self._close_old)

    async def _connect(self, address: Address) -> Connection:
        places = self._places.get(address) or await self._look_up(address)
        *others, last = places
        for place in others:
            try:
                connection = await asyncio.wait_for(self._connect_to(address, place), _NEXT_AFTER_S)
            except (OSError, asyncio.TimeoutError) as error:
                if isinstance(error, ssl.SSLError) or (isinstance(error, OSError) and out_of_files(error)):
                    raise
                continue
            self._places[address] = [place, *(other for other in places if other != place)]
            return connection
        connection = await self._connect_to(address, last)
        self._places[address] = [last, *others]
        return connection

    async def _look_up(self, address: Address) -> list[_Place]:
        """Return where to connect to: the proxy, which looks the address's host up itself, or else that host."""
        host, port = _host(address), address.url.port
        if self._proxy is not None:
            host, port = self._proxy.host, self._proxy.port
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, place) for family, _, _, _, place in found]

    async def _connect_to(self, address: Address, place: _Place) -> Connection:
        made = socket.socket(place[0], socket.SOCK_STREAM)
        file = made.fileno()
        through = self._proxy.label if self._proxy else ""
        connection = Connection(self._loop, address, self._note_unasked, self._all.discard, through)
        try:
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.sock_connect(made, place[1])
            early = await self._tunnel(made, address)
            is_tls = address.url.scheme == "https"
            await self._loop.create_connection(
                lambda: connection,
                sock=made,
                ssl=self._tls if is_tls else None,
                server_hostname=_host(address).rstrip(".") if is_tls else None,
            )
            if early:  # nobody has asked for anything yet
                connection.data_received(early)
        except BaseException:
            connection.abort()  # else one given up behind its handshake waits for the server's goodbye
            made.close()
            raise
        connection.is_on(file)
        self.opened += 1
        if connection.usable:
            self._all.add(connection)
        return connection

    async def _tunnel(self, made: socket.socket, address: Address) -> bytes:
        """Have a connection to the proxy lead to an address; return what came before anything was asked."""
        if self._proxy is None:
            return b""
        early = await open_tunnel(self._proxy, made, _host(address), address.url.port or 0)
        if early and address.url.scheme == "https":
            raise self._proxy.unreachable("something came through it before the TLS handshake")
        return early

    def _note_unasked(self) -> None:
        self.unasked += 1


class Deadlines:
    """The time limits of requests in flight, on the loop's clock, by one timer for all of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due_s: dict[Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0

    def watch(self, connection: Connection, due_s: float) -> None:
        """Have a connection cut at `due_s` unless it is forgotten before."""
        self._due_s[connection] = due_s
        if self._timer is None or due_s < self._timer_s:
            self._set(due_s)

    def forget(self, connection: Connection) -> None:
        """Have a connection cut no more."""
        self._due_s.pop(connection, None)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _set(self, due_s: float) -> None:
        self.close()
        self._timer, self._timer_s = self._loop.call_at(due_s, self._cut), due_s

    def _cut(self) -> None:
        self._timer = None
        now_s = self._loop.time() + _CLOCK_STEP_S
        for connection in [one for one, due_s in self._due_s.items() if due_s <= now_s]:
            del self._due_s[connection]
            connection.cut()
        if self._due_s:
            self._set(min(self._due_s.values()))


def _host(address: Address) -> str:
    return address.url.raw_host or ""


def _shown(address: Address) -> str:
    return f"{address.url.host}:{address.url.port}"


def _text(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{type(error).__name__}: {error.args}"
    return error.strerror or str(error) or type(error).__name__
