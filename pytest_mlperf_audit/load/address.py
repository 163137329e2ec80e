"""Address: one URL of the endpoint, and the request heads that are sent there, the same for every query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from multidict import CIMultiDict
from yarl import URL

from .target import Target

#: What the client sets itself.
_FRAMING = ("Host", "Content-Length", "Transfer-Encoding", "Connection")


@dataclass(frozen=True)
class Address:
    """`target` is the path with its query string, and `post_tail` ends where the length of the body belongs."""

    url: URL
    target: bytes
    post_tail: bytes
    get_head: bytes

    def post(self, body: bytes, query: str = "") -> bytes:
        """Return a whole POST request, `query` added to the URL's query string."""
        joint = b"" if not query else b"&" if b"?" in self.target else b"?"
        return b"POST %b%b%b%b%d\r\n\r\n%b" % (self.target, joint, query.encode(), self.post_tail, len(body), body)


def addresses(target: Target, path: str, headers: Mapping[str, str]) -> tuple[Address, ...]:
    """Return an Address for each URL of a target; its own path and headers go before an adapter's."""
    merged = CIMultiDict(headers)
    merged.update(target.headers)
    merged.setdefault("Accept-Encoding", "identity")  # without it, a server may choose any coding (RFC 9110, 12.5.3)
    for name in _FRAMING:
        merged.popall(name, None)
    path = path if target.path is None else target.path
    return tuple(_address(url, path, merged) for url in target.urls)


def _address(base: str, path: str, headers: Mapping[str, str]) -> Address:
    url = URL(joined(base, path))
    lines = [f"Host: {url.host_port_subcomponent}", *(f"{name}: {value}" for name, value in headers.items())]
    fields = "\r\n".join(lines)
    return Address(
        url=url,
        target=url.raw_path_qs.encode(),
        post_tail=f" HTTP/1.1\r\n{fields}\r\nContent-Length: ".encode(),
        get_head=f"GET {url.raw_path_qs} HTTP/1.1\r\n{fields}\r\n\r\n".encode(),
    )


def joined(base: str, path: str) -> str:
    """Return `base` with `path` behind its own path, and the query strings of both.

    What the base already ends in is not said twice: OpenAI's clients take base URLs that end in /v1, others the whole
    path.
    """
    parts = urlsplit(base)
    path, _, query = path.partition("?")
    queries = "&".join(filter(None, (parts.query, query)))
    whole = _overlapped(parts.path.rstrip("/"), path)
    return f"{parts.scheme}://{parts.netloc}{whole}{f'?{queries}' if queries else ''}"


def _overlapped(base: str, path: str) -> str:
    """Return `base` and `path`, segments that end the one and begin the other taken once."""
    for end in range(len(path), 1, -1):
        if path[end : end + 1] in {"", "/"} and base.endswith(path[:end]):
            return base + path[end:]
    return base + path
