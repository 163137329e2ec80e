"""Target: the endpoint as the client needs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from yarl import URL

from .redaction import Redactor

#: Of these only the whole value is hidden: a piece of it, such as a date or a media type, is part of much else.
_PLAIN_HEADERS = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "user-agent"})
_PLAIN_PARAMETERS = frozenset({"api-version", "api_version", "version", "v", "alt", "format"})
#: What these name stands in messages and records on its own account.
_PUBLIC_PARAMETERS = frozenset({"model", "deployment", "deployment-id", "engine"})


@dataclass(frozen=True)
class Target:
    """Base URLs (shared round-robin), constant headers and limits; `metrics` are the servers' metrics pages.

    `path` takes the place of the API's own where it is not None.

    `secrets`, and the query strings of the URLs, leave this object only on the wire.
    """

    urls: tuple[str, ...] = field(repr=False)
    path: str | None = field(default=None, repr=False, kw_only=True)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    metrics: tuple[str, ...] = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    insecure: bool = False
    ca_file: Path | None = None
    connect_timeout_s: float = 30.0
    max_idle_s: float = 4.0
    simulated: bool = False

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
        whole = [*self.secrets, *queries, *(value for _, value in values)]
        return Redactor([*_credentials(secret)], whole)


def _credentials(secrets: Iterable[str]) -> Iterator[str]:
    """Yield the credential of each 'Bearer <credential>': its scheme is no secret, alone or with what may follow it."""
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
