"""A proxy that the YAML names: each connection to the target is a tunnel of its own through it (RFC 9110, 9.3.6).

Both kinds of target are reached by CONNECT, so that a connection carries one client's bytes alone, and a proxy that
stores replies sees none.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from ..runs.query import PROXY
from .transport import TransportError

#: Of a proxy's reply to CONNECT.
_MOST_HEAD_BYTES = 2**16
_MOST_WORDS = 200
_READ_BYTES = 2**14

_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([0-9]{3})(?: ([^\r\n]*))?\r?\n")
_END = re.compile(rb"\r?\n\r?\n")

_BEFORE_IT = "audit from where the endpoint can be reached directly"
_CREDENTIALS = (
    "give a user and a password that it takes, as settings.client.proxy: http://${USER}:${PASSWORD}@host:port"
)
_ALLOW = f"have it allow CONNECT to this host and port, or {_BEFORE_IT}"
_START = f"start the endpoint, correct endpoint_config.endpoints, or {_BEFORE_IT}"
#: tinyproxy says 401 of a wrong password, and 500 of a host that takes no connection.
_BY_STATUS: Mapping[int, str] = {
    **dict.fromkeys((401, 407), _CREDENTIALS),
    **dict.fromkeys((403, 405, 501), _ALLOW),
    **dict.fromkeys((500, 502, 503, 504), _START),
}


class ProxyError(TransportError):
    """The proxy did not give us a connection to the target; `cure` is what to do about it, as a clause."""

    def __init__(self, detail: str, cure: str) -> None:
        super().__init__(PROXY, detail)
        self.cure = cure


@dataclass(frozen=True)
class Proxy:
    """A proxy that is reached without TLS. `user` and `password`, None without, leave this object only on the wire."""

    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> Proxy:
        """Return the proxy of a URL as `settings.client.proxy` has it, whose user and password may be escaped."""
        parts = urlsplit(url)
        user = None if parts.username is None else unquote(parts.username)
        return cls(parts.hostname or "", parts.port or 0, user, unquote(parts.password or ""))

    @property
    def label(self) -> str:
        """The proxy for messages, without credentials."""
        return f"http://{_authority(self.host, self.port)}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is to be seen nowhere: the credentials as they are sent, from which others find the password."""
        return () if self.user is None else (f"Basic {self._credentials(self.user)}", self.password or "")

    def request(self, host: str, port: int) -> bytes:
        """Return the request for a tunnel to a host and a port."""
        to = _authority(host, port)
        lines = [f"CONNECT {to} HTTP/1.1", f"Host: {to}"]
        if self.user is not None:
            lines.append(f"Proxy-Authorization: Basic {self._credentials(self.user)}")
        return "\r\n".join([*lines, "", ""]).encode("ascii")

    def unreachable(self, why: str) -> ProxyError:
        """Return the error of a proxy that gives no connection itself."""
        return ProxyError(
            f"no connection through the proxy {self.label} [{why}]", "start the proxy, or correct settings.client.proxy"
        )

    def _credentials(self, user: str) -> str:
        return base64.b64encode(f"{user}:{self.password or ''}".encode()).decode()  # RFC 7617, 2


async def open_tunnel(proxy: Proxy, to_proxy: socket.socket, host: str, port: int) -> bytes:
    """Have a connection to the proxy lead to a host and a port; return what came behind the proxy's reply.

    Raises ProxyError, with the proxy's status and words, and OSError.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(to_proxy, proxy.request(host, port))
    reply = b""
    while not (end := _END.search(reply)):
        if not (piece := await loop.sock_recv(to_proxy, _READ_BYTES)):
            raise proxy.unreachable("it closed the connection without a whole reply to CONNECT")
        reply += piece
        if len(reply) > _MOST_HEAD_BYTES:
            raise _no_http(proxy)
    found = _STATUS_LINE.match(reply)
    if found is None:
        raise _no_http(proxy)
    status = int(found[1])
    if not 200 <= status < 300:
        words = (found[2] or b"").decode("utf-8", "replace").strip()[:_MOST_WORDS]
        detail = f"the proxy {proxy.label} answers {f'{status} {words}'.strip()} to CONNECT {_authority(host, port)}"
        raise ProxyError(detail, _BY_STATUS.get(status, f"see the proxy's log, or {_BEFORE_IT}"))
    return reply[end.end() :]


def _no_http(proxy: Proxy) -> ProxyError:
    return ProxyError(
        f"the proxy {proxy.label} does not answer CONNECT in HTTP", "correct settings.client.proxy: it is an HTTP proxy"
    )


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
