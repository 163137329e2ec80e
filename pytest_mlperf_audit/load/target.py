"""Target: the endpoint as the client needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

REDACTED = "**********"

#: Shorter values ("1", "on") are no secrets, and taking them out would make messages unreadable.
_LEAST_SECRET = 4


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
        return ", ".join(sorted({plain_url(url) for url in self.urls}))

    def redact(self, text: str) -> str:
        """Return `text` without any secret that a server may have echoed, be it cut off at the end."""
        for secret in self._hidden:
            text = text.replace(secret, REDACTED)
        return _without_cut_secret(text, self._hidden)

    @cached_property
    def _hidden(self) -> tuple[str, ...]:
        """All that must not be shown, longest first, so that no part of one is left over from a shorter one."""
        found = {
            *self.secrets,
            *_last_words(self.secrets),
            *_query_values((*self.urls, *self.metrics, self.path or "")),
        }
        return tuple(sorted((text for text in found if len(text) >= _LEAST_SECRET), key=len, reverse=True))


def _last_words(secrets: tuple[str, ...]) -> Iterator[str]:
    """Yield the credential of each 'Bearer <credential>', which may be echoed without its scheme."""
    return (words[-1] for secret in secrets if (words := secret.split()))


def _query_values(urls: tuple[str, ...]) -> Iterator[str]:
    for url in urls:
        query = urlsplit(url).query
        yield query
        yield from (value for _, value in parse_qsl(query))


def _without_cut_secret(text: str, secrets: tuple[str, ...]) -> str:
    """Return `text` without the start of a secret that a length limit ended."""
    stem = text.removesuffix("...")
    for secret in secrets:
        for length in range(len(secret) - 1, _LEAST_SECRET - 1, -1):
            if stem.endswith(secret[:length]):
                return stem[:-length] + REDACTED
    return text


def plain_url(url: str) -> str:
    """Return scheme, host, port and path of a URL, as it may be shown."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path.rstrip('/')}"
