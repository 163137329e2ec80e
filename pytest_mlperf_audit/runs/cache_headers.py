"""What a reply's headers say of a cache: which headers are kept with a query, and which values mean a hit.

A row of the table is a header, when it says that the reply was served from a cache, and where that is documented.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

_MOST_CHARACTERS: Final = 120

#: First words that mean "served from the cache": nginx's $upstream_cache_status, CDNs, Squid's and Akamai's TCP_ codes.
#: Not among them are a cache's decisions not to serve: hit-for-pass, hit-for-miss, EXPIRED, BYPASS, REFRESH, DYNAMIC.
_HIT_WORDS: Final = frozenset(
    (
        *("hit", "hit-stale", "hitstale", "refreshhit", "stale", "updating", "revalidated"),
        *("tcp_hit", "tcp_mem_hit", "tcp_ims_hit", "tcp_refresh_hit", "tcp_expired_hit", "tcp_offline_hit"),
    )
)
_FIRST_WORD: Final = re.compile(r"\s*(?:semantic |simple )?([a-z_]+(?:-[a-z]+)*)")


class CacheHeader(NamedTuple):
    """A header. `is_hit` judges its value, `entry` returns what names the kept reply, or its key, None for nothing.

    `own`: the cache itself writes it, and writes a hit for nothing else, so that no operator sets it by hand. Others
    have a name and a value that anybody's configuration may set.
    """

    name: str
    is_hit: Callable[[str], bool]
    source: str
    own: bool = False
    entry: Callable[[str], str | None] = lambda _: None


def _status(value: str) -> bool:
    """Whether one of several caches, in a list with commas, says hit: 'MISS, HIT', 'Hit from cloudfront'."""
    words = (_FIRST_WORD.match(member.lower()) for member in value.split(","))
    return any(word is not None and word[1] in _HIT_WORDS for word in words)


def _counted(value: str) -> bool:
    return any(member.strip().isdecimal() and int(member) > 0 for member in value.split(",")[:8])


def _two_numbers(value: str) -> bool:
    return _fetched_by(value) is not None


def _fetched_by(value: str) -> str | None:
    """Return Varnish's transaction that fetched the object: a hit names its own and that one, a miss its own alone.

    Several caches in a row are separated by commas, each with a number or two.
    """
    for member in value.split(","):
        numbers = member.split()
        if len(numbers) == 2 and all(map(str.isdecimal, numbers)):
            return numbers[1]
    return None


def _parameter(value: str, name: str) -> str | None:
    """Return a parameter of a structured field, "" where it has no value."""
    for part in re.split("[;,]", value):
        key, _, said = part.strip().partition("=")
        if key == name:
            return said.strip('"')
    return None


def _says_nothing(_: str) -> bool:
    return False


_VALUE: Final = str.strip

#: In the order in which they are quoted.
CACHE_HEADERS: Final = (
    CacheHeader(
        "x-cache", _status, "CloudFront, Fastly, Squid and Akamai write it, as do many Varnish configurations by hand"
    ),
    CacheHeader(
        "x-cache-status",
        _status,
        "by custom nginx's $upstream_cache_status (ngx_http_upstream_module); Kong proxy-cache",
    ),
    CacheHeader("x-proxy-cache", _status, "by custom nginx's $upstream_cache_status"),
    CacheHeader("cf-cache-status", _status, "Cloudflare: cache/concepts/cache-responses", own=True),
    CacheHeader(
        "x-litellm-cache-key",
        lambda value: bool(value.strip()),
        "LiteLLM, proxy/caching: 'on cache hits the cache key is sent'; its caching_handler sets it there alone",
        own=True,
        entry=_VALUE,
    ),
    CacheHeader("age", _counted, "RFC 9111, 5.1: present where the origin did not make the reply for this request"),
    CacheHeader("x-varnish", _two_numbers, "Varnish, reference: X-Varnish", own=True, entry=_fetched_by),
    CacheHeader(
        "cache-status",
        lambda value: _parameter(value, "hit") is not None,
        "RFC 9211, 2.1",
        entry=lambda value: _parameter(value, "key"),
    ),
    CacheHeader("x-cache-hits", _counted, "Fastly: X-Cache-Hits; Varnish's obj.hits by custom"),
    CacheHeader("cf-aig-cache-status", _status, "Cloudflare AI Gateway: features/caching", own=True),
    CacheHeader("x-openrouter-cache-status", _status, "OpenRouter: features/response-caching", own=True),
    CacheHeader("helicone-cache", _status, "Helicone: features/advanced-usage/caching", own=True),
    CacheHeader("x-portkey-cache-status", _status, "Portkey: ai-gateway/cache-simple-and-semantic", own=True),
    CacheHeader("apisix-cache-status", _status, "APISIX, proxy-cache: $upstream_cache_status", own=True),
    CacheHeader("x-cache-key", _says_nothing, "Kong proxy-cache: sent with hits and misses", entry=_VALUE),
)
_BY_NAME: Final = {header.name: header for header in CACHE_HEADERS}
_IS_KEPT: Final = frozenset(_BY_NAME)
_PART: Final = re.compile(rf"(?:^|; )({'|'.join(map(re.escape, _BY_NAME))}): ")


class Said(NamedTuple):
    """What quoted headers say: whether the reply is a hit, whether the cache itself says so, and of which entry.

    `age` is that of the entry in seconds, None where no header tells.
    """

    hit: bool = False
    own: bool = False
    entry: str | None = None
    age: int | None = None


def cache_header(headers: Mapping[str, str]) -> str | None:
    """Return what a reply's headers, by their names in lower case, say of a cache, 'x-cache: HIT; age: 3', or None."""
    if _IS_KEPT.isdisjoint(headers):
        return None
    quoted = [f"{name}: {headers[name]}" for name in _BY_NAME if name in headers]
    return "; ".join(quoted)[:_MOST_CHARACTERS] if quoted else None


@lru_cache(maxsize=4096)
def said(quoted: str | None) -> Said:
    """Return what headers, quoted as `cache_header` does, say. An entry is told of hits alone."""
    if not quoted:
        return Said()
    _, *parts = _PART.split(quoted)
    found = [(_BY_NAME[name], value) for name, value in zip(parts[::2], parts[1::2], strict=True)]
    hits = [header for header, value in found if header.is_hit(value)]
    if not hits:
        return Said()
    entries = (header.entry(value) for header, value in found)
    ages = (int(value) for header, value in found if header.name == "age" and _counted(value) and value.isdecimal())
    own = any(header.own for header in hits)
    return Said(hit=True, own=own, entry=next(filter(None, entries), None), age=next(ages, None))


def says_hit(quoted: str | None) -> bool:
    """Whether headers, quoted as `cache_header` does, say that the reply came from a cache."""
    return said(quoted).hit
