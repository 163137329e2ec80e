"""Reply headers by which a cache says that it answered, or that it did not."""

from __future__ import annotations

from collections.abc import Mapping

#: nginx, Varnish, CDNs, LiteLLM; `age` and `x-varnish` say it by their value.
_TELLING = ("x-cache", "x-cache-status", "x-proxy-cache", "cf-cache-status", "x-litellm-cache-key", "age", "x-varnish")
_MOST = 120


def cache_header(headers: Mapping[str, str]) -> str | None:
    """Return what a reply's headers say of a cache, 'x-cache: HIT; age: 3', or None."""
    told = [f"{name}: {headers[name]}" for name in _TELLING if name in headers]
    return "; ".join(told)[:_MOST] if told else None


def says_hit(told: str) -> bool:
    """Whether a quoted header says that the reply came from a cache."""
    return any(_is_hit(*part.split(": ", 1)) for part in told.split("; ") if ": " in part)


def _is_hit(name: str, value: str) -> bool:
    if name == "age":
        return value.strip().isdigit() and int(value) > 0
    if name == "x-varnish":  # a hit names two transactions: its own, and the one that fetched the object
        return len(value.split()) > 1
    if name == "x-litellm-cache-key":  # sent with hits and misses alike; it says that there is a cache
        return False
    return value.strip().lower().startswith("hit")
