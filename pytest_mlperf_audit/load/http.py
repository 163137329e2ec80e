"""The client: aiohttp behind the Transport seam."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter_ns

import aiohttp
from yarl import URL

from .target import Target
from .transport import ReplyEvents, TransportError

#: Opening connections is a courtesy to the measurement; a server that is slow to answer a GET must not hold it up.
_CONNECT_BUDGET_S = 5.0


class AiohttpTransport:
    """One aiohttp session to one target. Every request carries the same headers in the same order.

    Nothing is added that varies: no cookies, no trace headers, no automatic headers, no compression; redirects are not
    followed, so credentials never travel to another host.
    """

    def __init__(self, target: Target, path: str, headers: Mapping[str, str], max_reply_bytes: int) -> None:
        self._urls = [URL(url.rstrip("/") + path, encoded=True) for url in target.urls]
        self._next_url = itertools.cycle(self._urls)
        self._target = target
        self._max_reply_bytes = max_reply_bytes
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, ttl_dns_cache=None, keepalive_timeout=target.max_idle_s, ssl=_tls(target)
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={**headers, **target.headers},
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def connect(self, connections: int) -> list[TransportError]:
        """Open connections with a GET of the query's own path, which no server takes for a query."""
        results = await asyncio.gather(*(self._get(next(self._next_url)) for _ in range(connections)))
        return [error for error in results if isinstance(error, TransportError)]

    async def status(self) -> list[int]:
        """Return each address's status for a GET of the query's path: 401 or 403 tells of a refused key.

        Raises TransportError when an address cannot be reached.
        """
        results = [await self._get(url) for url in self._urls]
        for result in results:
            if isinstance(result, TransportError):
                raise result
        return [result for result in results if isinstance(result, int)]

    async def refusal(self) -> TransportError | None:
        """Try one new connection to each address."""
        try:
            with _translated():
                for url in self._urls:
                    opening = asyncio.open_connection(url.host, url.port)
                    _, writer = await asyncio.wait_for(opening, self._target.connect_timeout_s)
                    writer.close()
        except TransportError as error:
            return error
        return None

    async def post(self, body: bytes, reply: ReplyEvents, timeout_s: float | None) -> None:
        """POST `body` and feed the reply to `reply`; see Transport."""
        with _translated():
            async with self._session.post(
                next(self._next_url), data=body, timeout=self._timeout(timeout_s), allow_redirects=False
            ) as response:
                reply.on_status(response.status)
                await self._read(response, reply)

    async def close(self) -> None:
        """Close the session; TLS connections get a turn of the loop to say goodbye."""
        await self._session.close()
        await asyncio.sleep(0)

    async def _read(self, response: aiohttp.ClientResponse, reply: ReplyEvents) -> None:
        budget = self._max_reply_bytes
        async for data in response.content.iter_any():
            reply.on_data(data, perf_counter_ns())
            budget -= len(data)
            if budget < 0:
                raise TransportError("too_large", f"the reply exceeds {self._max_reply_bytes} bytes")

    async def _get(self, url: URL) -> int | TransportError:
        try:
            with _translated():
                async with self._session.get(
                    url, timeout=self._timeout(_CONNECT_BUDGET_S), allow_redirects=False
                ) as response:
                    await self._read(response, _Unread())
                    return response.status
        except TransportError as error:
            return error

    def _timeout(self, total_s: float | None) -> aiohttp.ClientTimeout:
        if total_s not in self._timeouts:
            self._timeouts[total_s] = aiohttp.ClientTimeout(total=total_s, sock_connect=self._target.connect_timeout_s)
        return self._timeouts[total_s]


class _Unread:
    """Takes a reply that only served to open a connection."""

    def on_status(self, status: int) -> None:
        """Ignore."""

    def on_data(self, data: bytes, at_ns: int) -> None:
        """Ignore."""


def _tls(target: Target) -> ssl.SSLContext | bool:
    if target.insecure:
        return False
    if not any(url.startswith("https:") for url in target.urls):
        return True
    return ssl.create_default_context(cafile=str(target.ca_file) if target.ca_file else None)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the client's exceptions into TransportErrors with a reason class."""
    try:
        yield
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
        raise TransportError(_reason(error), str(error) or type(error).__name__) from error


#: Checked in order, since aiohttp's classes derive from one another.
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (aiohttp.ClientSSLError, "tls"),
    (ssl.SSLError, "tls"),
    (aiohttp.ConnectionTimeoutError, "connect"),
    (aiohttp.ClientConnectorError, "connect"),
    (asyncio.TimeoutError, "timeout"),
    (TimeoutError, "timeout"),
    (aiohttp.ServerDisconnectedError, "reset"),
    (aiohttp.ClientPayloadError, "truncated"),
    (aiohttp.ClientOSError, "reset"),
    (ConnectionRefusedError, "connect"),
    (OSError, "reset"),
)


def _reason(error: BaseException) -> str:
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "protocol")
