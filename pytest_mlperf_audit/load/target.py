"""Target: the endpoint as the client needs it; its addresses, with request heads that are the same for every query."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from urllib import request
from urllib.parse import parse_qsl, urlsplit

from multidict import CIMultiDict
from yarl import URL

from ..runs.body import Body
from .proxy import Proxy
from .redaction import Redactor
from .tls import Identity

#: Of these only the whole value is hidden: a piece of it, such as a date or a media type, is part of much else.
_PLAIN_HEADERS = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "user-agent"})
_PLAIN_PARAMETERS = frozenset({"api-version", "api_version", "version", "v", "alt", "format"})
#: What these name stands in messages and records on its own account.
_PUBLIC_PARAMETERS = frozenset({"model", "deployment", "deployment-id", "engine"})
#: What the client sets itself.
_FRAMING = ("Host", "Content-Length", "Transfer-Encoding", "Connection")
_bypassed: Callable[[str, Mapping[str, str]], bool] = request.proxy_bypass_environment  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Target:
    """Base URLs (shared round-robin), constant headers and limits; `metrics` are the servers' metrics pages.

    `path` takes the place of the API's own where it is not None; `identity` is the client's certificate; `key_from` is
    what the YAML has for the key where that names a variable, as ${API_KEY}.

    `secrets`, and the query strings of the URLs, leave this object only on the wire.
    """

    urls: tuple[str, ...] = field(repr=False)
    path: str | None = field(default=None, repr=False, kw_only=True)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    metrics: tuple[str, ...] = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    insecure: bool = False
    ca_file: Path | None = None
    identity: Identity | None = None
    proxy: Proxy | None = None
    connect_timeout_s: float = 30.0
    max_idle_s: float = 4.0
    simulated: bool = False
    key_from: str = ""

    @property
    def label(self) -> str:
        """The endpoint for records and messages: scheme, host, port and path, never credentials or a query string."""
        return ", ".join(sorted({self.shown(url) for url in self.urls}))

    def shown(self, url: str) -> str:
        """Return scheme, host, port and path of a URL, as it may be shown: a path may hold a key."""
        scheme, _, rest = plain_url(url).partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host}{slash}{self.redact(path)}"

    def redact(self, text: str) -> str:
        """Return `text` without any secret that a server may have echoed, in whatever form."""
        return self.redactor.redact(text)

    def redact_output(self, text: str) -> str:
        """Return a model's output without any secret; other words of its own it keeps, since it is judged."""
        return self.redactor.redact(text, prose=True)

    @cached_property
    def redactor(self) -> Redactor:
        """What takes the secrets out: keys, header values, and the URLs' queries as written, as sent and as read."""
        queries = [*_queries((*self.urls, *self.metrics, self.path or ""))]
        pairs = [(name.lower(), value) for query in queries for name, value in parse_qsl(query)]
        values = [(name, value) for name, value in pairs if name not in _PUBLIC_PARAMETERS]
        headers = {value for name, value in self.headers.items() if name.lower() in _PLAIN_HEADERS}
        secret = [text for text in self.secrets if text not in headers]
        secret += [value for name, value in values if name not in _PLAIN_PARAMETERS]
        secret += self.proxy.secrets if self.proxy else ()
        whole = [*self.secrets, *queries, *(value for _, value in values)]
        whole += [self.identity.password or ""] if self.identity else ()
        return Redactor([*_credentials(secret)], whole)


def _credentials(secrets: Iterable[str]) -> Iterator[str]:
    """Yield the credential of each 'Bearer <credential>': its scheme is not a secret, alone or with what follows it."""
    for secret in secrets:
        scheme, _, credential = secret.partition(" ")
        yield credential.strip() if credential and scheme.isalpha() else secret
        yield from secret.split()[-1:]


def _queries(urls: Iterable[str]) -> Iterator[str]:
    """Yield each URL's query as it is written, and as it is sent, which undoes needless escapes."""
    for url in urls:
        if query := urlsplit(url).query:
            yield query
            yield URL(f"http://host/?{query}").raw_query_string


def plain_url(url: str) -> str:
    """Return scheme, host, port and path of a URL, as it may be shown."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path.rstrip('/')}"


@dataclass(frozen=True, eq=False)
class Address:
    """One URL of the endpoint, which is itself alone, so that it is quickly found.

    `target` is the path with its query string, and `post_tail` ends where the length of the body belongs.
    """

    url: URL
    target: bytes
    post_tail: bytes
    get_head: bytes

    def post(self, body: Body, query: str = "", headers: bytes = b"") -> bytes:
        """Return a POST request, `query` added to the URL's query string, `headers` to the end of its head.

        It is whole where the body is bytes; Pieces of one are to be sent behind it.
        """
        joint = b"" if not query else b"&" if b"?" in self.target else b"?"
        head = (self.target, joint, query.encode(), self.post_tail, len(body), headers)
        return b"POST %b%b%b%b%d\r\n%b\r\n%b" % (*head, body if isinstance(body, bytes) else b"")


def addresses(target: Target, path: str, headers: Mapping[str, str]) -> tuple[Address, ...]:
    """Return an Address for each URL of a target; its own path and headers go before an adapter's."""
    merged = CIMultiDict(headers)
    merged.update(target.headers)
    merged.setdefault("Accept-Encoding", "identity")  # without it, a server may choose any coding (RFC 9110, 12.5.3)
    for name in _FRAMING:
        merged.popall(name, None)
    path = path if target.path is None else target.path
    return tuple(_address(URL(joined(url, path)), merged) for url in target.urls)


def page_address(url: URL, headers: Mapping[str, str]) -> Address:
    """Return the Address of a page that is asked for once, on a connection of its own."""
    merged = CIMultiDict({"Accept": "*/*", "Accept-Encoding": "identity"})
    merged.update(headers)
    for name in _FRAMING:
        merged.popall(name, None)
    return _address(url, {**merged, "Connection": "close"})


def _address(url: URL, headers: Mapping[str, str]) -> Address:
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


def used_proxy(target: Target) -> str:
    """Return a sentence about the proxy that queries go through, "" without one."""
    if target.proxy is None:
        return ""
    return f"queries go through the proxy {target.proxy.label} (settings.client.proxy), which is measured along"


def unused_proxy(urls: Iterable[str], environ: Mapping[str, str] = os.environ) -> str:
    """Return a sentence where others would send queries for one of these URLs through a proxy, "" where not.

    A proxy is used where the YAML names it alone, since it is measured along with the endpoint.

    As curl has it: HTTP_PROXY, HTTPS_PROXY or ALL_PROXY by the URL's scheme, in any case, but for hosts in NO_PROXY.
    What the variable holds may have a password, and is not shown. Nobody asks a proxy for this machine.
    """
    set_by = {name.lower(): name for name, value in sorted(environ.items()) if value}
    bypassed = {"no": environ.get(set_by.get("no_proxy", ""), "")}
    for parts in map(urlsplit, urls):
        name = set_by.get(f"{parts.scheme}_proxy") or set_by.get("all_proxy")
        host = parts.netloc.rpartition("@")[2]
        if name and not (_is_this_machine(parts.hostname or "") or _bypassed(host, bypassed)):
            return (
                f"{name} is set and not used, since a proxy would be measured, too: audit from where the endpoint can "
                "be reached directly, or through a tunnel (ssh -L); settings.client.proxy has one used all the same, "
                f"and NO_PROXY={parts.hostname} says that none is needed"
            )
    return ""


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
