"""Target: the endpoint as the client needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

REDACTED = "**********"


@dataclass(frozen=True)
class Target:
    """Base URLs (shared round-robin), constant headers and limits. `secrets` leave this object only on the wire."""

    urls: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    insecure: bool = False
    ca_file: Path | None = None
    connect_timeout_s: float = 30.0
    max_idle_s: float = 4.0
    max_connections: int = -1
    simulated: bool = False

    @property
    def label(self) -> str:
        """The endpoint for records and messages: scheme, host, port and path, never credentials or a query string."""
        return ", ".join(sorted({_plain(url) for url in self.urls}))

    def redact(self, text: str) -> str:
        """Return `text` without any secret that a server may have echoed."""
        for secret in self.secrets:
            text = text.replace(secret, REDACTED)
        return text


def _plain(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path.rstrip('/')}"
