"""Address: one URL of the endpoint, and the request heads that are sent there, the same for every query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    """Return an Address for each URL of a target; its own headers go before an adapter's of the same name."""
    merged = CIMultiDict(headers)
    merged.update(target.headers)
    for name in _FRAMING:
        merged.popall(name, None)
    return tuple(_address(url, path, merged) for url in target.urls)


def _address(base: str, path: str, headers: Mapping[str, str]) -> Address:
    url = URL("".join(_joined(base, path)))
    lines = [f"Host: {url.host_port_subcomponent}", *(f"{name}: {value}" for name, value in headers.items())]
    fields = "\r\n".join(lines)
    return Address(
        url=url,
        target=url.raw_path_qs.encode(),
        post_tail=f" HTTP/1.1\r\n{fields}\r\nContent-Length: ".encode(),
        get_head=f"GET {url.raw_path_qs} HTTP/1.1\r\n{fields}\r\n\r\n".encode(),
    )


def _joined(base: str, path: str) -> Iterator[str]:
    """Yield the parts of `base` with `path` behind its own path, and the query strings of both."""
    parts = urlsplit(base)
    path, _, query = path.partition("?")
    queries = "&".join(filter(None, (parts.query, query)))
    yield f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}{path}"
    yield f"?{queries}" if queries else ""
