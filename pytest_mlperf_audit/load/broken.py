"""What is wrong with an exchange whose connection ended before its reply was whole."""

from __future__ import annotations

import ssl

from ..runs.query import PROXY
from .head import Head
from .transport import TransportError


class NoReplyError(TransportError):
    """The connection was closed before any byte of a reply."""


def broken_off(exc: Exception | None, head: Head | None, n_bytes: int, *, begun: bool, through: str) -> TransportError:
    """Return the error of an exchange by what ended its connection: an error, or None for its end.

    A reply had `begun`, its head had come, and so many bytes of its body. A connection `through` a proxy may have been
    ended by it as well as by the server.
    """
    error = _error(exc, head, n_bytes, begun=begun)
    if not through or error.reason == "tls":
        return error
    return type(error)(PROXY, f"the connection through the proxy {through} was closed: {error.detail}")


def _error(exc: Exception | None, head: Head | None, n_bytes: int, *, begun: bool) -> TransportError:
    why = str(exc or "")
    if not begun:
        # A server of TLS 1.3 may refuse our certificate when the handshake is over here (RFC 8446, 4.4.2.4).
        return NoReplyError("tls" if isinstance(exc, ssl.SSLError) else "reset", why or "Server disconnected")
    if head is None:
        return TransportError("reset", f"the connection was closed in the reply's head{why and f' ({why})'}")
    return TransportError("truncated", head.missing(n_bytes) or why)
